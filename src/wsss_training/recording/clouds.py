"""Which clouds of a bag can be imported, learnt by decoding them all once."""

import logging
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from wsss_perception.bag import Bag
from wsss_perception.bag.segment import POINT_CLOUD
from wsss_perception.errors import BagError, MessageError
from wsss_perception.frame import PointCloud
from wsss_perception.messages import point_cloud2
from wsss_perception.progress import tracked

MAX_WARNINGS = 5
"""What is left out is named so many times; then it is only counted."""

_log = logging.getLogger(__name__)

_Kind = tuple[str, tuple[tuple[str, int], ...]]
"""Frame of a cloud, and its channels with their numbers of columns."""


@dataclass(frozen=True)
class Clouds:
    """The usable clouds of a bag.

    Attributes:
        times: int64 [N, 2], stamp and receive time, by stamp, each stamp once.
        frame_id: LiDAR frame of all.
        channels: of all, with their numbers of columns.
        damaged: how many others there are that are damaged or unlike these.
        empty: how many others there are that have no finite point.
    """

    times: NDArray[np.int64]
    frame_id: str
    channels: dict[str, int]
    damaged: int
    empty: int


@dataclass
class _LeftOut:
    """What cannot be used, and why.

    Attributes:
        reasons: how many clouds, by reason.
        last: message of the last one.
    """

    reasons: Counter[str] = field(default_factory=Counter)
    last: str = ""

    def add(self, reason: str, message: str) -> None:
        self.reasons[reason] += 1
        self.last = message
        if self.reasons.total() <= MAX_WARNINGS:
            _log.warning("left out: %s", message)

    def __str__(self) -> str:
        return ", ".join(f"{count} {reason}" for reason, count in self.reasons.items())


def scan_clouds(bag: Bag, topic: str) -> Clouds:
    """Decodes all clouds of a topic to learn which can be used: those of the commonest kind.

    Args:
        bag: the open bag.
        topic: of the clouds.

    Raises:
        BagError: none or not even half of them can be used.
    """
    found: dict[_Kind, list[tuple[int, int]]] = {}
    coarse: dict[_Kind, Counter[str]] = {}
    left_out, empty = _LeftOut(), 0
    connections = [c for c in bag.of_type(POINT_CLOUD) if c.topic == topic]
    total = sum(connection.msgcount for connection in connections)
    for message in tracked(bag.messages(connections), "clouds looked at", total):
        try:
            content = bag.deserialize(message)
            cloud = point_cloud2.decode(content)
        except MessageError as error:
            left_out.add("cannot be decoded", str(error))
            continue
        if not np.isfinite(cloud.xyz).all(axis=1).any():
            empty += 1
            continue
        kind = _kind(cloud)
        found.setdefault(kind, []).append((cloud.stamp, message.received))
        coarse.setdefault(kind, Counter()).update(point_cloud2.coarse_channels(content))
    if not found:
        reason = left_out.last or getattr(bag, "damage", None) or "there are none"
        reason = f"{empty} have no finite point" if empty and not left_out.last else reason
        raise BagError(f"{bag.path}: none of its clouds on {topic} can be used: {reason}")
    commonest = max(found, key=lambda kind: len(found[kind]))
    times = _choose(found, commonest, left_out)
    damaged = left_out.reasons.total()
    if damaged > len(times):
        raise BagError(
            f"{bag.path}: only {len(times)} of its {damaged + len(times)} clouds on {topic} can be "
            f"used: {left_out}; the last: {left_out.last}; correct what wrote them"
        )
    frame_id, channels = commonest[0], dict(commonest[1])
    for name, count in coarse[commonest].items():
        if 2 * count > len(found[commonest]):
            del channels[name]
            _log.warning("channel '%s' is left out: its values are too large for float32", name)
    ordered = np.array(sorted(times.items()), dtype=np.int64)
    return Clouds(ordered, frame_id, channels, damaged, empty)


def _kind(cloud: PointCloud) -> _Kind:
    columns = ((name, 1 if v.ndim == 1 else v.shape[1]) for name, v in cloud.channels.items())
    return cloud.frame_id.lstrip("/"), tuple(columns)


def _choose(
    found: dict[_Kind, list[tuple[int, int]]], commonest: _Kind, left_out: _LeftOut
) -> dict[int, int]:
    """Returns receive times by stamp of the clouds of the commonest kind, the first of a stamp."""
    for kind, times in found.items():
        for stamp, _ in times if kind != commonest else ():
            left_out.add(
                "are of another kind",
                f"cloud of {stamp} ns: is in frame '{kind[0]}' with the fields "
                f"{[name for name, _ in kind[1]]}, most are in '{commonest[0]}' with "
                f"{[name for name, _ in commonest[1]]}",
            )
    chosen: dict[int, int] = {}
    for stamp, received in found[commonest]:
        if stamp in chosen:
            left_out.add(
                "have the stamp of another", f"cloud of {stamp} ns: has the stamp of another one"
            )
        else:
            chosen[stamp] = received
    return chosen
