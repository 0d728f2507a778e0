"""A bag up to where it is damaged: of a recording that was cut short, what was recorded."""

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from rosbags.interfaces import Connection

from wsss_perception.bag.reader import Bag, Message, open_bag, open_storage, storage_files
from wsss_perception.bag.salvage import is_damaged, salvage
from wsss_perception.errors import BagError

SALVAGED = ".salvaged-"
"""Begins the names of folders of copies."""


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
        """Yields messages as ``Bag.messages`` does, but ends at damage.

        Fewer messages than the bag says it has are damage too.
        """
        count = 0
        try:
            for message in super().messages(connections, start, stop):
                count += 1
                yield message
        except BagError as error:
            self.damage = self.damage or str(error)
        chosen = self.connections if connections is None else connections
        expected = sum(connection.msgcount for connection in chosen)
        if (start, stop) == (None, None) and count < expected:
            topics = ", ".join(sorted({connection.topic for connection in chosen}))
            self.damage = self.damage or (
                f"{self.path}: has {count} of the {expected} messages recorded on {topics}"
            )


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
        files = storage_files(path)
        try:
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
        with open_bag(file):
            return file
    except BagError:
        copy = folder / file.name
        return copy if is_damaged(file) and salvage(file, copy) else None
