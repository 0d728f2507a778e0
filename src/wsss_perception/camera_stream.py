"""The images of one camera that a synchroniser keeps, and when it sends them."""

from collections import deque
from typing import Generic, TypeVar

Image = TypeVar("Image")

MAX_HORIZON = 500_000_000
"""Longest time in nanoseconds that images are kept, and step back that is another time."""

_MAX_IMAGES = 32
_INTERVALS = 8
_LIVE_PERIODS = 3
_UNKNOWN_PERIOD = 1_000_000_000
"""Nanoseconds between the images of a camera that sent only a few yet."""


def nearer(stamp: int, known: int, target: int) -> bool:
    """Returns whether a stamp is nearer to a target than a known one, or as near and not before."""
    distance, known_distance = abs(stamp - target), abs(known - target)
    return distance < known_distance or (distance == known_distance and stamp >= known)


class Liveness:
    """Whether messages of a kind still come: until 3 of their periods after the last one.

    The period is the mean of the last 8 intervals between arrivals, and taken for 1 s as long as
    there are fewer; after 3 s without a message they begin anew.

    Attributes:
        dead_at: clock time from which they do not come any more, unless one comes.
    """

    def __init__(self) -> None:
        self.dead_at = 0
        self._arrivals: deque[int] = deque(maxlen=_INTERVALS + 1)

    def note(self, now: int) -> None:
        """Notes that a message arrived at a clock time in nanoseconds."""
        arrivals = self._arrivals
        if arrivals and now - arrivals[-1] > _LIVE_PERIODS * _UNKNOWN_PERIOD:
            arrivals.clear()
        arrivals.append(now)
        period = _UNKNOWN_PERIOD
        if len(arrivals) > _INTERVALS:
            period = (arrivals[-1] - arrivals[0]) // _INTERVALS
        self.dead_at = now + _LIVE_PERIODS * period


class CameraStream(Generic[Image]):
    """The newest images of one camera.

    Args:
        horizon: images that are older than the newest by more nanoseconds than this, or than
            MAX_HORIZON, are of no use.

    Attributes:
        images: stamp and image, by stamp; bounded in number and in time.
    """

    def __init__(self, horizon: int = MAX_HORIZON) -> None:
        self.images: list[tuple[int, Image]] = []
        self._horizon = min(horizon, MAX_HORIZON)
        self._liveness = Liveness()
        self._intervals: deque[int] = deque(maxlen=_INTERVALS)  # between stamps

    @property
    def dead_at(self) -> int:
        """Clock time from which the camera is not live, unless an image comes."""
        return self._liveness.dead_at

    def add(self, stamp: int, image: Image, now: int) -> None:
        """Adds an image.

        Args:
            stamp: nanoseconds; if it is more than half a second before the newest, the camera's
                time went back, and the images from before are forgotten.
            image: to keep.
            now: clock time.
        """
        self._liveness.note(now)
        newest = self.images[-1][0] if self.images else None
        if newest is not None and stamp < newest - MAX_HORIZON:
            self.images = []
        elif newest is not None and stamp > newest:
            self._intervals.append(stamp - newest)
        kept = sorted([*self.images, (stamp, image)], key=lambda entry: entry[0])[-_MAX_IMAGES:]
        self.images = [entry for entry in kept if entry[0] >= kept[-1][0] - self._horizon]

    def decides(self, stamp: int) -> bool:
        """Returns whether the image nearest to a stamp has come.

        One at or after the stamp has, or the newest one is before the stamp by less than half the
        shortest of the last 8 intervals between stamps: the next one would be farther away.
        """
        if not self.images:
            return False
        ahead = stamp - self.images[-1][0]
        full = len(self._intervals) == _INTERVALS
        return ahead <= 0 or (full and 2 * ahead < min(self._intervals))

    def forget_beyond(self, stamp: int) -> None:
        """Forgets all images if the newest one is after a stamp: they are of another time."""
        if self.images and self.images[-1][0] > stamp:
            self.images = []
