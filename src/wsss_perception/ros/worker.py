"""One thread that works on the newest item; whatever it cannot keep up with is dropped, counted."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """One slot between two threads: a newer item replaces one that was not taken yet."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._item: T | None = None
        self._closed = False

    def put(self, item: T) -> bool:
        """Puts an item in the slot; returns whether one was lost: the older, or this if closed."""
        with self._condition:
            if self._closed:
                return True
            lost = self._item is not None
            self._item = item
            self._condition.notify()
            return lost

    def take(self) -> T | None:
        """Waits for an item and empties the slot; None once the mailbox is closed."""
        with self._condition:
            self._condition.wait_for(lambda: self._item is not None or self._closed)
            item, self._item = self._item, None
            return item

    def close(self) -> bool:
        """Ends ``take``; returns whether an item was lost: the one that waited in the slot."""
        with self._condition:
            lost = self._item is not None
            self._item, self._closed = None, True
            self._condition.notify_all()
            return lost


@dataclass
class Counters:
    """What became of the clouds that arrived.

    Attributes:
        received: clouds that arrived.
        published: semantic clouds sent.
        dropped: replaced by a newer cloud before their turn came, or waiting at shutdown.
        failed: clouds that could not be segmented.
        lost: clouds that never arrived, as far as the middleware knows; not among ``received``.
    """

    received: int = 0
    published: int = 0
    dropped: int = 0
    failed: int = 0
    lost: int = 0

    @property
    def pending(self) -> int:
        """Clouds waiting or in work; 0 after shutdown."""
        return self.received - self.published - self.dropped - self.failed

    def __str__(self) -> str:
        return (
            f"{self.received} received, {self.published} published, {self.dropped} dropped, "
            f"{self.failed} failed; {self.lost} lost on the way"
        )


class Worker(Generic[T]):
    """Does a job on the newest item in a thread of its own.

    Args:
        job: publishes the result of an item; runs in the worker's thread.
        on_failure: told of the exception that made the job fail; runs in the worker's thread.
    """

    def __init__(self, job: Callable[[T], None], on_failure: Callable[[Exception], None]) -> None:
        self.counters = Counters()
        self._job = job
        self._on_failure = on_failure
        self._mailbox: Mailbox[T] = Mailbox()
        self._thread = threading.Thread(target=self._work, name="segment-worker", daemon=True)
        self._thread.start()

    def submit(self, item: T) -> None:
        """Hands over an item without waiting; call it from one thread only."""
        self.counters.received += 1
        self.counters.dropped += self._mailbox.put(item)

    def close(self) -> None:
        """Drops the waiting item and waits for the one in work."""
        self.counters.dropped += self._mailbox.close()
        self._thread.join()

    def _work(self) -> None:
        while (item := self._mailbox.take()) is not None:
            try:
                self._job(item)
            except Exception as error:  # one bad cloud must not end the node
                self.counters.failed += 1
                self._on_failure(error)
            else:
                self.counters.published += 1
