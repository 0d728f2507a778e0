"""Writes a log of a dataset as a rosbag2, to replay it like a robot's own recording.

The bag has the clouds on /points, each camera's images on /<name>/image (or
/<name>/image/compressed) with /<name>/camera_info, the cameras' places on /tf_static, the
LiDAR's poses on /tf where they are known, and in its folder a calibration.yaml that says the
same of the cameras.
"""

import argparse
import heapq
import logging
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.interfaces import Connection, Qos
from rosbags.typesys import Stores, get_typestore

from wsss_perception.bag import BagWriter
from wsss_perception.bag.writer import STORAGES, reliable_qos
from wsss_perception.calibration import CameraCalibration, write_calibration
from wsss_perception.errors import DatasetError, GeometryError
from wsss_perception.geometry import Matrix, TransformTree, invert
from wsss_perception.messages import camera_info, image, point_cloud2, transform
from wsss_perception.progress import Progress
from wsss_training.commands.dataset_arguments import add_dataset_arguments, open_named_dataset
from wsss_training.data import Dataset, ImageSource, Sample, scene_of

CALIBRATION_FILE = "calibration.yaml"
POINTS_TOPIC = "/points"
WORLD_FRAME = "map"

_MAX_SHIFT = 0.05  # metres a camera may seem to move on its mount
_log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("output", type=Path, metavar="OUT", help="folder of the new bag")
    add_dataset_arguments(parser)
    parser.add_argument(
        "--scene", metavar="NAME", help="the log to write, where the dataset has several"
    )
    parser.add_argument("--storage", default="mcap", choices=sorted(STORAGES), help="default: mcap")
    parser.add_argument(
        "--compress-images", action="store_true", help="write JPEG instead of raw pixels"
    )


def run(arguments: argparse.Namespace) -> None:
    """Writes the bag.

    Raises:
        DatasetError: the dataset cannot be read, or holds several logs.
        BagError: the bag exists, or cannot be written.
    """
    dataset = open_named_dataset(arguments, labels=False)
    clouds = make_bag(
        dataset,
        arguments.output,
        arguments.scene,
        arguments.storage,
        arguments.compress_images,
    )
    print(f"{arguments.output}: {clouds} clouds")


def make_bag(
    dataset: Dataset,
    output: str | Path,
    scene: str | None = None,
    storage: str = "mcap",
    compress_images: bool = False,
) -> int:
    """Writes a log of a dataset as a rosbag2, whole or not at all.

    Args:
        dataset: its samples, in the order they were taken.
        output: folder of the new bag.
        scene: the log to write; by default the only one there is.
        storage: ``mcap`` or ``sqlite3``.
        compress_images: write the images as JPEG.

    Returns:
        The number of clouds written.

    Raises:
        DatasetError: no such log, several to choose from, or a sample that cannot be read.
        BagError: the bag exists, or cannot be written.
    """
    index = _choose_log(dataset, scene)
    typestore = get_typestore(Stores.ROS2_JAZZY)
    with BagWriter(output, storage, typestore) as writer:
        cameras = _extrinsics(dataset, index)
        log = _LogWriter(writer, typestore.types, cameras, compress_images)
        with Progress("clouds", len(index)) as progress:
            for number in index:
                log.add(dataset[number])
                progress.step()
        log.finish()
        if cameras:
            writer.add_file(CALIBRATION_FILE, lambda path: write_calibration(path, cameras))
    return len(index)


class _LogWriter:
    """Writes samples as messages ordered by time.

    An image may be older than the cloud of its sample, so that a sample's messages wait until
    the next sample tells that nothing older will come.
    """

    def __init__(
        self,
        writer: BagWriter,
        types: Any,
        cameras: dict[str, CameraCalibration],
        compress_images: bool,
    ) -> None:
        self._writer = writer
        self._types = types
        self._cameras = cameras
        self._compress_images = compress_images
        self._topics: dict[str, Connection] = {}
        self._waiting: list[tuple[int, int, str, Any]] = []
        self._order = count()
        self._last_image: dict[str, int] = {}

    def add(self, sample: Sample) -> None:
        """Takes the next sample."""
        images = [source for source in sample.images if self._is_new(source)]
        self._write_until(min([sample.cloud.stamp, *(source.stamp for source in images)]))
        if not self._topics:
            self._add_mounts(sample)
        stamp, lidar = sample.cloud.stamp, sample.cloud.frame_id
        if sample.T_world_lidar is not None:
            self._add_transforms("/tf", WORLD_FRAME, {lidar: sample.T_world_lidar}, stamp)
        cloud = point_cloud2.encode_cloud(sample.cloud, self._types)
        self._push(POINTS_TOPIC, "sensor_msgs/msg/PointCloud2", stamp, cloud)
        for source in images:
            self._add_image(source)

    def finish(self) -> None:
        """Writes what still waits."""
        self._write_until(None)

    def _is_new(self, source: ImageSource) -> bool:
        """Whether an image comes after its camera's last one: two sweeps may share an image."""
        last = self._last_image.get(source.name)
        if last is not None and source.stamp <= last:
            return False
        self._last_image[source.name] = source.stamp
        return True

    def _add_image(self, source: ImageSource) -> None:
        frame, stamp, pixels = optical_frame(source.name), source.stamp, source.load().image
        if self._compress_images:
            topic, msgtype = f"/{source.name}/image/compressed", "sensor_msgs/msg/CompressedImage"
            message = image.encode_jpeg(pixels, stamp, frame, self._types)
        else:
            topic, msgtype = f"/{source.name}/image", "sensor_msgs/msg/Image"
            message = image.encode_rgb8(pixels, stamp, frame, self._types)
        info = camera_info.encode(source.camera, stamp, frame, self._types)
        self._push(f"/{source.name}/camera_info", "sensor_msgs/msg/CameraInfo", stamp, info)
        self._push(topic, msgtype, stamp, message)

    def _add_mounts(self, sample: Sample) -> None:
        """Adds the cameras' places on the LiDAR, at the time of the first message."""
        mounts = {optical_frame(n): invert(c.T_camera_lidar) for n, c in self._cameras.items()}
        if mounts:
            stamp = min([sample.cloud.stamp, *(source.stamp for source in sample.images)])
            qos = reliable_qos(depth=1, latched=True)
            self._add_transforms("/tf_static", sample.cloud.frame_id, mounts, stamp, qos)

    def _add_transforms(
        self, topic: str, parent: str, children: dict[str, Matrix], stamp: int, qos: Any = None
    ) -> None:
        transforms = [
            transform.encode_stamped(T_parent_child, parent, child, stamp, self._types)
            for child, T_parent_child in children.items()
        ]
        message = self._types["tf2_msgs/msg/TFMessage"](transforms=transforms)
        self._push(topic, "tf2_msgs/msg/TFMessage", stamp, message, qos)

    def _push(
        self, topic: str, msgtype: str, stamp: int, message: Any, qos: Qos | None = None
    ) -> None:
        if topic not in self._topics:
            self._topics[topic] = self._writer.add_topic(topic, msgtype, qos)
        heapq.heappush(self._waiting, (stamp, next(self._order), topic, message))

    def _write_until(self, stamp: int | None) -> None:
        """Writes the messages before a stamp; all of them for None."""
        while self._waiting and (stamp is None or self._waiting[0][0] < stamp):
            received, _, topic, message = heapq.heappop(self._waiting)
            self._writer.write(self._topics[topic], received, message)


def optical_frame(camera: str) -> str:
    """Returns the name of a camera's optical frame."""
    return f"{camera}_optical"


def _choose_log(dataset: Dataset, scene: str | None) -> list[int]:
    """Returns the indices of a log's samples."""
    scenes = [scene_of(sample_id) for sample_id in dataset.sample_ids]
    names = ", ".join(dict.fromkeys(scenes)) or "none"
    if scene is None and len(set(scenes)) > 1:
        raise DatasetError(f"a bag holds one log: name one with --scene; there are: {names}")
    index = [i for i, name in enumerate(scenes) if scene in (None, name)]
    if not index:
        raise DatasetError(f"no log '{scene}'; there are: {names}")
    return index


def _extrinsics(dataset: Dataset, index: list[int]) -> dict[str, CameraCalibration]:
    """Finds where the cameras are mounted.

    A reader's T_camera_lidar may hold the motion between sweep and image as well. It does where
    it differs between sweeps; the motion is then taken out by the poses.
    """
    tree = TransformTree()
    images: dict[str, list[tuple[int, ImageSource]]] = {}
    for number in index:
        sample = dataset[number]
        if sample.T_world_lidar is not None:
            tree.set_moving(WORLD_FRAME, "lidar", sample.T_world_lidar, sample.cloud.stamp)
        for source in sample.images:
            images.setdefault(source.name, []).append((sample.cloud.stamp, source))
    return {name: _mount(name, sources, tree) for name, sources in images.items()}


def _mount(
    name: str, sources: list[tuple[int, ImageSource]], tree: TransformTree
) -> CameraCalibration:
    first = sources[0][1]
    transforms = np.stack([source.T_camera_lidar for _, source in sources])
    if np.ptp(transforms, axis=0).max() > 1e-6:
        still = [_without_motion(stamp, source, tree) for stamp, source in sources]
        known = [transform for transform in still if transform is not None]
        transforms = np.stack(known) if known else transforms
        shift = np.ptp(transforms[:, :3, 3], axis=0).max()
        if shift > _MAX_SHIFT:
            _log.warning(
                "camera '%s' moves by %.2f m on its mount; /tf_static has its first place",
                name,
                shift,
            )
    return CameraCalibration(first.camera, transforms[0])


def _without_motion(stamp: int, source: ImageSource, tree: TransformTree) -> Matrix | None:
    """Returns T_camera_lidar at the image's own time; None where the poses do not reach it."""
    try:
        T_then_now = tree.lookup_between("lidar", stamp, "lidar", source.stamp, WORLD_FRAME)
    except GeometryError:
        return None
    return source.T_camera_lidar @ T_then_now
