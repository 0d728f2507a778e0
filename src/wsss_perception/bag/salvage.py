"""Makes a whole storage file of what can be read of a damaged one."""

import os
import shutil
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote
from zlib import crc32

from wsss_perception.errors import BagError

_MAGIC = b"\x89MCAP0\r\n"
_SQLITE = b"SQLite format 3\0"
_SIDES = ("-wal", "-journal")
_PREFIX = struct.Struct("<BQ")  # operation and length of what follows
_END = struct.Struct("<BQQQI8s")  # prefix, summary's offset, its index's, its checksum, magic
_FOOTER, _CHUNK, _MESSAGE_INDEX, _CHUNK_INDEX, _STATISTICS, _DATA_END = 2, 6, 7, 8, 11, 15
_PRIVATE = 0x80
"""Operations from here on are other programs' own, and are passed over."""

_BLOCK = 1 << 24


def check_whole(file: Path) -> None:
    """Checks an sqlite3 file for damage that readers do not see.

    Raises:
        BagError: it lacks its last pages, which they take for zeros, or what its recorder had not
            moved from a ``-wal`` or ``-journal`` file when it was killed.
    """
    if file.suffix != ".db3":
        return
    with file.open("rb") as stream:
        header = stream.read(100)
    if not header.startswith(_SQLITE):
        return
    for left in _beside(file):
        raise BagError(
            f"{file.name}: its recorder was killed and left {left.name}, which is not read; "
            f"opening it takes that in: sqlite3 {file} 'SELECT * FROM topics'"
        )
    if header[24:28] == header[92:96]:  # where these differ, the length is not known
        page = int.from_bytes(header[16:18], "big")
        length = int.from_bytes(header[28:32], "big") * (65536 if page == 1 else page)
        if file.stat().st_size < length:
            raise BagError(f"{file.name} has {file.stat().st_size} of its {length} bytes")


def is_damaged(file: Path) -> bool:
    """Tells whether a file that cannot be opened is an mcap or sqlite3 file that is damaged.

    If not, no copy of it can be opened either: it is of another kind, or the reader is at fault.
    """
    if not os.access(file, os.R_OK):
        return False
    try:
        check_whole(file)
    except BagError:
        return True
    with file.open("rb") as stream:
        if stream.read(len(_MAGIC)) == _MAGIC:
            return not _has_end(stream)
        stream.seek(0)
        if stream.read(len(_SQLITE)) != _SQLITE:
            return False
    try:
        with closing(_connect(file)) as database:
            _look_through(database)
    except sqlite3.OperationalError:
        return False  # the tables are not those of a bag
    except sqlite3.DatabaseError:
        return True
    return False


def _has_end(file: BinaryIO) -> bool:
    """Tells whether an mcap file ends with a footer whose summary is whole."""
    size = os.fstat(file.fileno()).st_size
    start = size - _END.size
    if start < len(_MAGIC):
        return False
    file.seek(start)
    operation, length, summary, _, crc, magic = _END.unpack(file.read(_END.size))
    if (operation, length, magic) != (_FOOTER, 20, _MAGIC) or summary > start:
        return False
    file.seek(summary or start)
    content = file.read(size - file.tell() - 4 - len(_MAGIC))
    return not crc or crc32(content) == crc


def salvage(source: Path, target: Path) -> bool:
    """Copies what can be read of an mcap or sqlite3 file to a new file, which is whole.

    Args:
        source: the damaged file, .mcap or .db3; it is not changed.
        target: the new file.

    Returns:
        Whether anything could be read.

    Raises:
        BagError: the copy cannot be written.
    """
    free = shutil.disk_usage(target.parent).free
    needed = sum(file.stat().st_size for file in (source, *_beside(source)))
    if needed > free:
        raise BagError(
            f"{source}: is damaged; a copy of what can be read needs up to {needed / 1e9:.1f} GB, "
            f"and {target.parent} has {free / 1e9:.1f} GB left; make room there"
        )
    try:
        if source.suffix == ".mcap":
            return _salvage_mcap(source, target)
        return _salvage_sqlite(source, target)
    except (OSError, sqlite3.Error) as error:
        raise BagError(
            f"{source}: is damaged, and what can be read of it cannot be copied to {target}: "
            f"{error}; make room there"
        ) from error


@dataclass
class _Chunk:
    """A chunk of an mcap file, as its index describes it.

    Attributes:
        start: offset of its record.
        length: of its record, bytes.
        times: first and last time of its messages, as stored.
        sizes: compression, compressed and uncompressed size, as stored.
        indexes: offset of each channel's message index.
        end: offset of the end of these.
    """

    start: int
    length: int
    times: bytes
    sizes: bytes
    indexes: dict[int, int] = field(default_factory=dict)
    end: int = 0

    def encode(self) -> bytes:
        """Encodes the Chunk Index record."""
        channels = b"".join(struct.pack("<HQ", *entry) for entry in self.indexes.items())
        place = struct.pack("<QQI", self.start, self.length, len(channels))
        after = struct.pack("<Q", self.end - self.start - self.length)
        return _record(_CHUNK_INDEX, self.times + place + channels + after + self.sizes)


def _salvage_mcap(source: Path, target: Path) -> bool:
    """Copies the whole records, and adds the index that a file without its end lacks."""
    chunks: list[_Chunk] = []
    end = 0
    with source.open("rb") as file:
        for operation, start, length in _records(file):
            end = start + length
            if operation == _CHUNK:
                chunks.append(_read_chunk(file, start, length))
            elif operation == _MESSAGE_INDEX and chunks:
                (channel,) = struct.unpack("<H", file.read(2))
                chunks[-1].indexes[channel] = start
                chunks[-1].end = end
        if len(chunks) > 1 and not chunks[-1].indexes:
            end = chunks.pop().start
        if end:
            with target.open("wb") as copy:
                file.seek(0)
                for offset in range(0, end, _BLOCK):
                    copy.write(file.read(min(_BLOCK, end - offset)))
                copy.write(_encode_end(end, chunks))
    return end > 0


def _records(file: BinaryIO) -> Iterator[tuple[int, int, int]]:
    """Yields operation, offset and length of whole records; the file stands at their content."""
    size = os.fstat(file.fileno()).st_size
    start = len(_MAGIC)
    if file.read(start) != _MAGIC:
        return
    while len(prefix := file.read(_PREFIX.size)) == _PREFIX.size:
        operation, content = _PREFIX.unpack(prefix)
        length = _PREFIX.size + content
        is_data = 0 < operation < _DATA_END and operation != _FOOTER
        if start + length > size or not (is_data or operation >= _PRIVATE):
            return
        yield operation, start, length
        start += length
        file.seek(start)


def _read_chunk(file: BinaryIO, start: int, length: int) -> _Chunk:
    times, uncompressed, _ = file.read(16), file.read(8), file.read(4)
    name_length = file.read(4)
    name = file.read(min(int.from_bytes(name_length, "little"), length))
    return _Chunk(start, length, times, name_length + name + file.read(8) + uncompressed)


def _encode_end(offset: int, chunks: list[_Chunk]) -> bytes:
    """Encodes what ends a file whose data end at an offset, with an index where there is one."""
    data_end, summary, summary_start = _record(_DATA_END, bytes(4)), b"", 0
    if chunks and all(chunk.indexes for chunk in chunks):
        # statistics without schemas make readers look for the latter in the data
        summary = _record(_STATISTICS, bytes(46)) + b"".join(c.encode() for c in chunks)
        summary_start = offset + len(data_end)
    footer = _record(_FOOTER, struct.pack("<QQI", summary_start, 0, 0))
    return data_end + summary + footer + _MAGIC


def _record(operation: int, content: bytes) -> bytes:
    return _PREFIX.pack(operation, len(content)) + content


def _salvage_sqlite(source: Path, target: Path) -> bool:
    """Copies a file with what its recorder left beside it; if pages are missing, its tables."""
    if not _beside(source):
        return _copy_tables(source, target)
    copy = target.with_name(f"with-journal-{target.name}")
    for suffix in ("", *_SIDES):
        side = source.with_name(source.name + suffix)
        if side.exists():
            shutil.copyfile(side, copy.with_name(copy.name + suffix))
    try:
        with closing(sqlite3.connect(copy)) as database:
            database.execute("PRAGMA journal_mode = DELETE")  # takes in what is beside it
            _look_through(database)
        check_whole(copy)
    except (sqlite3.DatabaseError, BagError):
        return _copy_tables(copy, target)
    copy.rename(target)
    return True


def _beside(file: Path) -> list[Path]:
    """Returns the files beside an sqlite3 file in which its recorder left something."""
    sides = (file.with_name(file.name + suffix) for suffix in _SIDES)
    return [side for side in sides if side.exists() and any(_first_bytes(side))]


def _first_bytes(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(8)  # a journal that has been used up may stay, with zeros here


def _connect(file: Path) -> sqlite3.Connection:
    """Opens an sqlite3 file as it lies, without writing beside it."""
    return sqlite3.connect(f"file:{quote(os.path.abspath(file))}?immutable=1", uri=True)


def _look_through(database: sqlite3.Connection) -> None:
    """Looks at what a reader does; raises sqlite3.DatabaseError where the pages are wrong."""
    database.execute("SELECT count(topic_id) FROM messages").fetchone()
    database.execute("SELECT * FROM topics").fetchall()


def _copy_tables(source: Path, target: Path) -> bool:
    """Copies the tables, each up to the first row that cannot be read."""
    with closing(_connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.execute("PRAGMA writable_schema = ON")  # or a file without its last pages is refused
        new.execute("PRAGMA synchronous = OFF")
        schema = list(_rows(old, "SELECT type, name, sql FROM sqlite_master"))
        tables = [(name, sql) for kind, name, sql in schema if kind == "table"]
        for name, sql in tables:
            if name.startswith("sqlite_"):
                continue
            new.execute(sql)
            columns = len(new.execute(f'PRAGMA table_info("{name}")').fetchall())
            values = ",".join("?" * columns)
            rows = _rows(old, f'SELECT * FROM "{name}"')
            rows = _whole_messages(rows) if name == "messages" else rows
            new.executemany(f'INSERT INTO "{name}" VALUES ({values})', rows)
        for kind, _, sql in schema:
            if kind == "index" and sql:
                new.execute(sql)
        new.commit()
        return {"topics", "messages"} <= {name for name, _ in tables}


def _rows(database: sqlite3.Connection, query: str) -> Iterator[tuple[Any, ...]]:
    """Yields the rows of a query up to the first that cannot be read."""
    try:
        yield from database.execute(query)
    except sqlite3.DatabaseError:
        return


def _whole_messages(rows: Iterator[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """Yields messages but the last before the damage, whose end SQLite may fill with zeros."""
    whole = None
    for row in rows:
        if not isinstance(row[-1], bytes):
            return
        if whole is not None:
            yield whole
        whole = row
