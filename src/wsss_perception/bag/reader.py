"""Reading a rosbag2 of any storage; every failure of the storage is a BagError."""

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection
from rosbags.typesys import Stores, get_typestore
from rosbags.typesys.store import Typestore

from wsss_perception.bag.salvage import check_whole
from wsss_perception.errors import BagError, MessageError

_SUFFIXES = (".mcap", ".db3")
_RECOVERY = (
    "if its recording was cut short, 'ros2 bag reindex' (or 'mcap recover') may save it; "
    "otherwise copy it again"
)


class Message(NamedTuple):
    """A message as stored: its topic's connection, receive time in nanoseconds, serialized."""

    connection: Connection
    received: int
    data: bytes


class Bag:
    """An open rosbag2.

    Attributes:
        path: the folder or file.
        connections: its topics with their types, definitions and QoS.
        typestore: message classes, by the bag's own definitions where it has them.
        reader: what rosbags reads it with.
    """

    def __init__(self, path: Path, reader: AnyReader) -> None:
        self.path = path
        self.connections: list[Connection] = reader.connections
        self.typestore: Typestore = reader.typestore
        self.reader = reader

    @property
    def storage(self) -> str:
        """``mcap`` or ``sqlite3``."""
        is_mcap = self.path.suffix == ".mcap" or any(self.path.glob("*.mcap*"))
        return "mcap" if is_mcap else "sqlite3"

    def of_type(self, msgtype: str) -> list[Connection]:
        """Returns the connections of a message type, such as ``sensor_msgs/msg/Image``."""
        return [c for c in self.connections if c.msgtype == msgtype]

    def recorded(self, msgtype: str) -> list[Connection]:
        """Returns the connections of a message type that have messages; all if none has any."""
        connections = self.of_type(msgtype)
        return [c for c in connections if c.msgcount] or connections

    def on_topic(self, topic: str) -> list[Connection]:
        """Returns the connections of a topic."""
        return [c for c in self.connections if c.topic == topic]

    def messages(
        self,
        connections: Collection[Connection] | None = None,
        start: int | None = None,
        stop: int | None = None,
    ) -> Iterator[Message]:
        """Yields messages ordered by receive time.

        Args:
            connections: only of these topics; of all by default.
            start: only from this receive time on (nanoseconds).
            stop: only before this receive time.

        Raises:
            BagError: the bag is damaged; the messages before that have been yielded.
        """
        if connections is not None and not connections:
            return
        count = 0
        try:
            for entry in self.reader.messages(connections or (), start, stop):
                count += 1
                yield Message(*entry)
        except GeneratorExit:
            raise
        except Exception as error:  # whatever a damaged file makes the storage stumble over
            raise BagError(
                f"{self.path}: damaged after {count} messages: {error}; {_RECOVERY}"
            ) from error

    def deserialize(self, message: Message) -> Any:
        """Deserializes a message.

        Raises:
            MessageError: its bytes do not fit its type.
        """
        try:
            return self.reader.deserialize(message.data, message.connection.msgtype)
        except Exception as error:  # bytes that do not fit fail in many ways
            raise MessageError(
                f"{message.connection.topic} at {message.received} ns: not a "
                f"{message.connection.msgtype}: {error}"
            ) from error


@contextmanager
def open_bag(path: str | Path) -> Iterator[Bag]:
    """Opens a rosbag2: a folder with metadata.yaml, or a lone .mcap or .db3 file.

    Raises:
        BagError: there is no such bag, it is damaged, or it is one of ROS 1.
    """
    path = Path(path)
    if not path.exists():
        raise BagError(f"{path}: no such bag; give the folder that 'ros2 bag record' wrote")
    if path.suffix == ".bag":
        raise BagError(f"{path}: a ROS 1 bag; convert it first: rosbags-convert --src {path}")
    if path.is_dir() and not (path / "metadata.yaml").exists():
        raise BagError(f"{path}: has no metadata.yaml, so it is not a whole rosbag2; {_RECOVERY}")
    for file in storage_files(path):
        try:
            check_whole(file)
        except (OSError, BagError) as error:
            raise BagError(f"{path}: damaged: {error}; {_RECOVERY}") from error
    with open_storage(path, [path]) as bag:
        yield bag


def storage_files(path: Path) -> list[Path]:
    """Returns the files of a bag in the order they were recorded."""
    files = path.iterdir() if path.is_dir() else [path]
    found = [file for file in files if file.suffix in _SUFFIXES and file.is_file()]
    return sorted(found, key=lambda file: [int(number) for number in re.findall(r"\d+", file.stem)])


@contextmanager
def open_storage(path: Path, parts: Sequence[Path]) -> Iterator[Bag]:
    """Opens files of one recording as one bag.

    Args:
        path: names the bag in errors.
        parts: its files, or the folder that has a metadata.yaml.

    Raises:
        BagError: a part cannot be read.
    """
    fallback = get_typestore(Stores.ROS2_JAZZY)
    try:
        reader = AnyReader(parts, default_typestore=fallback)
        reader.open()
    except Exception as error:  # whatever a damaged file makes the storage stumble over
        reason = str(error) or type(error).__name__
        raise BagError(f"{path}: cannot be read as a rosbag2: {reason}; {_RECOVERY}") from error
    try:
        missing = fallback.fielddefs.keys() - reader.typestore.fielddefs.keys()
        reader.typestore.register({name: fallback.fielddefs[name] for name in missing})
        yield Bag(path, reader)
    finally:
        reader.close()
