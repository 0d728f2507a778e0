"""One thread that works on the clouds, and what stands between it and the callbacks."""

import logging
import threading
import time
from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

from wsss_perception.synchronizer import Synchronized, Synchronizer

Cloud = TypeVar("Cloud")
Image = TypeVar("Image")
Item = TypeVar("Item")
Item_co = TypeVar("Item_co", covariant=True)

_log = logging.getLogger(__name__)


@dataclass
class Counters:
    """What became of the clouds that arrived.

    Attributes:
        received: clouds that arrived.
        published: semantic clouds sent.
        dropped: replaced by a newer cloud before their turn came, or waiting at the end.
        failed: clouds that could not be segmented.
        duplicates: clouds that came twice, see ``Synchronizer``.
        lost: clouds that never arrived, as far as the middleware knows; not among ``received``.
    """

    received: int = 0
    published: int = 0
    dropped: int = 0
    failed: int = 0
    duplicates: int = 0
    lost: int = 0

    @property
    def pending(self) -> int:
        """Clouds waiting or in work; 0 after shutdown."""
        return self.received - self.published - self.dropped - self.failed - self.duplicates

    def __str__(self) -> str:
        duplicates = f", {self.duplicates} duplicates" if self.duplicates else ""
        return (
            f"{self.received} received, {self.published} published, {self.dropped} dropped, "
            f"{self.failed} failed{duplicates}; {self.lost} lost on the way"
        )


class Intake(Generic[Cloud, Image]):
    """Takes clouds and images from callbacks in any thread, and hands out frames to one thread.

    Args:
        synchronizer: joins them; its clock must be ``time.monotonic_ns``.
        counters: ``received``, ``dropped`` and ``duplicates`` are counted there.
        on_jump: told when the clouds' stamps went backwards.
    """

    def __init__(
        self,
        synchronizer: Synchronizer[Cloud, Image],
        counters: Counters,
        on_jump: Callable[[], None] = lambda: None,
    ) -> None:
        self._synchronizer = synchronizer
        self._counters = counters
        self._on_jump = on_jump
        self._before = replace(counters)
        self._condition = threading.Condition()
        self._closed = False

    def add_cloud(
        self, stamp: int, cloud: Cloud, waits: bool = True, kind: Hashable = None
    ) -> None:
        """Adds a cloud, see ``Synchronizer``; dropped if closed."""
        with self._condition:
            self._counters.received += 1
            if self._closed:
                self._counters.dropped += 1
                return
            jumps = self._synchronizer.counters.jumps
            self._synchronizer.add_cloud(stamp, cloud, waits, kind)
            jumped = self._synchronizer.counters.jumps > jumps
            self._count()
            self._condition.notify()
        if jumped:
            self._on_jump()

    def add_image(self, camera: str, stamp: int, image: Image) -> None:
        """Adds an image of a camera, of a stamp in nanoseconds."""
        with self._condition:
            self._synchronizer.add_image(camera, stamp, image)
            self._condition.notify()

    def take(self) -> Synchronized[Cloud, Image] | None:
        """Waits for a frame; None once closed."""
        with self._condition:
            if not self._closed:
                self._synchronizer.drop_old()
                self._count()
            while not self._closed:
                frame = self._synchronizer.take()
                if frame is not None:
                    return frame
                self._condition.wait(self._patience())
        return None

    def live(self) -> tuple[str, ...]:
        """Returns the cameras that send images now."""
        with self._condition:
            return self._synchronizer.live()

    def latest_images(
        self, cameras: Collection[str], patience: float
    ) -> dict[str, tuple[int, Image]]:
        """Returns the images of the frame taken last, with those that came since.

        Args:
            cameras: whose images are waited for, unless a cloud is ready or they are dead.
            patience: longest wait, seconds.
        """
        deadline = time.monotonic() + patience
        with self._condition:
            while not self._closed and self._synchronizer.may_improve(cameras):
                rest, until_ready = deadline - time.monotonic(), self._patience()
                if until_ready is not None:
                    rest = min(rest, until_ready)
                if rest <= 0:
                    break
                self._condition.wait(rest)
            return self._synchronizer.latest_images()

    def close(self) -> None:
        """Ends ``take`` and drops the clouds that wait."""
        with self._condition:
            self._closed = True
            self._counters.dropped += self._synchronizer.waiting
            self._condition.notify_all()

    def _patience(self) -> float | None:
        """Returns the seconds until a cloud is ready without further images; None for never."""
        deadline = self._synchronizer.next_deadline()
        return None if deadline is None else max(deadline - time.monotonic_ns(), 0) / 1e9

    def _count(self) -> None:
        counted = self._synchronizer.counters
        self._counters.dropped = self._before.dropped + counted.dropped
        self._counters.duplicates = self._before.duplicates + counted.duplicates


class Source(Protocol[Item_co]):
    """Where a worker's items come from, such as an ``Intake``."""

    def take(self) -> Item_co | None:
        """Waits for an item; None once closed."""
        ...

    def close(self) -> None:
        """Ends ``take``."""
        ...


class Worker(Generic[Item]):
    """Does a job on each item of a source in a thread of its own.

    Args:
        source: of the items.
        job: publishes the result of an item; runs in the worker's thread.
        on_failure: told of the exception that made the job fail; runs in the worker's thread.
        counters: ``published`` and ``failed`` are counted there.
    """

    def __init__(
        self,
        source: Source[Item],
        job: Callable[[Item], None],
        on_failure: Callable[[Exception], None],
        counters: Counters,
    ) -> None:
        self._source = source
        self._job = job
        self._on_failure = on_failure
        self._counters = counters
        self._thread = threading.Thread(target=self._work, name="segment-worker", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Closes the source and waits for the item in work."""
        self._source.close()
        self._thread.join()

    def _work(self) -> None:
        while (item := self._source.take()) is not None:
            try:
                self._job(item)
            except Exception as error:  # one bad cloud must not end the node
                self._counters.failed += 1
                self._tell(error)
            else:
                self._counters.published += 1

    def _tell(self, error: Exception) -> None:
        try:
            self._on_failure(error)
        except Exception:  # nor must one that cannot be told
            _log.exception("a failure could not be told: %r", error)
