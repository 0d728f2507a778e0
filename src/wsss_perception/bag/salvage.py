"""Makes a whole storage file of what can be read of a damaged one."""

import os
import sqlite3
import struct
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

from wsss_perception.errors import BagError

_MAGIC = b"\x89MCAP0\r\n"
_SQLITE = b"SQLite format 3\0"
_PREFIX = struct.Struct("<BQ")  # operation and length of what follows
_FOOTER, _CHUNK, _MESSAGE_INDEX, _CHUNK_INDEX, _STATISTICS, _DATA_END = 2, 6, 7, 8, 11, 15
_PRIVATE = 0x80
"""Operations from here on are other programs' own, and are passed over."""

_BLOCK = 1 << 24


def check_length(files: Iterable[Path]) -> None:
    """Checks sqlite3 files that lack their last pages, which readers take for zeros.

    Raises:
        BagError: a file is shorter than it says.
    """
    for file in files:
        with file.open("rb") as stream:
            header = stream.read(100)
        if not header.startswith(_SQLITE) or header[24:28] != header[92:96]:
            continue  # where these differ, the length is not known
        page = int.from_bytes(header[16:18], "big")
        length = int.from_bytes(header[28:32], "big") * (65536 if page == 1 else page)
        if file.stat().st_size < length:
            raise BagError(f"{file}: has {file.stat().st_size} of its {length} bytes")


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
    """Copies the tables, each up to the first row that cannot be read."""
    uri = f"file:{quote(os.path.abspath(source))}?immutable=1"
    with closing(sqlite3.connect(uri, uri=True)) as old, closing(sqlite3.connect(target)) as new:
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
