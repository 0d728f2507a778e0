"""Fused embeddings on disk, so that training reads those of a few points of a sample at a time.

For each sample a folder has ``<sample_id>.npy``, float16 [M, R], the embeddings of the points that
are seen, ``<sample_id>.geometry.txt``, a digest of where its points and cameras were, and
``<sample_id>.seen.npy``, bool [N], which points are seen. The last one is written last: a sample
that has it is complete. R is the space's size D; or fewer, where the teacher's maps span
no more of it.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import yaml
from numpy.typing import NDArray

from wsss_perception.errors import ConfigError, DatasetError
from wsss_training.files import write_whole

INFO_FILE = "fused.yaml"
_SCHEMA = 1
_ITEM = np.dtype(np.float16).itemsize


class FusedStore:
    """Embeddings of samples by their ids; any number of processes may share it.

    Args:
        folder: made if absent.
        span: orthonormal columns [D, R]: what is kept are coordinates in it; None keeps all D.
        size: D.
        info: what the embeddings are of, to tell them from others.

    Attributes:
        kept: R, numbers on disk of a point.
        info: as given.

    Raises:
        ConfigError: the folder has embeddings of something else, or cannot be written to.
    """

    def __init__(
        self, folder: Path, span: NDArray[np.float32] | None, size: int, info: dict[str, Any]
    ) -> None:
        self._folder, self._span, self.info = folder, span, info
        self.kept = size if span is None else span.shape[1]
        text = yaml.safe_dump({"schema": _SCHEMA, "size": size, **info}, sort_keys=False)
        path = folder / INFO_FILE
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                write_whole(path, text.encode("utf-8"))
            there = path.read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"{path}: cannot be written or read: {error.strerror}") from error
        if there != text:
            raise ConfigError(
                f"{folder}: has embeddings of another teacher, or of maps that were made anew; "
                "remove it, and what was learned from it, or choose another 'output'"
            )

    def has(self, sample_id: str) -> bool:
        """Whether a sample is complete."""
        return self._seen_path(sample_id).exists()

    def bytes_for(self, points: int, seen: int) -> int:
        """Size on disk of a sample of which so many points are seen."""
        return points + seen * self.kept * _ITEM

    def write(self, sample_id: str, embeddings: NDArray[np.float32], geometry: str) -> None:
        """Keeps the embeddings of a sample's points.

        Args:
            sample_id: of the sample.
            embeddings: [N, R]; rows of 0 are unseen points.
            geometry: what decides where they are seen, see ``teachers.fused_embeddings``.

        Raises:
            DatasetError: they cannot be written.
        """
        seen = np.any(embeddings != 0, axis=1)
        path = self._path(sample_id)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _save(path, embeddings.astype(np.float16)[seen])
            write_whole(self._geometry_path(sample_id), geometry.encode())
            _save(self._seen_path(sample_id), seen)
        except OSError as error:
            raise DatasetError(f"{path}: cannot be written: {error.strerror or error}") from error

    def check_geometry(self, sample_id: str, geometry: str) -> None:
        """Checks that points and cameras are where they were when they were fused.

        Raises:
            DatasetError: they are not.
        """
        if self._geometry(sample_id) != geometry:
            raise DatasetError(
                f"{sample_id}: its points, images or calibration have changed since their "
                f"embeddings were fused; {self._cure}"
            )

    def digest(self, sample_ids: Sequence[str]) -> str:
        """What tells the embeddings of some samples from those of other clouds and cameras."""
        result = hashlib.sha256()
        for sample_id in sample_ids:
            result.update(f"{sample_id} {self._geometry(sample_id)}\n".encode())
        return result.hexdigest()

    def seen(self, sample_id: str) -> NDArray[np.bool_]:
        """Which points of a sample are seen, bool [N].

        Raises:
            DatasetError: the file is missing or damaged.
        """
        return self._load(self._seen_path(sample_id))

    def read(
        self, sample_id: str, rows: NDArray[np.int64] | slice = slice(None)
    ) -> NDArray[np.float32]:
        """Reads embeddings [n, D] of some of the seen points; only those are read from disk.

        Args:
            sample_id: of the sample.
            rows: numbers among the seen points; fastest in ascending order.

        Raises:
            DatasetError: the file is missing or damaged.
        """
        path = self._path(sample_id)
        stored = self._load(path)
        if stored.ndim != 2 or stored.shape[1] != self.kept:
            raise DatasetError(
                f"{path}: is {list(stored.shape)}, not [M, {self.kept}]; {self._cure}"
            )
        coordinates = stored[rows].astype(np.float32)
        return coordinates if self._span is None else coordinates @ self._span.T

    def _load(self, path: Path) -> NDArray:
        try:
            return np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise DatasetError(
                f"{path}: fused embeddings cannot be read: {error}; {self._cure}"
            ) from error

    def _geometry(self, sample_id: str) -> str:
        path = self._geometry_path(sample_id)
        try:
            return path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise DatasetError(f"{path}: cannot be read: {error}; {self._cure}") from error

    @property
    def _cure(self) -> str:
        return f"remove {self._folder} and give the same command again"

    def _path(self, sample_id: str) -> Path:
        return self._folder / f"{sample_id}.npy"

    def _geometry_path(self, sample_id: str) -> Path:
        return self._folder / f"{sample_id}.geometry.txt"

    def _seen_path(self, sample_id: str) -> Path:
        return self._folder / f"{sample_id}.seen.npy"


def rows_of(seen: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The row of each point among the seen ones, int64 [N]; -1 for an unseen point."""
    return np.where(seen, np.cumsum(seen) - 1, -1)


def draw_some(
    candidates: NDArray[np.int64], most: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draws at most so many of the candidates, in their order."""
    if len(candidates) <= most:
        return candidates
    return candidates[np.sort(rng.choice(len(candidates), most, replace=False))]


def _save(path: Path, values: NDArray) -> None:
    """Writes an array whole or not at all, without a copy of it in memory."""
    scratch = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with scratch.open("wb") as stream:
            np.save(stream, values, allow_pickle=False)
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
