"""Clouds and images that reach a synchroniser at simulated times."""

from dataclasses import dataclass

from wsss_perception.synchronizer import Synchronizer

MS = 1_000_000
PERIOD, TOLERANCE, WAIT = 100 * MS, 50 * MS, 60 * MS


class Clock:
    now = 0

    def __call__(self):
        return self.now


@dataclass(frozen=True)
class Arrival:
    """A message on its way: a cloud where ``camera`` is None."""

    time: int
    stamp: int
    camera: str | None = None


def make(cameras=("left", "right"), wait=WAIT, depth=2):
    clock = Clock()
    return Synchronizer(cameras, TOLERANCE, wait, clock, depth), clock


def drain(synchronizer):
    frames = []
    while (frame := synchronizer.take()) is not None:
        frames.append(frame)
    return frames


def play(synchronizer, clock, arrivals):
    """Lets messages arrive with a consumer that keeps up; returns (clock time, frame) pairs."""
    taken = []

    def take_all():
        taken.extend((clock.now, frame) for frame in drain(synchronizer))

    def run_until(time):
        while (due := synchronizer.next_deadline()) is not None and due <= time:
            clock.now = max(clock.now, due)
            before = len(taken)
            take_all()
            assert len(taken) > before, "a deadline without a frame"

    for arrival in sorted(arrivals, key=lambda entry: entry.time):
        run_until(arrival.time)
        clock.now = arrival.time
        if arrival.camera is None:
            synchronizer.add_cloud(arrival.stamp, arrival)
        else:
            synchronizer.add_image(arrival.camera, arrival.stamp, arrival)
        take_all()
    run_until(float("inf"))
    return taken


def images(camera, first, count, period=PERIOD, latency=0):
    stamps = [first + number * period for number in range(count)]
    return [Arrival(stamp + latency, stamp, camera) for stamp in stamps]


def add_images(synchronizer, clock, camera, *stamps):
    for stamp in stamps:
        clock.now = max(clock.now, stamp)
        synchronizer.add_image(camera, stamp, f"{camera}{stamp // MS}")


def check_counters(synchronizer):
    counters = synchronizer.counters
    ended = counters.taken + counters.dropped + counters.duplicates
    assert counters.received == ended + synchronizer.waiting
