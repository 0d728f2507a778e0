"""A vision-language teacher's embeddings of pixels on disk, laid out like the images.

The folder holds ``embeddings.yaml``::

    schema: 1
    teacher: {...}            # who made them: model, digest of its weights, windows
    size: 768                 # D, of the teacher's space
    stored: 128               # K numbers a cell; D, or fewer after PCA
    logit_scale: 100.0
    dtype: float16
    basis: basis.safetensors  # where K < D: tensors mean [D] and basis [K, D]

and for an image ``<images_root>/a/b/000001.png`` the map ``a/b/000001.embedding.npy``, float16
[h, w, K], of any resolution. It spans the whole image: pixel column u of an image of width W lies
at map column ``(u + 0.5) * w / W - 0.5``. A cell of NaN is one that the teacher says nothing of.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsss_perception.errors import DatasetError
from wsss_training.files import write_whole
from wsss_training.teachers.embedding_info import EmbeddingInfo, claim_folder, read_info
from wsss_training.teachers.image_paths import path_below

__all__ = ["SUFFIX", "EmbeddingInfo", "EmbeddingMaps", "EmbeddingWriter", "claim_folder"]

SUFFIX = ".embedding.npy"


class EmbeddingMaps:
    """Reads a teacher's embedding maps.

    Args:
        root: the teacher's folder.
        images_root: the folder that the images' paths are relative to.

    Attributes:
        info: what all maps have in common.
        basis: of what is stored; None where that is all.

    Raises:
        DatasetError: a folder does not exist, or the teacher's is damaged or of something else.
    """

    def __init__(self, root: str | Path, images_root: str | Path) -> None:
        self._root, self._images_root = Path(root), Path(images_root)
        if not self._images_root.is_dir():
            raise DatasetError(f"{images_root}: no such folder of images")
        self.info, self.basis = read_info(self._root)

    @property
    def size(self) -> int:
        """Size D of the space."""
        return self.info.size

    @property
    def logit_scale(self) -> float:
        """What cosines are multiplied by to be logits."""
        return self.info.logit_scale

    @property
    def teacher(self) -> dict[str, Any]:
        """Who made the maps."""
        return self.info.teacher

    def path(self, image: Path) -> Path:
        """The file of an image's map.

        Raises:
            DatasetError: it is missing, or the image lies elsewhere.
        """
        path = self._root / path_below(image, self._images_root).with_suffix(SUFFIX)
        if not path.exists():
            raise DatasetError(
                f"{path}: the teacher has no embeddings of {image}; run 'embed-images' again, "
                "which makes what is missing"
            )
        return path

    def read(
        self, image: Path, uv: NDArray[np.floating], size: tuple[int, int]
    ) -> NDArray[np.float32]:
        """Reads embeddings at pixels, bilinearly between the cells' centres.

        Args:
            image: the image's file.
            uv: pixel coordinates [n, 2], column and row, of the image.
            size: the image's width and height.

        Returns:
            float32 [n, D], rows of length 1, or of 0 where the teacher says nothing.

        Raises:
            DatasetError: the map is missing or damaged.
        """
        stored = self._open(image)
        height, width, _ = stored.shape
        total = np.zeros((len(uv), stored.shape[2]), dtype=np.float32)
        weight = np.zeros((len(uv), 1), dtype=np.float32)
        for row, column, share in _corners(uv, size, (height, width)):
            cells = stored[row, column].astype(np.float32)
            speaks = ~np.isnan(cells[:, :1])
            total += np.where(speaks, cells, 0) * share[:, None]
            weight += speaks * share[:, None]
        return self._restore(total, weight)

    def cells(self, image: Path) -> NDArray[np.float32]:
        """Reads the embeddings of all cells, float32 [h, w, D]; see ``read``.

        Raises:
            DatasetError: the map is missing or damaged.
        """
        stored = np.asarray(self._open(image), dtype=np.float32)
        flat = stored.reshape(-1, stored.shape[2])
        speaks = ~np.isnan(flat[:, :1])
        vectors = self._restore(np.where(speaks, flat, 0), speaks.astype(np.float32))
        return vectors.reshape(*stored.shape[:2], -1)

    def _open(self, image: Path) -> NDArray[np.float16]:
        return open_map(self.path(image), self.info.stored)

    def _restore(
        self, total: NDArray[np.float32], weight: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        vectors = total if self.basis is None else self.basis.restore(total, weight)
        return _unit(vectors)


class EmbeddingWriter:
    """Writes a teacher's embedding maps, each whole or not at all.

    Args:
        root: a folder that ``claim_folder`` was called for.
    """

    def __init__(self, root: str | Path) -> None:
        self._root = Path(root)
        self.info, self._basis = read_info(self._root)

    def is_there(self, relative: Path) -> bool:
        """Whether the map of an image, by its path below the images' folder, is there and whole."""
        path = self._root / relative.with_suffix(SUFFIX)
        try:
            return path.exists() and open_map(path, self.info.stored) is not None
        except DatasetError:
            return False

    def write(self, relative: Path, vectors: NDArray[np.float32]) -> None:
        """Writes the map of an image.

        Args:
            relative: the image's path below the images' folder.
            vectors: [h, w, D]; of length 0 where the teacher says nothing. Their lengths else do
                not matter.

        Raises:
            DatasetError: the map cannot be written.
        """
        path = self._root / relative.with_suffix(SUFFIX)
        unit = _unit(vectors)
        kept = unit if self._basis is None else self._basis.reduce(unit)
        stored = np.where(unit.any(axis=-1, keepdims=True), kept, np.nan).astype(np.float16)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, _npy_bytes(stored))
        except OSError as error:
            raise DatasetError(f"{path}: embeddings cannot be written: {error.strerror}") from error


def open_map(path: Path, stored: int) -> NDArray[np.float16]:
    """Opens a map [h, w, K] without reading it.

    Raises:
        DatasetError: it is damaged, or has another size or type.
    """
    again = "remove it and run 'embed-images' again"
    try:
        cells = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DatasetError(f"{path}: damaged ({error}); {again}") from error
    shape: tuple[int, ...] = getattr(cells, "shape", ())
    if len(shape) != 3 or 0 in shape or shape[2] != stored or cells.dtype != np.float16:
        raise DatasetError(
            f"{path}: is no float16 [h, w, {stored}] but {getattr(cells, 'dtype', 'an archive')} "
            f"{list(shape)}; {again}"
        )
    return cells


def map_bytes(cells: int, stored: int) -> int:
    """About how many bytes a map of so many cells takes on disk."""
    return 128 + 2 * cells * stored


def _corners(
    uv: NDArray[np.floating], size: tuple[int, int], shape: tuple[int, int]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]]:
    """The four cells around each pixel: rows, columns and shares [n] of each."""
    height, width = shape
    scale = np.array([width / size[0], height / size[1]])
    place = np.clip((uv + 0.5) * scale - 0.5, 0, [width - 1, height - 1])
    low = place.astype(np.int64)
    high = np.minimum(low + 1, [width - 1, height - 1])
    right, below = (place - low).astype(np.float32).T
    yield low[:, 1], low[:, 0], (1 - below) * (1 - right)
    yield low[:, 1], high[:, 0], (1 - below) * right
    yield high[:, 1], low[:, 0], below * (1 - right)
    yield high[:, 1], high[:, 0], below * right


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scales vectors [..., D] to length 1; those of length 0 stay."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return (vectors / np.where(length > 0, length, 1)).astype(np.float32)


def _npy_bytes(values: NDArray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values, allow_pickle=False)
    return stream.getvalue()
