"""Writing a rosbag2 that appears under its name only when it is whole."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from rosbags.interfaces import (
    Connection,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys.store import Typestore

from wsss_perception.errors import BagError

STORAGES = {"mcap": StoragePlugin.MCAP, "sqlite3": StoragePlugin.SQLITE3}

_VERSION: Final = 8  # of the metadata: the newest that ROS 2 Humble to Jazzy all play
_FOREVER = QosTime(9223372036, 854775807)


def reliable_qos(depth: int = 10, latched: bool = False) -> Qos:
    """Returns a reliable keep-last profile; ``latched`` makes it transient local."""
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=depth,
        reliability=QosReliability.RELIABLE,
        durability=QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        deadline=_FOREVER,
        lifespan=_FOREVER,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=_FOREVER,
        avoid_ros_namespace_conventions=False,
    )


class BagWriter:
    """Writes a rosbag2 into a hidden folder beside ``path`` and renames it when it is closed.

    Used as a context manager: an exception inside leaves nothing behind.

    Args:
        path: folder of the new bag.
        storage: ``mcap`` or ``sqlite3``.
        typestore: definitions of the messages to write.

    Raises:
        BagError: ``path`` exists, or cannot be written (a full disk, no permission).
    """

    def __init__(self, path: str | Path, storage: str, typestore: Typestore) -> None:
        self.path = Path(path)
        self._storage = STORAGES[storage]
        self._typestore = typestore
        if self.path.exists() or self.path.is_symlink():
            raise BagError(f"{self.path}: exists; choose another name or remove it")

    def __enter__(self) -> "BagWriter":
        with self._reporting():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            scratch = tempfile.mkdtemp(prefix=f".{self.path.name}-", dir=self.path.parent)
        self._scratch = Path(scratch)
        self._folder = self._scratch / self.path.name
        try:
            with self._reporting():
                self._writer = Writer(self._folder, version=_VERSION, storage_plugin=self._storage)
                self._writer.open()
        except BagError:
            shutil.rmtree(self._scratch, ignore_errors=True)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                with self._reporting():
                    self._writer.close()
                    os.rename(self._folder, self.path)
        finally:
            with suppress(Exception):
                self._writer.abort()
            shutil.rmtree(self._scratch, ignore_errors=True)

    def add_topic(self, topic: str, msgtype: str, qos: Qos | None = None) -> Connection:
        """Adds a topic; reliable and volatile unless a profile is given."""
        with self._reporting():
            return self._writer.add_connection(
                topic,
                msgtype,
                typestore=self._typestore,
                offered_qos_profiles=[qos or reliable_qos()],
            )

    def copy_topic(self, source: Connection) -> Connection:
        """Adds a topic of another bag with its definition and QoS."""
        definition, digest = source.msgdef.data, source.digest
        if source.msgtype not in self._typestore.fielddefs:
            # Bags of ROS 2 Humble and earlier hold no definitions. Raw messages need none.
            self._typestore.register({source.msgtype: ([], [])})
        with self._reporting():
            return self._writer.add_connection(
                source.topic,
                source.msgtype,
                msgdef=definition or self._typestore.generate_msgdef(source.msgtype)[0],
                rihs01=digest or self._typestore.hash_rihs01(source.msgtype),
                serialization_format=source.ext.serialization_format,  # type: ignore[union-attr]
                offered_qos_profiles=source.ext.offered_qos_profiles,  # type: ignore[union-attr]
            )

    def write(self, connection: Connection, received: int, message: Any) -> None:
        """Writes a message object of the typestore at a receive time in nanoseconds."""
        self.write_raw(
            connection, received, self._typestore.serialize_cdr(message, connection.msgtype)
        )

    def write_raw(self, connection: Connection, received: int, data: bytes | memoryview) -> None:
        """Writes serialized bytes at a receive time in nanoseconds."""
        with self._reporting():
            self._writer.write(connection, received, data)

    def add_file(self, name: str, write: Callable[[Path], None]) -> None:
        """Adds a file to the bag's folder; ``write`` writes it to the path it is given."""
        with self._reporting():
            write(self._folder / name)

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # OSError, and what SQLite raises on a full disk
            raise BagError(
                f"{self.path}: cannot be written: {error}; nothing was left behind: make room "
                "or choose another disk"
            ) from error
