"""Opens a frozen open_clip model as a teacher: its image tower, cell by cell, and its texts."""

import hashlib
import warnings
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from torch.nn import functional

from wsss_perception.errors import ConfigError
from wsss_training.teachers.clip.towers import DenseTower, dense_tower

_SHOWN = 12  # of the names that an error lists
_REASON = 400  # characters of what open_clip says
_TEXTS_AT_ONCE = 256
_HUB = "hf-hub:"


class ClipModel:
    """A frozen model.

    Args:
        model: the open_clip model.
        tokenizer: from texts to tokens [n, length].
        name: of the model and its weights, for people.
        device: where it computes: in half precision on a GPU, in single precision on a CPU.

    Attributes:
        description: name, and the beginning of a digest of all weights: what embeddings of images
            and of texts must have in common to be compared.
        size: D, of the embeddings.
        logit_scale: what the model multiplies cosines by.
        tower: the image tower, cell by cell.

    Raises:
        ConfigError: the image tower is of a kind that is not supported.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Callable[[list[str]], torch.Tensor],
        name: str,
        device: torch.device,
    ) -> None:
        self.tower: DenseTower = dense_tower(model.visual)
        self.description = f"{name}, weights {_digest(model)[:16]}"
        self._model = model.eval().requires_grad_(False).to(device)
        self._tokenizer, self._device = tokenizer, device
        preprocessing = open_clip.get_model_preprocess_cfg(model)
        self._mean, self._std = (
            torch.tensor(preprocessing[key], device=device).view(1, 3, 1, 1)
            for key in ("mean", "std")
        )
        # in double precision on the CPU: the same number whatever computes, as folders keep it
        self.logit_scale = float(model.logit_scale.detach().cpu().double().exp().flatten()[0])
        self.size = self.encode_texts(["a"]).shape[1]

    @torch.inference_mode()
    def encode_pixels(self, pixels: NDArray[np.uint8]) -> torch.Tensor:
        """Embeds images cell by cell.

        Args:
            pixels: RGB [B, H, W, 3]; both sides are multiples of the tower's stride.

        Returns:
            float32 [B, h, w, D] on the model's device, rows of length 1.
        """
        images = torch.from_numpy(pixels).to(self._device).permute(0, 3, 1, 2)
        with self._precision():
            features = self.tower.features((images.float() / 255 - self._mean) / self._std)
        return functional.normalize(features.float(), dim=-1)

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embeds texts: float32 [n, D], rows of length 1."""
        found = []
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            tokens = self._tokenizer(list(texts[start : start + _TEXTS_AT_ONCE])).to(self._device)
            # texts are few, and each counts for all pixels: full precision
            found.append(functional.normalize(self._model.encode_text(tokens).float(), dim=-1))
        return torch.cat(found).cpu().numpy()

    def _precision(self) -> torch.autocast:
        is_gpu = self._device.type == "cuda"
        return torch.autocast(self._device.type, dtype=torch.float16, enabled=is_gpu)


def open_clip_model(name: str, pretrained: str | None) -> ClipModel:
    """Opens a model, on a GPU where there is one.

    Args:
        name: of open_clip's models; or ``local-dir:<folder>`` with ``open_clip_config.json`` and
            weights; or ``hf-hub:<repository>``.
        pretrained: a tag of open_clip's weights of that model, downloaded when first used, or the
            path of a checkpoint; None for names that tell where the weights are.

    Raises:
        ConfigError: there is no such model, its weights cannot be had, or its image tower is not
            supported.
    """
    if ":" in name and pretrained is not None:
        raise ConfigError(f"model '{name}' says where its weights are; leave --pretrained out")
    if ":" not in name and pretrained is None:
        raise ConfigError(f"model '{name}' needs weights; {_what_weights(name)}")
    try:
        model = _create(name, pretrained)
        tokenizer = open_clip.get_tokenizer(name)
    except Exception as error:  # open_clip and what it downloads with raise many kinds
        weights = "" if pretrained is None else f", weights '{pretrained}'"
        hint = "" if pretrained is None else f"; {_what_weights(name)}"
        reason = " ".join(str(error).split())[:_REASON]
        raise ConfigError(f"model '{name}'{weights}: {reason}{hint}") from error
    return ClipModel(model, tokenizer, label_of(name, pretrained), available_device())


def label_of(name: str, pretrained: str | None) -> str:
    """Names a model and its weights for people: of paths the last part alone.

    The same weights elsewhere are the same model. Names of open_clip's and of Hugging Face's hub
    stay whole, so that the model can be opened by them again.
    """
    label = name if name.startswith(_HUB) else Path(name).name
    return label if pretrained is None else f"{label} {Path(pretrained).name}"


def available_device() -> torch.device:
    """This process's GPU, where there is one, or the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _create(name: str, pretrained: str | None) -> Any:
    """Makes a model with its weights, and with the activation that they were trained with."""
    tag = open_clip.get_pretrained_cfg(name, pretrained) if pretrained is not None else {}
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="QuickGELU mismatch")
        return open_clip.create_model(
            name,
            pretrained,
            force_quick_gelu=bool(tag.get("quick_gelu")),
            require_pretrained=True,
        )


def _what_weights(name: str) -> str:
    """Says what can be given as weights of a model."""
    tags = open_clip.list_pretrained_tags_by_model(name)
    if tags:
        shown = ", ".join(tags[:_SHOWN])
        return f"--pretrained takes the path of a checkpoint, or one of: {shown}"
    if name in open_clip.list_models():
        return "--pretrained takes the path of a checkpoint"
    models = get_close_matches(name, open_clip.list_models(), n=_SHOWN, cutoff=0.5)
    return f"open_clip has no such model{', but ' * bool(models)}{', '.join(models)}"


def _digest(model: torch.nn.Module) -> str:
    """SHA-256 of all weights and their names."""
    result = hashlib.sha256()
    for name, values in sorted(model.state_dict().items()):
        result.update(f"{name} {values.dtype} {list(values.shape)}".encode())
        result.update(values.cpu().contiguous().flatten().view(torch.uint8).numpy())
    return result.hexdigest()
