"""Keeps what takes minutes to build, such as a GPU engine, for all processes of a user."""

import fcntl
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TextIO, TypeVar

from wsss_perception.errors import EngineError

T = TypeVar("T")
_log = logging.getLogger(__name__)


def user_cache() -> Path:
    """Where this user's programs keep what they can make again."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "wsss_perception" / "engines"


def load_or_build(path: Path, build: Callable[[], bytes], load: Callable[[bytes], T | None]) -> T:
    """Loads a file's content, or builds and keeps it where there is none that can be loaded.

    One process builds at a time; others wait and load what it built. A file that cannot be
    loaded, cut short or of another version, is built anew. Where the result cannot be kept, as
    on a full disk, it is used all the same.

    Args:
        path: of the file; its name should tell everything that the content depends on.
        build: makes the content.
        load: makes what is wanted of the content; None where that is impossible.

    Raises:
        EngineError: what was built cannot be loaded either; and what ``build`` raises.
    """
    found = _read(path, load)
    if found is not None:
        return found
    with _only_one(path.with_suffix(".lock")):
        found = _read(path, load)  # another process may have built it while this one waited
        if found is not None:
            return found
        content = build()
        _keep(path, content)
    found = load(content)
    if found is None:
        raise EngineError(f"{path.name}: what was just built here cannot be loaded here")
    return found


def _read(path: Path, load: Callable[[bytes], T | None]) -> T | None:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        _log.warning("%s: cannot be read and is built anew: %s", path, error)
        return None
    found = load(content)
    if found is None:
        _log.warning("%s: cannot be loaded here and is built anew", path)
    return found


def _keep(path: Path, content: bytes) -> None:
    scratch = None
    try:
        with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as stream:
            scratch = Path(stream.name)
            stream.write(content)
        scratch.replace(path)
    except OSError as error:
        _log.warning("%s: cannot be kept, so the next start builds it again: %s", path, error)
        if scratch is not None:
            scratch.unlink(missing_ok=True)


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Holds a file's lock; without one where the folder cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("w")
    except OSError as error:
        _log.warning("%s: no lock can be made: %s", path, error)
        yield
        return
    with stream:
        _lock(stream, path)
        yield


def _lock(stream: TextIO, path: Path) -> None:
    try:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _log.info("%s: another process builds; waiting for it", path)
            fcntl.flock(stream, fcntl.LOCK_EX)
    except OSError as error:  # some network file systems have no locks
        _log.warning("%s: cannot be locked: %s", path, error)
