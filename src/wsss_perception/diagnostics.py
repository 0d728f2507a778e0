"""Is all well with the node? Numbers of a span of time in, a level and a sentence out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum


class Level(IntEnum):
    """Levels of diagnostic_msgs/DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2


_SETTINGS = ("fixed_frame", "motion_compensation")
"""Parameters that are told of as cameras are where what they ask for is not done."""

OUT_OF_RANGE = (
    "no point in range: all points out of point_range or not finite; is the cloud in the LiDAR "
    "frame?"
)
"""What is wrong with a cloud that has points, but none to label."""

UNUSED_SHARE = 0.5
"""What was not used for more than this share of the clouds is told of."""


@dataclass(frozen=True)
class Limits:
    """From where on something is wrong.

    Attributes:
        min_rate: published clouds in a second; 0 for no limit.
        max_latency: seconds from a cloud's arrival to its publication; 0 for no limit.
        max_drop_share: share of the clouds that may be lost on the way or dropped; 1 for no limit.
    """

    min_rate: float = 0.0
    max_latency: float = 0.0
    max_drop_share: float = 1.0


@dataclass(frozen=True)
class Snapshot:
    """What happened in a span of time.

    Attributes:
        elapsed: its length in seconds.
        received: clouds that arrived.
        published: semantic clouds sent.
        dropped: clouds replaced by newer ones before their turn came.
        failed: clouds that could not be segmented.
        duplicates: clouds that came twice, and were taken once.
        lost: clouds that never arrived, as far as the middleware knows.
        latency: longest time in seconds from a cloud's arrival to its publication, or to now for
            one still in work; None without clouds.
        in_work: seconds since the work on a cloud that is not finished began; None for none.
        stages: mean seconds a published cloud spent in each stage.
        unused: for each camera, and each parameter that asked for something in vain, the number
            of published clouds that it was not used for.
        reasons: for each of these why, at the last of these clouds.
        unlabelled: published clouds in which no point got a label, though none was too weak.
        out_of_range: published clouds in which no point is valid and in range.
        last_failure: why the last cloud failed; empty where none did.
        model: folder of the bundle.
        engine: name of the engine, and its device.
        active: whether the node is at work; an inactive one is well.
        starting: whether it is so only since a moment, in which publishers are found and rates
            say nothing.
    """

    elapsed: float
    received: int = 0
    published: int = 0
    dropped: int = 0
    failed: int = 0
    duplicates: int = 0
    lost: int = 0
    latency: float | None = None
    in_work: float | None = None
    stages: Mapping[str, float] = field(default_factory=dict)
    unused: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    unlabelled: int = 0
    out_of_range: int = 0
    last_failure: str = ""
    model: str = ""
    engine: str = ""
    active: bool = True
    starting: bool = False

    @property
    def rate(self) -> float:
        """Published clouds in a second."""
        return self.published / self.elapsed if self.elapsed > 0 else 0.0

    @property
    def drop_share(self) -> float:
        """Share of the clouds sent to the node that were lost on the way or dropped."""
        return (self.dropped + self.lost) / max(self.received + self.lost, 1)

    @property
    def stuck(self) -> bool:
        """Whether nothing came out, and one cloud is in work all the time, or none is taken."""
        if self.published or self.failed:
            return False
        if self.in_work is not None:
            return self.in_work >= self.elapsed
        return self.received + self.lost > 1  # the last one may have arrived just now


@dataclass(frozen=True)
class Assessment:
    """What a DiagnosticStatus says.

    Attributes:
        level: the worst that was found.
        message: all that was found, the worst first; or that all is well.
        values: names and values of the snapshot's numbers.
    """

    level: Level
    message: str
    values: dict[str, str]


def assess(snapshot: Snapshot, limits: Limits) -> Assessment:
    """Judges a span of time.

    ERROR: all clouds fail, or none comes out although some arrive or one is in work. WARN: no
    cloud arrives, some fail or get no label, a limit is passed, or a camera is not used. Of a node
    that is starting only failures, labels, latency and drops are judged.

    Args:
        snapshot: the numbers.
        limits: what is wrong.
    """
    values = dict(_values(snapshot))
    if not snapshot.active:
        return Assessment(Level.OK, "inactive", values)
    found = sorted(_problems(snapshot, limits), key=lambda problem: -problem[0])
    if not found:
        message = "starting" if snapshot.starting else f"{snapshot.rate:.1f} clouds/s"
        return Assessment(Level.OK, message, values)
    return Assessment(found[0][0], "; ".join(text for _, text in found), values)


def _problems(snapshot: Snapshot, limits: Limits) -> Iterator[tuple[Level, str]]:
    """Yields all that is wrong, each with its level."""
    if snapshot.failed:
        level = Level.WARN if snapshot.published else Level.ERROR
        reason = f": {snapshot.last_failure}" if snapshot.last_failure else ""
        yield level, f"{snapshot.failed} of {snapshot.received} clouds failed{reason}"
    if snapshot.unlabelled:
        clouds = f"{snapshot.unlabelled} of {snapshot.published} clouds"
        yield Level.WARN, f"{clouds} got no label: the network's output is not finite"
    if snapshot.out_of_range:
        clouds = f"{snapshot.out_of_range} of {snapshot.published} clouds"
        yield Level.WARN, f"{clouds} have {OUT_OF_RANGE}"
    if not snapshot.starting:
        yield from _problems_of_rates(snapshot, limits)
    if snapshot.latency is not None and 0 < limits.max_latency < snapshot.latency:
        text = f"latency {snapshot.latency:.3f} s, above max_latency {limits.max_latency:g}"
        yield Level.WARN, text
    if snapshot.drop_share > limits.max_drop_share:
        share = f"{snapshot.drop_share:.0%} of the clouds dropped or lost"
        yield Level.WARN, f"{share}, above max_drop_share {limits.max_drop_share:g}"


def _problems_of_rates(snapshot: Snapshot, limits: Limits) -> Iterator[tuple[Level, str]]:
    """Yields what shows only when the node has been at work for a while."""
    arrived, seconds = snapshot.received + snapshot.lost, f"{snapshot.elapsed:.1f} s"
    if snapshot.stuck:
        work = "" if snapshot.in_work is None else f"; one is in work for {snapshot.in_work:.1f} s"
        yield Level.ERROR, f"no cloud came out in {seconds}, {arrived} arrived{work}"
    elif not arrived and not snapshot.published:
        yield Level.WARN, f"no cloud arrived in {seconds}"
    elif snapshot.rate < limits.min_rate:
        yield Level.WARN, f"{snapshot.rate:.1f} clouds/s, below min_rate {limits.min_rate:g}"
    for camera, count in snapshot.unused.items():
        if count > UNUSED_SHARE * snapshot.published:
            share = f"{count} of {snapshot.published} clouds"
            reason = f": {snapshot.reasons[camera]}" if camera in snapshot.reasons else ""
            what = (
                f"{camera} has no effect" if camera in _SETTINGS else f"camera '{camera}' not used"
            )
            yield Level.WARN, f"{what} for {share}{reason}"


def _values(snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    if snapshot.model:
        yield "model", snapshot.model
    if snapshot.engine:
        yield "engine", snapshot.engine
    yield "rate (Hz)", f"{snapshot.rate:.2f}"
    if snapshot.latency is not None:
        yield "latency (ms)", f"{1e3 * snapshot.latency:.1f}"
    for stage, seconds in snapshot.stages.items():
        yield f"{stage} (ms)", f"{1e3 * seconds:.1f}"
    for name in ("received", "published", "dropped", "failed", "duplicates", "lost"):
        yield name, str(getattr(snapshot, name))
    for camera, count in snapshot.unused.items():
        yield f"without {camera}", str(count)
