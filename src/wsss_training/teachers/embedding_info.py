"""What the maps of a folder of embeddings have in common: ``embeddings.yaml`` and its basis."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from safetensors import SafetensorError
from safetensors.numpy import load, save

from wsss_perception.errors import DatasetError
from wsss_training.files import write_whole
from wsss_training.teachers.basis import Basis

SCHEMA = 1
INFO_FILE = "embeddings.yaml"
BASIS_FILE = "basis.safetensors"

_KEYS = ("schema", "teacher", "size", "stored", "logit_scale", "dtype")


@dataclass(frozen=True)
class EmbeddingInfo:
    """What all maps of a folder have in common.

    Attributes:
        teacher: who made them; ``teacher["model"]`` is also what texts of its space say.
        size: D.
        stored: K.
        logit_scale: what cosines are multiplied by to be logits.
    """

    teacher: dict[str, Any]
    size: int
    stored: int
    logit_scale: float


def claim_folder(root: Path, info: EmbeddingInfo, basis: Basis | None) -> None:
    """Makes a folder for maps, and keeps the basis beside what they are of.

    Raises:
        DatasetError: it has maps already, or cannot be written to.
    """
    if (root / INFO_FILE).exists():
        raise DatasetError(f"{root}: has embeddings already; remove it, or choose another folder")
    data = {
        "schema": SCHEMA,
        "teacher": info.teacher,
        "size": info.size,
        "stored": info.stored,
        "logit_scale": info.logit_scale,
        "dtype": "float16",
    }
    try:
        root.mkdir(parents=True, exist_ok=True)
        if basis is not None:
            data["basis"] = BASIS_FILE
            tensors = {"mean": basis.mean, "basis": np.ascontiguousarray(basis.basis)}
            write_whole(root / BASIS_FILE, save(tensors))
        write_whole(root / INFO_FILE, yaml.safe_dump(data, sort_keys=False).encode())
    except OSError as error:
        raise DatasetError(f"{root}: embeddings cannot be written: {error.strerror}") from error


def read_info(root: Path) -> tuple[EmbeddingInfo, Basis | None]:
    """Reads what a folder's maps are of, and their basis, where they have one.

    Raises:
        DatasetError: it is missing, damaged, or of something else.
    """
    path = root / INFO_FILE
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DatasetError(f"{path}: missing; make embeddings with 'embed-images'") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DatasetError(f"{path}: cannot be read: {' '.join(str(error).split())}") from error
    missing = [key for key in _KEYS if not isinstance(data, dict) or key not in data]
    if missing:
        raise DatasetError(f"{path}: not of embedding maps, has no {', '.join(missing)}")
    if (data["schema"], data["dtype"]) != (SCHEMA, "float16"):
        raise DatasetError(
            f"{path}: schema {data['schema']} of {data['dtype']}; known is {SCHEMA} of float16"
        )
    try:
        size, stored, scale = int(data["size"]), int(data["stored"]), float(data["logit_scale"])
        info = EmbeddingInfo(dict(data["teacher"]), size, stored, scale)
    except (TypeError, ValueError) as error:
        raise DatasetError(f"{path}: not of embedding maps: {error}") from error
    if not (0 < stored <= size and 0 < scale < np.inf):
        raise DatasetError(f"{path}: size {size}, stored {stored}, logit_scale {scale} cannot be")
    return info, None if stored == size else _read_basis(root / str(data.get("basis")), info)


def _read_basis(path: Path, info: EmbeddingInfo) -> Basis:
    try:
        tensors = load(path.read_bytes())
        basis = Basis(tensors["mean"], tensors["basis"])
    except (OSError, SafetensorError, KeyError) as error:
        raise DatasetError(
            f"{path}: the basis of the embeddings cannot be read ({error}); without it they are "
            "worthless: remove the folder, and run 'embed-images' again"
        ) from error
    if basis.mean.shape != (info.size,) or basis.basis.shape != (info.stored, info.size):
        raise DatasetError(
            f"{path}: is of {list(basis.basis.shape)}, {INFO_FILE} of {[info.stored, info.size]}"
        )
    return basis
