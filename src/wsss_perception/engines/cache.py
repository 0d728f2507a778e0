"""Keeps what takes minutes to build, such as a GPU engine, for all processes of a user."""

import fcntl
import hashlib
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TextIO, TypeVar

from wsss_perception.errors import EngineError

T = TypeVar("T")
Tell = Callable[[str], None]
Log = Callable[..., None]
_SEAL = hashlib.sha256().digest_size
_log = logging.getLogger(__name__)


def user_cache() -> Path:
    """Where this user's programs keep what they can make again.

    Raises:
        EngineError: the user has no home.
    """
    home = os.environ.get("XDG_CACHE_HOME")
    try:
        folder = Path(home) if home else Path.home() / ".cache"
    except RuntimeError as error:
        raise EngineError(f"no place to keep engines: {error}; set XDG_CACHE_HOME") from error
    return folder / "wsss_perception" / "engines"


def load_or_build(
    path: Path,
    build: Callable[[], bytes],
    load: Callable[[bytes], T | None],
    tell: Tell = _log.info,
) -> tuple[T, bool]:
    """Loads a file's content, or builds and keeps it where there is none that can be loaded.

    One process builds at a time; others wait and load what it built. A file that cannot be
    loaded, cut short or of another version, is built anew. Where the result cannot be kept, as
    on a full disk, it is used all the same.

    Args:
        path: of the file; its name should tell everything that the content depends on.
        build: makes the content.
        load: makes what is wanted of the content; None where that is impossible.
        tell: shows the user a line, such as that another process builds.

    Returns:
        What was loaded, and whether the file holds it.

    Raises:
        EngineError: what was built cannot be loaded either; and what ``build`` raises.
    """
    found = _load(path, load, _log.debug)
    if found is not None:
        return found, True
    with only_one(path.with_suffix(".lock"), tell):
        found = _load(path, load)  # another process may have built it while this one waited
        if found is not None:
            return found, True
        content = build()
        kept = keep(path, content)
    found = load(content)
    if found is None:
        raise EngineError(f"{path.name}: what was just built here cannot be loaded here")
    return found, kept


def read_kept(path: Path, log: Log = _log.warning) -> bytes | None:
    """Reads what ``keep`` wrote; None where that is impossible, logged if the file is there.

    What is damaged is not handed out: libraries that load it may crash on it.
    """
    try:
        sealed = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        log("%s: cannot be read and is made anew: %s", path, error)
        return None
    content, seal = sealed[:-_SEAL], sealed[-_SEAL:]
    if hashlib.sha256(content).digest() != seal:
        log("%s: damaged, and is made anew", path)
        return None
    return content


def keep(path: Path, content: bytes) -> bool:
    """Writes a file, sealed by its SHA-256, whole or not at all; returns whether that worked.

    What fails costs a warning.
    """
    scratch = None
    try:
        with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as stream:
            scratch = Path(stream.name)
            stream.write(content + hashlib.sha256(content).digest())
        scratch.replace(path)
    except OSError as error:
        _log.warning("%s: cannot be kept, so the next start makes it again: %s", path, error)
        if scratch is not None:
            scratch.unlink(missing_ok=True)
        return False
    return True


@contextmanager
def only_one(path: Path, tell: Tell = _log.info) -> Iterator[None]:
    """Holds a file's lock; without one where the folder cannot be written.

    Args:
        path: of the lock.
        tell: shows the user that another process is waited for.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("w")
    except OSError as error:
        _log.warning("%s: no lock can be made: %s", path, error)
        yield
        return
    with stream:
        _lock(stream, path, tell)
        yield


def _load(path: Path, load: Callable[[bytes], T | None], log: Log = _log.warning) -> T | None:
    content = read_kept(path, log)
    if content is None:
        return None
    found = load(content)
    if found is None:
        log("%s: cannot be loaded here and is built anew", path)
    return found


def _lock(stream: TextIO, path: Path, tell: Tell) -> None:
    try:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell(f"another process builds the same engine; waiting for it ({path})")
            fcntl.flock(stream, fcntl.LOCK_EX)
    except OSError as error:  # some network file systems have no locks
        _log.warning("%s: cannot be locked: %s", path, error)
