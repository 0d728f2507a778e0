"""Lets timed items pass in real time; pure, with the clock injected."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

LOOP_PAUSE = 100_000_000
"""Nanoseconds of bag time between the last item of a pass and the first of the next."""

_POLL = 100_000_000  # nanoseconds between two looks for a reason to stop


class Pacer:
    """Lets items pass when their time has come.

    Deadlines are absolute, counted from the first item, so that no delay adds up: an item that is
    late leaves the deadlines of the others where they are. Nothing is left out to catch up.

    Args:
        rate: seconds of the items' time that pass in one second.
        stopped: ends the waiting once it returns True.
        now: nanoseconds that only grow.
        sleep: waits about so many seconds; may end early or late.

    Attributes:
        lag: nanoseconds by which the item that was yielded last was late.
        max_lag: the largest lag so far.
    """

    def __init__(
        self,
        rate: float,
        stopped: Callable[[], bool] = lambda: False,
        now: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.lag = 0
        self.max_lag = 0
        self._rate = rate
        self._stopped = stopped
        self._now = now
        self._sleep = sleep
        self._start: int | None = None  # deadline of the next pass's first item

    def paced(self, items: Iterable[tuple[int, T]]) -> Iterator[tuple[int, T]]:
        """Yields each item at its time, or as soon as possible after it.

        A further call is a further pass: it goes on LOOP_PAUSE after the last item of the one
        before, with its own first item.

        Args:
            items: times in nanoseconds, and what belongs to them; times that step back do not
                turn the order round.
        """
        first = due = None
        for stamp, item in items:
            if first is None:
                first = stamp
                self._start = self._now() if self._start is None else self._start
            due = self._deadline(stamp - first)
            if not self._wait(due):
                return
            self.lag = self._now() - due
            self.max_lag = max(self.max_lag, self.lag)
            yield stamp, item
        if first is not None:
            self._start = self._deadline(stamp - first + LOOP_PAUSE)

    def _deadline(self, elapsed: int) -> int:
        assert self._start is not None
        return self._start + round(elapsed / self._rate)

    def _wait(self, due: int) -> bool:
        """Returns True at the deadline, or False as soon as there is a reason to stop."""
        while not self._stopped():
            remaining = due - self._now()
            if remaining <= 0:
                return True
            self._sleep(min(remaining, _POLL) / 1e9)
        return False


def with_ticks(
    items: Iterable[tuple[int, T]], period: float | None
) -> Iterator[tuple[int, T | None]]:
    """Adds (time, None) at the first item's time and every period after, up to the last item's.

    Args:
        items: times in nanoseconds that do not decrease, and what belongs to them.
        period: nanoseconds between two ticks; None for no ticks.
    """
    first, ticks = None, 0
    for stamp, item in items:
        first = stamp if first is None else first
        while period is not None and (tick := first + round(ticks * period)) <= stamp:
            yield tick, None
            ticks += 1
        yield stamp, item
