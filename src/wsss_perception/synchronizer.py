"""Streams of clouds and images -> frames; pure, with the clock injected.

Clouds drive: each cloud that is not a duplicate becomes one frame, with the nearest image of each
camera, if there is one within the tolerance. A cloud waits for what a camera may still bring, but
never longer than ``wait``, and not at all for a camera that is not live.
"""

from collections import deque
from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from wsss_perception.camera_stream import CameraStream, nearer

Cloud = TypeVar("Cloud")
Image = TypeVar("Image")

JUMP = 1_000_000_000
"""Clouds whose stamps go backwards by more nanoseconds than this are of another time."""

DUPLICATE_WINDOW = 500_000_000
"""A cloud of the stamp and kind of one that arrived less than these nanoseconds ago is a duplicate.
"""

LATENESS = 200_000_000
"""Nanoseconds by which a cloud may be later than its images: a sweep, and its driver."""

_MAX_WAITING = 16
"""Where more clouds than this wait, the oldest is ready as it is."""

_MAX_RECENT = 64
"""Clouds whose stamps, kinds and arrivals are remembered, to know duplicates."""


@dataclass(frozen=True)
class Synchronized(Generic[Cloud, Image]):
    """A cloud and the images that go with it.

    Attributes:
        stamp: of the cloud, nanoseconds.
        cloud: as it was added.
        images: stamp and image of each camera that has one within the tolerance: the nearest one,
            of two equally near ones the later.
        missing: cameras without one.
    """

    stamp: int
    cloud: Cloud
    images: dict[str, tuple[int, Image]]
    missing: tuple[str, ...]


@dataclass
class SynchronizerCounters:
    """What became of the clouds; received = taken + dropped + duplicates + those that wait.

    Attributes:
        received: clouds added.
        taken: frames handed out.
        dropped: frames that were ready, but not taken before newer ones replaced them.
        duplicates: clouds of the stamp and kind of another one shortly before.
        jumps: times that the clouds' stamps went backwards by more than a second.
    """

    received: int = 0
    taken: int = 0
    dropped: int = 0
    duplicates: int = 0
    jumps: int = 0


@dataclass(eq=False)
class _Held(Generic[Cloud, Image]):
    """A cloud that was not taken yet.

    Attributes:
        order: by which frames are handed out: number of jumps before it, stamp, arrival.
        cloud: as it was added.
        arrival: clock time.
        deadline: clock time at which it waits no longer.
        images: nearest one of each camera so far, within the tolerance.
    """

    order: tuple[int, int, int]
    cloud: Cloud
    arrival: int
    deadline: int
    images: dict[str, tuple[int, Image]] = field(default_factory=dict)

    @property
    def stamp(self) -> int:
        return self.order[1]


class Synchronizer(Generic[Cloud, Image]):
    """Joins each cloud with the nearest image of each camera.

    A cloud is ready as soon as the nearest image of every live camera is decided: an image at or
    after the cloud's stamp has come, or the camera's period says that the next one will not be
    nearer (see ``CameraStream``). It is ready at the latest ``wait`` after its arrival.

    Clouds may come out of order. A stamp of 0 is no time, and never a duplicate; nor is a cloud
    known from before the stamps stepped back, as where a short bag begins anew. If the clouds'
    stamps go backwards by more than a second (a bag starts anew, a clock was set), those that wait
    are ready as they are and images from before are forgotten. A camera whose own stamps go
    backwards by more than half a second loses its images only.

    Whoever calls ``take`` until it returns None after each call that adds, and at
    ``next_deadline``, gets every cloud. Otherwise a new cloud drops the oldest of the ready frames,
    so that at most ``depth`` are left, with it where it is ready itself: one that must wait takes
    no other's place. Not thread-safe.

    Memory is bounded: images are kept for ``tolerance`` + ``wait`` + LATENESS, and no longer than
    half a second.

    Args:
        cameras: their names.
        tolerance: farthest an image's stamp may be from the cloud's, nanoseconds.
        wait: longest that a cloud waits for images, nanoseconds; with 0 each is ready at once with
            the images already there.
        clock: tells the time of arrival in nanoseconds that only grow.
        depth: ready frames kept for a consumer that is busy.

    Attributes:
        counters: what became of the clouds.

    Raises:
        ValueError: a name occurs twice, a time is negative or ``depth`` is below 1.
    """

    def __init__(
        self,
        cameras: Sequence[str],
        tolerance: int,
        wait: int,
        clock: Callable[[], int],
        depth: int = 2,
    ) -> None:
        if len(set(cameras)) != len(cameras):
            raise ValueError(f"camera names must differ, got {list(cameras)}")
        if tolerance < 0 or wait < 0 or depth < 1:
            raise ValueError(
                f"tolerance {tolerance} and wait {wait} must be at least 0, depth {depth} 1"
            )
        self.counters = SynchronizerCounters()
        self._streams: dict[str, CameraStream[Image]] = {
            name: CameraStream(tolerance + wait + LATENESS) for name in cameras
        }
        self._tolerance = tolerance
        self._wait = wait
        self._clock = clock
        self._depth = depth
        self._held: list[_Held[Cloud, Image]] = []
        self._taken: tuple[int, dict[str, tuple[int, Image]]] | None = None  # stamp, images
        self._newest: int | None = None  # stamp since the last jump
        self._recent: deque[tuple[int, Hashable, int]] = deque(maxlen=_MAX_RECENT)

    @property
    def waiting(self) -> int:
        """Clouds that were neither taken nor dropped."""
        return len(self._held)

    def live(self) -> tuple[str, ...]:
        """Returns the cameras that send images now."""
        now = self._clock()
        return tuple(name for name, stream in self._streams.items() if now < stream.dead_at)

    def add_cloud(
        self, stamp: int, cloud: Cloud, waits: bool = True, kind: Hashable = None
    ) -> None:
        """Adds a cloud.

        Args:
            stamp: nanoseconds.
            cloud: returned with its frame.
            waits: whether it may wait for images; otherwise it is ready at once.
            kind: what tells it from other clouds of its stamp, such as its frame and size.
        """
        now = self._clock()
        self.counters.received += 1
        if self._is_duplicate(stamp, kind, now):
            self.counters.duplicates += 1
            return
        ready = self._ready(now)
        self._notice_jump(stamp, now)
        self._recent.append((stamp, kind, now))
        order = (self.counters.jumps, stamp, self.counters.received)
        deadline = now + self._wait if waits else now
        held: _Held[Cloud, Image] = _Held(order, cloud, now, deadline)
        for name, stream in self._streams.items():
            for image_stamp, image in stream.images:
                self._offer(held.images, held.stamp, name, image_stamp, image)
        self._drop(ready, self._depth - (self._ready_at(held) <= now))
        self._held.append(held)
        self._held.sort(key=lambda entry: entry.order)
        for entry in self._held[:-_MAX_WAITING]:
            entry.deadline = min(entry.deadline, now)

    def add_image(self, camera: str, stamp: int, image: Image) -> None:
        """Adds an image.

        Args:
            camera: one of the names given.
            stamp: nanoseconds.
            image: returned with the frames it belongs to.

        Raises:
            ValueError: there is no such camera.
        """
        if camera not in self._streams:
            raise ValueError(f"no camera '{camera}'; there are {list(self._streams)}")
        self._streams[camera].add(stamp, image, self._clock())
        for held in self._held:
            self._offer(held.images, held.stamp, camera, stamp, image)
        if self._taken is not None:
            self._offer(self._taken[1], self._taken[0], camera, stamp, image)

    def take(self) -> Synchronized[Cloud, Image] | None:
        """Returns the oldest frame that is ready now; None where none is."""
        now = self._clock()
        for position, held in enumerate(self._held):
            if self._ready_at(held) <= now:
                del self._held[position]
                self.counters.taken += 1
                self._taken = held.stamp, dict(held.images)
                missing = tuple(name for name in self._streams if name not in held.images)
                return Synchronized(held.stamp, held.cloud, held.images, missing)
        return None

    def drop_old(self) -> None:
        """Drops all but the newest ``depth`` of the ready frames, for a consumer that was busy."""
        self._drop(self._ready(self._clock()), self._depth)

    def latest_images(self) -> dict[str, tuple[int, Image]]:
        """Returns the images of the frame taken last, with those that are nearer and came since."""
        return {} if self._taken is None else dict(self._taken[1])

    def may_improve(self, cameras: Collection[str]) -> bool:
        """Whether a live one of some cameras may still bring a nearer of the latest images."""
        if self._taken is None:
            return False
        now, stamp = self._clock(), self._taken[0]
        streams = (self._streams[name] for name in cameras)
        return any(now < each.dead_at and not each.decides(stamp) for each in streams)

    def next_deadline(self) -> int | None:
        """Returns the clock time at which a frame will be ready with no further image.

        It is in the past where one is ready now; None where no cloud waits.
        """
        return min(map(self._ready_at, self._held), default=None)

    def _ready_at(self, held: _Held[Cloud, Image]) -> int:
        """Returns the clock time from which a cloud waits no longer."""
        undecided = (
            stream.dead_at for stream in self._streams.values() if not stream.decides(held.stamp)
        )
        return min(held.deadline, max(undecided, default=held.arrival))

    def _offer(
        self,
        images: dict[str, tuple[int, Image]],
        cloud_stamp: int,
        camera: str,
        stamp: int,
        image: Image,
    ) -> None:
        """Gives a cloud an image if it is within the tolerance, and nearer than the one it has."""
        if abs(stamp - cloud_stamp) > self._tolerance:
            return
        known = images.get(camera)
        if known is None or nearer(stamp, known[0], cloud_stamp):
            images[camera] = (stamp, image)

    def _ready(self, now: int) -> list[_Held[Cloud, Image]]:
        """Returns the clouds that wait no longer, the oldest first."""
        return [held for held in self._held if self._ready_at(held) <= now]

    def _drop(self, ready: list[_Held[Cloud, Image]], kept: int) -> None:
        """Drops all but the newest ``kept`` of the ready clouds."""
        for held in ready[: max(len(ready) - kept, 0)]:
            self._held.remove(held)
            self.counters.dropped += 1

    def _notice_jump(self, stamp: int, now: int) -> None:
        if not stamp:
            return
        if self._newest is None or stamp >= self._newest - JUMP:
            self._newest = max(stamp, self._newest or stamp)
            return
        self.counters.jumps += 1
        self._newest = stamp
        for held in self._held:
            held.deadline = min(held.deadline, now)
        for stream in self._streams.values():
            stream.forget_beyond(stamp + JUMP)

    def _is_duplicate(self, stamp: int, kind: Hashable, now: int) -> bool:
        if not stamp:
            return False
        if self._recent and stamp < self._recent[-1][0]:
            self._recent.clear()
        return any(
            (stamp, kind) == known[:2] and now - known[2] < DUPLICATE_WINDOW
            for known in self._recent
        )
