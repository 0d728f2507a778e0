"""nuScenes' tables, read row by row: the largest have millions of rows and over a gigabyte."""

import codecs
import json
import re
from collections.abc import Callable, Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO

from wsss_perception.errors import DatasetError

CHUNK = 1 << 20
"""Bytes that are read at once."""

OnChunk = Callable[[], None]
"""Told of every chunk that was read."""

_ADVICE = "the tables do not belong together or are damaged: unpack them again"
_LONGEST = 1 << 20  # characters of a row
_SPACE = re.compile(r"[ \t\n\r]*")
_COMMA = re.compile(r"[ \t\n\r]*,[ \t\n\r]*")
_decode = json.JSONDecoder().raw_decode

_FIELDS: dict[str, dict[str, type]] = {
    "scene": {"token": str, "name": str},
    "sample": {"token": str, "scene_token": str, "timestamp": int},
    "sample_data": {
        "token": str,
        "sample_token": str,
        "ego_pose_token": str,
        "calibrated_sensor_token": str,
        "timestamp": int,
        "is_key_frame": bool,
        "filename": str,
        "width": int,
        "height": int,
    },
    "ego_pose": {"token": str, "translation": list, "rotation": list},
    "calibrated_sensor": {
        "token": str,
        "sensor_token": str,
        "translation": list,
        "rotation": list,
        "camera_intrinsic": list,
    },
    "sensor": {"token": str, "channel": str, "modality": str},
    "lidarseg": {"token": str, "sample_data_token": str, "filename": str},
}
"""The tables that are read and what is read of them."""


class Table:
    """One table of a version.

    Args:
        folder: the tables' folder, ``v1.0-...``.
        name: a table of which something is read.
        on_chunk: told of every ``CHUNK`` bytes.
    """

    def __init__(self, folder: Path, name: str, on_chunk: OnChunk = lambda: None) -> None:
        self.path = folder / f"{name}.json"
        self._fields, self._on_chunk = _FIELDS[name], on_chunk

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """Yields the read fields of each row, in the order they are listed in.

        Raises:
            DatasetError: the file cannot be read, is no list of rows, or a row lacks a field.
        """
        pick, kinds = itemgetter(*self._fields), tuple(self._fields.values())
        for number, row in enumerate(self._rows()):
            try:
                values = pick(row)
            except (KeyError, TypeError):
                values = ()
            if tuple(map(type, values)) != kinds:
                raise self.error(f"row {number} has no {self._lacking(row)}")
            yield values

    def error(self, text: str) -> DatasetError:
        """An error of this table, with what to do."""
        return DatasetError(f"{self.path}: {text}; {_ADVICE}")

    def find(self, numbers: dict[str, int], token: str, by: "Table") -> int:
        """The number of the row of this table that a row of another one names.

        Raises:
            DatasetError: there is none.
        """
        number = numbers.get(token)
        if number is None:
            raise self.error(f"no token '{token}', named in {by.path}")
        return number

    def numbered(self, tokens: list[str]) -> dict[str, int]:
        """Row numbers by token.

        Raises:
            DatasetError: a token occurs twice.
        """
        numbers: dict[str, int] = {}
        for number, token in enumerate(tokens):
            if numbers.setdefault(token, number) != number:
                raise self.error(f"token '{token}' occurs twice")
        return numbers

    def text(self, value: str) -> str:
        """Checks a name or path.

        Raises:
            DatasetError: it is empty or holds what no name or path has.
        """
        if not value or not value.isprintable():
            raise self.error(f"{value!r} is not a name")
        return value

    def _lacking(self, row: Any) -> str:
        fields = row if isinstance(row, dict) else {}
        return next(
            f"{kind.__name__} '{field}'"
            for field, kind in self._fields.items()
            if type(fields.get(field)) is not kind
        )

    def _rows(self) -> Iterator[Any]:
        try:
            with self.path.open("rb") as file:
                yield from self._values(_Characters(file, self._on_chunk))
        except OSError as error:
            raise self.error(f"cannot be read: {error.strerror}") from error
        except (ValueError, RecursionError) as error:
            raise self.error(f"not readable JSON: {error}") from error

    def _values(self, characters: "_Characters") -> Iterator[Any]:
        mark = characters.peek()
        if mark and mark != "[":
            raise self.error("not a list of rows")
        characters.take("[")
        if characters.peek() != "]":
            yield characters.value()
            while characters.comma():
                yield characters.value()
        characters.take("]")
        characters.take("")


class _Characters:
    """Text of a JSON file of which only a piece is held."""

    def __init__(self, file: BinaryIO, on_chunk: OnChunk) -> None:
        self._file, self._on_chunk = file, on_chunk
        self._bytes_to_text = codecs.getincrementaldecoder("utf-8")()
        self._text, self._at = "", 0
        self._before = 0  # characters of the file before the held text

    def peek(self) -> str:
        """The next character that is no space; none at the end of the file."""
        while True:
            self._at = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr]
            if self._at < len(self._text) or not self._fill():
                return self._text[self._at : self._at + 1]

    def take(self, mark: str) -> None:
        """Steps over a character; raises ValueError if it is not the next one."""
        found = self.peek()
        if found != mark:
            place = self._before + self._at
            raise ValueError(f"{found or 'end'!r} at character {place} is not {mark or 'end'!r}")
        self._at += len(mark)

    def comma(self) -> bool:
        """Steps over a comma and the space behind it; returns whether there is one."""
        found = _COMMA.match(self._text, self._at)  # all in one: the usual case must be fast
        if found and found.end() < len(self._text):
            self._at = found.end()
            return True
        if self.peek() != ",":
            return False
        self.take(",")
        self.peek()
        return True

    def value(self) -> Any:
        """Decodes the value that begins here; raises ValueError where there is none."""
        while True:
            try:
                value, self._at = _decode(self._text, self._at)
                return value
            except json.JSONDecodeError as error:  # damaged, or the rest is not read yet
                place = self._before + error.pos
                if len(self._text) - self._at > _LONGEST or not self._fill():
                    raise ValueError(f"{error.msg} at character {place}") from None

    def _fill(self) -> bool:
        """Adds a chunk to what is not read yet; returns whether there was one."""
        chunk = self._file.read(CHUNK)
        if chunk:
            self._on_chunk()
        piece = self._bytes_to_text.decode(chunk, final=not chunk)
        self._before += self._at
        self._text, self._at = self._text[self._at :] + piece, 0
        return bool(chunk)
