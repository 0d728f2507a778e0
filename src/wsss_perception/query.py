"""Phrases that points are compared to, as vectors of a model's output space."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from wsss_perception.embedding import ClassTexts
from wsss_perception.errors import TextsError
from wsss_perception.model_spec import EmbeddingSpec, ModelSpec
from wsss_perception.text_tower import TextTower, check_tower, open_text_tower

_SHOWN = 60
"""Known phrases that an error lists at most."""


def find_query(spec: ModelSpec, phrase: str, text_model: str = "") -> NDArray[np.float32]:
    """Finds the vectors of a phrase: those of the bundle's texts, or of a text tower.

    Args:
        spec: of the model.
        phrase: what to look for.
        text_model: see ``encode_phrases``.

    Returns:
        Vectors [m, K] for ``similarities``.

    Raises:
        TextsError: the model answers no texts; or the phrase is not among its own, which are
            named, and cannot be encoded here, and why.
    """
    if spec.embedding is None:
        raise TextsError("the model answers no phrases: its bundle has no 'embedding'")
    texts = spec.embedding.loaded()
    found = texts.find(phrase)
    if found is not None:
        return found
    try:
        return texts.project(encode_phrases(spec.embedding, [phrase], text_model))
    except TextsError as error:
        raise TextsError(
            f"'{phrase}' is not among the model's own phrases ({_known(texts)}), and cannot be "
            f"encoded here: {error}"
        ) from error


def encode_phrases(
    embedding: EmbeddingSpec, phrases: Sequence[str], text_model: str = ""
) -> NDArray[np.float32]:
    """Encodes phrases with the text tower of a model's teacher.

    Args:
        embedding: of the model.
        phrases: in words.
        text_model: see ``open_text_tower``; empty for the one that the bundle's teacher names,
            where that is one of open_clip's.

    Returns:
        float32 [n, D], rows of length 1.

    Raises:
        TextsError: open_clip or the weights are not there, or they are not the teacher's.
    """
    try:
        tower = _open(text_model or embedding.teacher.partition(",")[0])
    except TextsError as error:
        if text_model:
            raise
        raise TextsError(
            f"{error}; or name the teacher's model: --text-model, the node's text_model"
        ) from error
    check_tower(tower, embedding.loaded().texts)
    return tower.encode(phrases)


@lru_cache(maxsize=1)
def _open(model: str) -> TextTower:
    """Opens a tower, which takes seconds; the last one stays open for further phrases."""
    return open_text_tower(model)


def _known(texts: ClassTexts) -> str:
    names = list(dict.fromkeys(texts.texts.names))
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
