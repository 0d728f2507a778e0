"""Writing files whole or not at all, and telling them from others."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from uuid import uuid4


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file that appears under its name when it is whole, and replaces one of that name.

    Any number of processes may write the same file: the last one to finish stays. The folder must
    exist.

    Raises:
        OSError: it cannot be written; what was there stays.
    """
    scratch = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        scratch.write_bytes(content)
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def digest_files(files: Iterable[Path]) -> str:
    """SHA-256 of files' contents, one after the other."""
    result = hashlib.sha256()
    for path in files:
        result.update(path.read_bytes())
    return result.hexdigest()
