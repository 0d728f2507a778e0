"""Arrays kept on disk so that they are computed once: versioned, atomic, shared by processes."""

import hashlib
import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from wsss_training.files import write_whole

Arrays = dict[str, NDArray]
State = list[Any]

_INPUTS = "inputs"
_log = logging.getLogger(__name__)


class ArrayCache:
    """Named sets of arrays in a folder, one memory-mapped safetensors file each.

    A set is computed anew when the version changes, or when what it was computed from does: a file
    in size or time of modification, or a string that stands for other inputs. Any number of
    processes may share a folder: a file appears under its name when it is whole. Where the folder
    cannot be written to, sets are computed each time, with one warning.

    Args:
        folder: of the cache; made when first needed.
        version: of what is computed, of any length: settings, formats, code.
    """

    def __init__(self, folder: str | Path, version: str) -> None:
        self.folder = Path(folder) / hashlib.sha256(version.encode()).hexdigest()[:16]
        self._can_write = True

    def get(self, name: str, inputs: Sequence[Path | str], compute: Callable[[], Arrays]) -> Arrays:
        """Reads a set, or computes and keeps it; for inputs that are known beforehand.

        Args:
            name: of the set, unique in this version; may have slashes.
            inputs: the files that the set is computed from, that one is missing is remembered too;
                or strings, such as a digest of arrays.
            compute: computes the arrays, of any type of numbers or bool.

        Returns:
            The arrays by name.
        """
        path = self._path(name)
        states = [_state(entry) for entry in inputs]
        found = _read(path, lambda kept: kept == states)
        return self._keep(path, compute(), states) if found is None else found

    def get_traced(self, name: str, compute: Callable[[], tuple[Arrays, Sequence[Path]]]) -> Arrays:
        """As ``get``, for a computation that tells afterwards which files it has read."""
        path = self._path(name)
        found = _read(path, lambda kept: all(_state(Path(entry[0])) == entry for entry in kept))
        if found is not None:
            return found
        arrays, inputs = compute()
        return self._keep(path, arrays, [_state(entry) for entry in inputs])

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.safetensors"

    def _keep(self, path: Path, arrays: Arrays, states: list[State]) -> Arrays:
        arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        self._write(path, save(arrays, {_INPUTS: json.dumps(states)}))
        return arrays

    def _write(self, path: Path, content: bytes) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, content)
        except OSError as error:
            if self._can_write:
                _log.warning("%s: nothing more is cached: %s", path, error.strerror or error)
            self._can_write = False


def digest_arrays(arrays: Mapping[str, NDArray]) -> str:
    """What tells named arrays from others; their order does not matter."""
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype} {arrays[name].shape}".encode())
        digest.update(arrays[name].tobytes())
    return digest.hexdigest()


def user_cache() -> Path:
    """The folder for what is derived from datasets: ``$XDG_CACHE_HOME/wsss_training``."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "wsss_training"


def _state(entry: Path | str) -> State:
    """What tells whether an input has changed: of a file path, size, modification time in ns."""
    if isinstance(entry, str):
        return [entry]
    try:
        status = entry.stat()
    except OSError:  # missing, or not to be looked at: what it is computed by will say so
        return [os.path.abspath(entry), None, None]
    return [os.path.abspath(entry), status.st_size, status.st_mtime_ns]


def _read(path: Path, is_fresh: Callable[[list[State]], bool]) -> Arrays | None:
    """Reads a file of the cache; None where it is absent, damaged or of other inputs."""
    try:
        with safe_open(path, framework="numpy") as file:
            if not is_fresh(json.loads((file.metadata() or {})[_INPUTS])):
                return None
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, ValueError):
        return None
