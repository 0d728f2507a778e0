"""What the node tells of itself: rates, latency and counts, and each problem once in a while."""

import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace

from wsss_perception.ros.worker import Counters

REPORT_PERIOD = 5.0
"""Seconds between two lines on the node's state, and between two equal warnings."""

Clock = Callable[[], float]
"""Seconds that only grow."""

_NUMBER = re.compile(r"""0x[0-9a-f]+|(?<![\w'"/])\d+(?:\.\d+)?(?![\w'"/])""")
"""A number that stands alone: no part of a name, such as that of a camera or a topic."""


class Throttle:
    """Lets a text through once a period; texts that differ in their numbers alone are one.

    Numbers in names count: what is wrong with one camera does not hide what is with another. Safe
    to use from several threads.

    Args:
        period: seconds.
        clock: tells the time.
    """

    def __init__(self, period: float, clock: Clock = time.monotonic) -> None:
        self._period = period
        self._clock = clock
        self._passed: dict[str, float] = {}
        self._lock = threading.Lock()

    def __call__(self, text: str) -> bool:
        """Returns whether the text may pass now."""
        key = _NUMBER.sub("0", text)
        with self._lock:
            now = self._clock()
            self._passed = {t: s for t, s in self._passed.items() if now - s < self._period}
            if key in self._passed:
                return False
            self._passed[key] = now
            return True


class Status:
    """Sums up what happened between two reports.

    Args:
        counters: the node's counters.
        clock: tells the time.
    """

    def __init__(self, counters: Counters, clock: Clock = time.monotonic) -> None:
        self._counters = counters
        self._clock = clock
        self._last, self._last_time = replace(counters), clock()
        self._seconds: dict[str, float] = defaultdict(float)
        self._added = 0
        self._lock = threading.Lock()  # the worker adds, a timer reports

    def add(self, seconds: Mapping[str, float]) -> None:
        """Adds the seconds a published cloud spent in each stage."""
        with self._lock:
            self._added += 1
            for stage, value in seconds.items():
                self._seconds[stage] += value

    def report(self) -> str | None:
        """Returns a line on the time since the last report; None where no cloud arrived in it."""
        now, counters = self._clock(), replace(self._counters)
        last, elapsed = self._last, now - self._last_time
        with self._lock:
            seconds, self._seconds = self._seconds, defaultdict(float)
            added, self._added = self._added, 0
        self._last, self._last_time = counters, now
        arrived, published = counters.received - last.received, counters.published - last.published
        if not arrived and not published:
            return None
        line = f"{arrived / elapsed:.1f} clouds/s in, {published / elapsed:.1f} out"
        if added:
            stages = ", ".join(
                f"{stage} {1e3 * value / added:.0f}" for stage, value in seconds.items()
            )
            line += f"; {1e3 * sum(seconds.values()) / added:.0f} ms a cloud ({stages})"
        return f"{line}; in all {counters}"
