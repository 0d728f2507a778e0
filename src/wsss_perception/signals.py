"""What signals do to this process."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

ENDING = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def end_at_once() -> Iterator[None]:
    """Lets SIGINT and SIGTERM end the process even inside a library that works for minutes.

    Python's own handlers, and those set before, would wait until it returns. For the main thread.
    """
    before = [(number, signal.signal(number, signal.SIG_DFL)) for number in ENDING]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)
