"""Writing files whole or not at all."""

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
