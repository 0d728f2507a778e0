"""Bag in, bag out: every message copied, semantic clouds added."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rosbags.interfaces import Connection

from wsss_perception.bag.cameras import BagCameras
from wsss_perception.bag.reader import Bag, Message, open_bag
from wsss_perception.bag.writer import BagWriter
from wsss_perception.errors import BagError, EngineError, MessageError
from wsss_perception.frame import Frame, SemanticCloud
from wsss_perception.heat import heat_levels, heat_palette
from wsss_perception.input_check import InputCheck
from wsss_perception.messages import point_cloud2
from wsss_perception.progress import Progress
from wsss_perception.segmenter import Segmenter

POINT_CLOUD = "sensor_msgs/msg/PointCloud2"
SEMANTIC_TOPIC, QUERY_TOPIC = "semantic_points", "query_points"

_MAX_WARNINGS = 5
_log = logging.getLogger(__name__)

Observer = Callable[[int, Frame, SemanticCloud], None]
"""Called with the number of each cloud, damaged ones counted, its frame and its result."""


@dataclass
class BagCounts:
    """What became of a bag's clouds.

    Attributes:
        clouds: clouds segmented.
        points: points in them.
        failed: clouds that could not be decoded or segmented.
    """

    clouds: int = 0
    points: int = 0
    failed: int = 0


def segment_bag(
    source: str | Path,
    target: str | Path,
    segmenter: Segmenter,
    points_topic: str | None = None,
    intensity_scale: float = 1.0,
    calibration: str | Path | None = None,
    observer: Observer | None = None,
    query: NDArray[np.float32] | None = None,
) -> BagCounts:
    """Copies a bag and adds a semantic cloud for every cloud of a topic.

    All messages are copied as they are (bytes, receive time, topic, type, QoS). The result goes
    to ``semantic_points`` in the namespace of the points, with the cloud's header and receive
    time. A cloud that cannot be decoded, or that the engine refuses, is warned of, and only its
    result is missing.

    Args:
        source: the bag.
        target: folder of the new bag, written whole or not at all, in the source's storage.
        segmenter: labels the clouds.
        points_topic: topic of the clouds; by default the only one there is.
        intensity_scale: factor that brings the sensor's intensities to 0..1.
        calibration: calibration file of the cameras; by default they are placed by TF.
        observer: called with every cloud's number, frame and result.
        query: vectors of a phrase, see ``Segmenter``; how alike the points are goes to
            ``query_points`` beside the semantic clouds.

    Raises:
        BagError: no such topic or several to choose from, a damaged source, a target that exists
            or cannot be written, or not one cloud that could be segmented.
    """
    with open_bag(source) as bag, open_bag(source) as images:
        points = choose_points(bag, points_topic)
        topics = [semantic_topic(points.topic)]
        if query is not None:
            topics.append(_beside(points.topic, QUERY_TOPIC))
        for topic in topics:
            if bag.on_topic(topic):
                raise BagError(f"{bag.path}: has a topic {topic} already; give the bag before that")
        segmenter.query = query
        cameras = BagCameras(images, calibration)
        clouds = [c for c in bag.of_type(POINT_CLOUD) if c.topic == points.topic]
        with BagWriter(target, bag.storage, bag.typestore) as writer:
            job = _Job(bag, segmenter, cameras, intensity_scale, observer)
            copies = _copy_topics(bag, writer)
            qos = points.ext.offered_qos_profiles  # type: ignore[union-attr]
            outputs = [
                writer.add_topic(topic, POINT_CLOUD, qos[0] if qos else None) for topic in topics
            ]
            with Progress("clouds", sum(c.msgcount for c in clouds)) as progress:
                for message in bag.messages():
                    copy = copies[_key(message.connection)]
                    writer.write_raw(copy, message.received, message.data)
                    if message.connection in clouds:
                        for output, result in zip(outputs, job.segment(message), strict=False):
                            writer.write(output, message.received, result)
                        progress.step()
            job.check()
    return job.counts


def choose_points(bag: Bag, topic: str | None) -> Connection:
    """Returns the connection of the clouds to segment; by default of the only topic that has any.

    Raises:
        BagError: there is no PointCloud2 topic, not the one asked for, or several.
    """
    if topic is not None:
        for connection in bag.of_type(POINT_CLOUD):
            if connection.topic == topic:
                return connection
    found = {c.topic: c for c in bag.recorded(POINT_CLOUD)}
    if not found:
        topics = sorted({f"{c.topic} ({c.msgtype})" for c in bag.connections})
        raise BagError(
            f"{bag.path}: has no {POINT_CLOUD} topic; its topics: {', '.join(topics) or 'none'}"
        )
    names = ", ".join(sorted(found))
    if topic is not None:
        raise BagError(f"{bag.path}: has no clouds on {topic}; they are on: {names}")
    if len(found) > 1:
        raise BagError(f"{bag.path}: clouds on several topics: {names}; name one of them")
    return next(iter(found.values()))


def semantic_topic(points_topic: str) -> str:
    """Returns ``semantic_points`` in the namespace of the points' topic."""
    return _beside(points_topic, SEMANTIC_TOPIC)


def _beside(topic: str, name: str) -> str:
    """Returns a name in the namespace of a topic."""
    return f"{topic.rpartition('/')[0]}/{name}"


class _Job:
    """Segments one message after the other and counts."""

    def __init__(
        self,
        bag: Bag,
        segmenter: Segmenter,
        cameras: BagCameras,
        intensity_scale: float,
        observer: Observer | None,
    ) -> None:
        self.counts = BagCounts()
        self._bag = bag
        self._segmenter = segmenter
        self._cameras = cameras
        self._palette = segmenter.spec.ontology.palette()
        self._channels = segmenter.spec.channels()
        self._intensity_scale = intensity_scale
        self._observer = observer
        self._needs_pixels = segmenter.spec.takes_images or observer is not None
        self._last_error = ""
        self._check = InputCheck(segmenter.spec)

    def segment(self, message: Message) -> tuple[object, ...]:
        """Returns the semantic cloud of a serialized cloud, and how alike it is to the query.

        Nothing, counted, where it failed.
        """
        try:
            received = self._bag.deserialize(message)
            cloud = point_cloud2.decode(received, self._channels, self._intensity_scale)
            for warning in self._check(cloud):
                _log.warning(warning)
            frame = Frame(cloud, self._cameras.views(cloud, self._needs_pixels))
            semantic = self._segmenter(frame)
            results = [point_cloud2.encode_semantic(received, semantic, self._palette)]
            if semantic.similarity is not None:
                levels = heat_levels(semantic.similarity)
                heat = (semantic.similarity, levels, heat_palette())
                results.append(point_cloud2.encode_query(received, *heat))
        except (MessageError, EngineError) as error:
            self._fail(str(error))
            return ()
        if self._observer is not None:
            self._observer(self.counts.clouds + self.counts.failed, frame, semantic)
        self.counts.clouds += 1
        self.counts.points += len(cloud)
        return tuple(results)

    def check(self) -> None:
        """Raises BagError if there is not one result."""
        if not self.counts.clouds:
            raise BagError(
                f"{self._bag.path}: none of its {self.counts.failed} clouds could be segmented"
                + (f"; the last: {self._last_error}" if self._last_error else "")
            )

    def _fail(self, reason: str) -> None:
        self.counts.failed += 1
        self._last_error = reason
        if self.counts.failed <= _MAX_WARNINGS:
            _log.warning("left without labels: %s", reason)
        if self.counts.failed == _MAX_WARNINGS:
            _log.warning("more clouds left without labels are only counted")


def _copy_topics(bag: Bag, writer: BagWriter) -> dict[tuple, Connection]:
    """Adds the bag's topics to the new one; parts of a split bag may repeat them."""
    copies: dict[tuple, Connection] = {}
    for connection in bag.connections:
        if _key(connection) not in copies:
            copies[_key(connection)] = writer.copy_topic(connection)
    return copies


def _key(connection: Connection) -> tuple:
    return connection.topic, connection.msgtype, str(connection.ext)
