"""A bag up to where it is damaged: of a recording that was cut short, what was recorded."""

import re
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from rosbags.interfaces import Connection

from wsss_perception.bag.reader import Bag, Message, open_bag, open_storage
from wsss_perception.bag.salvage import check_length, salvage
from wsss_perception.errors import BagError

SALVAGED = ".salvaged-"
"""Begins the names of folders of copies."""

_SUFFIXES = (".mcap", ".db3")


class BagUpToDamage(Bag):
    """A bag whose messages end where it is damaged.

    Attributes:
        damage: what is wrong with it, as far as it was met; None so far.
    """

    def __init__(self, bag: Bag, damage: str | None = None) -> None:
        super().__init__(bag.path, bag.reader)
        self.damage = damage

    def messages(
        self,
        connections: Collection[Connection] | None = None,
        start: int | None = None,
        stop: int | None = None,
    ) -> Iterator[Message]:
        """Yields messages as ``Bag.messages`` does, but ends at damage."""
        try:
            yield from super().messages(connections, start, stop)
        except BagError as error:
            self.damage = self.damage or str(error)


@contextmanager
def open_up_to_damage(path: str | Path, scratch: str | Path) -> Iterator[BagUpToDamage]:
    """Opens a rosbag2 like ``open_bag``, also one without metadata.yaml, footer or last pages.

    Args:
        path: the bag.
        scratch: folder on a disk with room for a copy of a file that cannot be read as it is; the
            copy is removed in the end.

    Raises:
        BagError: there is no such bag, nothing of it can be read, or a copy cannot be written.
    """
    path, damage = Path(path), None
    with ExitStack() as stack:
        files = _storage_files(path)
        try:
            check_length(files)
            bag = stack.enter_context(open_bag(path))
        except BagError as error:
            if not files:
                raise
            folder = stack.enter_context(TemporaryDirectory(prefix=SALVAGED, dir=scratch))
            readable = (_readable(file, Path(folder)) for file in files)
            parts = [part for part in readable if part is not None]
            if not parts:
                raise
            cut = [part.name for part in parts if part.parent == Path(folder)]
            damage = str(error) + "".join(f"; {name} was read up to its damage" for name in cut)
            bag = stack.enter_context(open_storage(path, parts))
        yield BagUpToDamage(bag, damage)


def _readable(file: Path, folder: Path) -> Path | None:
    """Returns a storage file, or the copy of what can be read of it; None if nothing can."""
    try:
        check_length([file])
        with open_bag(file):
            return file
    except BagError:
        copy = folder / file.name
        return copy if salvage(file, copy) else None


def _storage_files(path: Path) -> list[Path]:
    """Returns the files of a bag in the order they were recorded."""
    files = path.iterdir() if path.is_dir() else [path]
    found = [file for file in files if file.suffix in _SUFFIXES and file.is_file()]
    return sorted(found, key=lambda file: [int(number) for number in re.findall(r"\d+", file.stem)])
