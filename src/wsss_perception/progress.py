"""One line on stderr that says how far a command is."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

_INTERVAL = 0.2  # seconds between updates


class Progress:
    """Counts steps of a known total, as a context manager; shows them only on a terminal.

    Args:
        what: what is counted, such as ``clouds``.
        total: number of steps.
    """

    def __init__(self, what: str, total: int) -> None:
        self._what = what
        self._total = total
        self._done = 0
        self._start = time.monotonic()
        self._shown = 0.0

    def step(self, note: str = "") -> None:
        """Counts one step; a note is shown behind the counts."""
        self._done += 1
        now = time.monotonic()
        if sys.stderr.isatty() and (now - self._shown > _INTERVAL or self._done == self._total):
            self._shown = now
            rate = self._done / max(now - self._start, 1e-9)
            line = f"{self._done}/{self._total} {self._what}, {rate:.1f}/s{note and ', '}{note}"
            print(f"\r{line:<78}", end="", file=sys.stderr, flush=True)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            print(file=sys.stderr)


def tracked(items: Iterable[T], what: str, total: int) -> Iterator[T]:
    """Yields items and shows on a terminal how many of ``total`` are done."""
    with Progress(what, total) as progress:
        for item in items:
            yield item
            progress.step()
