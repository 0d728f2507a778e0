"""One line on stderr that says how far a command is."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

_INTERVAL = 0.2  # seconds between updates on a terminal
_LOG_INTERVAL = 10.0  # seconds between lines elsewhere


class Progress:
    """Counts steps of a known total, as a context manager, and shows how far they are.

    On a terminal one line is rewritten; elsewhere a line is added every ten seconds.

    Args:
        what: what is counted, such as ``clouds``.
        total: number of steps.
    """

    def __init__(self, what: str, total: int) -> None:
        self._what = what
        self._total = total
        self._done = 0
        self._start = time.monotonic()
        self._shown = self._start
        self._on_terminal = sys.stderr.isatty()

    def step(self, note: str = "") -> None:
        """Counts one step; a note is shown behind the counts."""
        self._done += 1
        now = time.monotonic()
        ended = self._done == self._total
        if self._on_terminal and (now - self._shown > _INTERVAL or ended):
            self._shown = now
            print(f"\r{self._line(now, note):<78}", end="", file=sys.stderr, flush=True)
        elif not self._on_terminal and now - self._shown > _LOG_INTERVAL:
            self._shown = now
            print(self._line(now, note), file=sys.stderr, flush=True)

    def _line(self, now: float, note: str) -> str:
        rate = self._done / max(now - self._start, 1e-9)
        return f"{self._done}/{self._total} {self._what}, {rate:.1f}/s{note and ', '}{note}"

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self._on_terminal and self._shown > self._start:
            print(file=sys.stderr)


def tracked(items: Iterable[T], what: str, total: int) -> Iterator[T]:
    """Yields items and shows how many of ``total`` are done."""
    with Progress(what, total) as progress:
        for item in items:
            yield item
            progress.step()
