"""What is measured on: clouds of a bag with their views, or generated ones, as messages."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.typesys import Stores, get_typestore

from wsss_perception.bag import Bag, BagCameras, open_bag
from wsss_perception.bag.segment import choose_points
from wsss_perception.benchmark.sweeps import SENSORS, make_grown_sweep, make_sweep
from wsss_perception.bundle import ModelSpec
from wsss_perception.errors import BagError
from wsss_perception.frame import PointCloud, View
from wsss_perception.messages.point_cloud2 import decode, encode_cloud

DISTINCT = 10
"""Clouds that are held ready at most; where more are to be measured, they come again."""


@dataclass(frozen=True)
class Source:
    """Where clouds come from: a bag, a generated sensor, or a generated size, one of the three.

    Attributes:
        bag: path of a rosbag2.
        points_topic: topic of its clouds, where it has several.
        calibration: path of a calibration file of its cameras, instead of TF.
        beams: of a generated sensor, a key of SENSORS.
        points: of generated clouds, see ``make_grown_sweep``.
    """

    bag: str | None = None
    points_topic: str | None = None
    calibration: str | None = None
    beams: int | None = None
    points: int | None = None

    def __str__(self) -> str:
        if self.bag is not None:
            return self.bag
        kind = f"{self.beams} beams" if self.beams else f"grown to {self.points:,}"
        return f"generated, {kind}"


@dataclass(frozen=True)
class Input:
    """A PointCloud2 and the views of its cloud."""

    message: Any
    views: tuple[View, ...] = ()

    def look(self) -> tuple[View, ...]:
        """Returns the views, as a pipeline asks for them."""
        return self.views


def load_inputs(source: Source, spec: ModelSpec, clouds: int) -> list[Input]:
    """Makes the inputs ready, in memory.

    Args:
        source: where the clouds come from.
        spec: of the model, whose channels generated clouds have: the intensities of what they
            show, zeros in all others.
        clouds: how many are to be measured. Of a bag the first so many are used, or if they are
            more than DISTINCT, some among them at even distances.

    Raises:
        BagError: the bag cannot be read or has no clouds.
        MessageError: a cloud's bytes are no PointCloud2.
        ConfigError: the calibration file cannot be used.
    """
    if source.bag is not None:
        return _of_bag(source, clouds)
    types = get_typestore(Stores.ROS2_JAZZY).types
    made = (_make_cloud(source, seed) for seed in range(min(clouds, DISTINCT)))
    return [Input(encode_cloud(_with_channels(cloud, spec), types)) for cloud in made]


def check_bag(source: Source) -> None:
    """Checks that a source's bag can be opened and has clouds.

    Raises:
        BagError: it cannot, or has none.
    """
    with open_bag(str(source.bag)) as bag:
        _count_clouds(bag, source.points_topic)


def _make_cloud(source: Source, seed: int) -> PointCloud:
    if source.points is not None:
        return make_grown_sweep(source.points, seed)
    return make_sweep(SENSORS[source.beams or 64], seed)


def _with_channels(cloud: PointCloud, spec: ModelSpec) -> PointCloud:
    needed = [feature for feature in spec.features if feature.fill is None]
    names = {feature.name for feature in needed} & set(spec.channels())
    zeros = np.zeros(len(cloud), dtype=np.float32)
    return replace(cloud, channels=dict.fromkeys(sorted(names), zeros) | cloud.channels)


def _of_bag(source: Source, clouds: int) -> list[Input]:
    path = Path(str(source.bag))
    calibration = source.calibration
    with open_bag(path) as bag, open_bag(path) as images:
        count = min(_count_clouds(bag, source.points_topic), clouds)
        points = choose_points(bag, source.points_topic)
        connections = [c for c in bag.on_topic(points.topic) if c.msgtype == points.msgtype]
        cameras = BagCameras(images, calibration)
        inputs: list[Input] = []
        wanted = set(np.linspace(0, count - 1, min(count, DISTINCT)).round().astype(int).tolist())
        for number, message in enumerate(bag.messages(connections)):
            if number in wanted:
                cloud = bag.deserialize(message)
                inputs.append(Input(cloud, cameras.views(decode(cloud, ()))))
            if number == count - 1:
                break
    return inputs


def _count_clouds(bag: Bag, topic: str | None) -> int:
    points = choose_points(bag, topic)
    count = sum(c.msgcount for c in bag.on_topic(points.topic) if c.msgtype == points.msgtype)
    if not count:
        raise BagError(f"{bag.path}: there is no cloud on {points.topic}; nothing to measure")
    return count
