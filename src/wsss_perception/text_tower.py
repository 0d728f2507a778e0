"""The text tower of an open_clip model: vectors of phrases that a bundle's files do not have.

open_clip and torch are imported when a tower is opened; nothing else here needs them.
"""

from collections.abc import Sequence
from difflib import get_close_matches
from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsss_perception.errors import TextsError
from wsss_perception.texts import BACKGROUND, TextEmbeddings

TEMPLATES = (
    "{}",
    "a photo of a {}.",
    "a photo of the {}.",
    "a {} in a scene.",
    "there is a {} in the picture.",
    "a part of a {}.",
    "a blurry photo of a {}.",
    "a close view of a {}.",
    "a {} that is far away.",
)
"""Ways to speak of a thing that a robot's camera shows: whole, cut off, near, far, blurred. A
phrase's vector is the mean over them; 'wsss_training embed-texts' puts classes into the same."""

_REMEMBERED = 16  # calls whose vectors a tower keeps
_PROBES = 16
_ALIKE = 0.5
"""Vectors of one name by two towers of one model have at least this cosine; templates and synonyms
differ. By two models it is about 0."""

_REASON = 300  # characters of what open_clip says


class TextTower:
    """Encodes phrases.

    Args:
        encode: from texts to their vectors, a torch tensor [n, D].
        name: of the model and its weights.
    """

    def __init__(self, encode: Any, name: str) -> None:
        self._encode, self.name = encode, name
        self._encoded = lru_cache(maxsize=_REMEMBERED)(self._encode_all)

    def encode(self, phrases: Sequence[str]) -> NDArray[np.float32]:
        """Embeds phrases, each as the mean over TEMPLATES: float32 [n, D], rows of length 1.

        What was asked for lately is not computed again.
        """
        return self._encoded(tuple(phrases))

    def _encode_all(self, phrases: tuple[str, ...]) -> NDArray[np.float32]:
        filled = [template.replace("{}", phrase) for phrase in phrases for template in TEMPLATES]
        vectors = _unit(np.asarray(self._encode(filled), dtype=np.float32))
        means = _unit(vectors.reshape(len(phrases), len(TEMPLATES), -1).mean(axis=1))
        means.setflags(write=False)
        return means


def open_text_tower(model: str) -> TextTower:
    """Opens a tower on the CPU.

    Args:
        model: name of an open_clip model and, after a space, a tag of its weights (downloaded when
            first used) or the path of a checkpoint: ``ViT-B-32 laion2b_s34b_b79k``. Names that
            tell where the weights are stand alone: ``local-dir:<folder>``, ``hf-hub:<name>``.

    Raises:
        TextsError: open_clip is not installed, or has no such model or weights.
    """
    try:
        open_clip, torch = import_module("open_clip"), import_module("torch")
    except (ImportError, OSError) as error:
        raise TextsError(
            f"other phrases need the Python package 'open_clip', which cannot be used here "
            f"({error}): pip install open_clip_torch, or encode them elsewhere with "
            "'wsss_training embed-texts'"
        ) from error
    name, _, weights = model.partition(" ")
    weights = weights.strip()
    if not weights and ":" not in name:
        raise TextsError(f"text model '{model}' needs weights; {_known_weights(open_clip, name)}")
    try:
        tag = open_clip.get_pretrained_cfg(name, weights) if weights else {}
        network = open_clip.create_model(
            name,
            weights or None,
            force_quick_gelu=bool(tag.get("quick_gelu")),
            require_pretrained=True,
        ).eval()
        tokenizer = open_clip.get_tokenizer(name)
    except Exception as error:  # open_clip and what it downloads with raise many kinds
        reason = " ".join(str(error).split())[:_REASON]
        hint = _known_weights(open_clip, name)
        raise TextsError(f"text model '{model}' cannot be opened: {reason}; {hint}") from error
    network.visual = None  # half of the memory, and no text needs it

    def encode(texts: list[str]) -> Any:
        with torch.inference_mode():
            return network.encode_text(tokenizer(texts)).float()

    return TextTower(encode, model)


def check_tower(tower: TextTower, texts: TextEmbeddings) -> None:
    """Checks that a tower makes vectors of the space of some texts.

    Raises:
        TextsError: it is another model's.
    """
    names = [name for name in dict.fromkeys(texts.names) if not name.startswith(BACKGROUND)]
    names = (names or list(dict.fromkeys(texts.names)))[:_PROBES]
    found = tower.encode(names)
    if found.shape[1] != texts.size:
        raise TextsError(
            f"text model '{tower.name}' makes vectors of {found.shape[1]} numbers, '"
            f"{texts.teacher}' of {texts.size}: take the model that taught"
        )
    pairs = zip(names, found, strict=True)
    cosine = float(np.median([(texts.of(name) @ vector).max() for name, vector in pairs]))
    if not cosine >= _ALIKE:
        raise TextsError(
            f"text model '{tower.name}' is not '{texts.teacher}': its vectors of the same names "
            f"have a cosine of {cosine:.2f}; take the model that taught"
        )


def _known_weights(open_clip: Any, name: str) -> str:
    tags = open_clip.list_pretrained_tags_by_model(name)
    if tags:
        return f"after the name comes the path of a checkpoint, or one of: {', '.join(tags)}"
    near = get_close_matches(name, open_clip.list_models(), n=5)
    return f"open_clip has no weights of that name{': did you mean ' * bool(near)}{near or ''}"


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
