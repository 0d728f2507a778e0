"""What every dataset reader yields: one Sample a sweep, whatever the files look like."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsss_perception.errors import DatasetError
from wsss_perception.frame import PointCloud, View
from wsss_perception.geometry import Camera, Matrix, visible_points
from wsss_perception.ontology import Ontology
from wsss_training.data.depth_registration import register_depth


@dataclass(frozen=True)
class DepthSource:
    """A depth image on disk that goes with a colour image; both without distortion.

    Attributes:
        path: the image file, 16 bits a pixel; 0 where the depth is unknown.
        camera: its intrinsics, which may differ from the colour image's, as its size may.
        unit: metres of one count.
        tolerance: how far a visible point may lie from the measured surface, metres.
        T_camera_depth: [4, 4], maps points of the depth camera to the colour image's; None where
            both are at the same place.
    """

    path: Path
    camera: Camera
    unit: float = 0.001
    tolerance: float = 0.05
    T_camera_depth: Matrix | None = None

    def load(self, camera: Camera) -> NDArray[np.float32]:
        """Reads the depth at the pixels of the colour image.

        Args:
            camera: the colour image's.

        Returns:
            float32 [H, W] in metres, in the size of ``camera``; 0 where unknown.

        Raises:
            DatasetError: the image cannot be read, or has another size or kind than it should.
        """
        counts = read_pixels(self.path)
        if counts.shape != (self.camera.height, self.camera.width) or counts.dtype.kind not in "iu":
            raise DatasetError(
                f"{self.path}: is {counts.dtype} {list(counts.shape)}; a depth image of integers, "
                f"{self.camera.width}x{self.camera.height}, belongs there"
            )
        depth = counts.astype(np.float32) * np.float32(self.unit)
        if self.T_camera_depth is not None:
            return register_depth(depth, self.camera, camera, self.T_camera_depth)
        rows, columns = np.indices((camera.height, camera.width), sparse=True)
        to_depth_pixels = self.camera.matrix @ np.linalg.inv(camera.matrix)
        column, row = (
            np.floor(a * columns + b * rows + (c + 0.5)).astype(np.int64)
            for a, b, c in to_depth_pixels[:2]
        )
        height, width = counts.shape
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        registered = np.zeros((camera.height, camera.width), dtype=np.float32)
        registered[inside] = depth[row[inside], column[inside]]
        return registered


@dataclass(frozen=True)
class ImageSource:
    """A camera image on disk and where its camera was; the pixels are read when asked for.

    Attributes:
        name: camera name, such as ``image_02``.
        path: the image file.
        camera: intrinsics of the image as it is stored.
        T_camera_lidar: [4, 4], maps the sample's points to the camera's optical frame.
        stamp: time of the image in nanoseconds.
        depth: the depth image that goes with it; None where there is none.
    """

    name: str
    path: Path
    camera: Camera
    T_camera_lidar: Matrix
    stamp: int
    depth: DepthSource | None = None

    def visible_points(
        self, xyz: NDArray[np.float32]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Finds the points [N, 3] that the camera sees; see ``geometry.visible_points``.

        Raises:
            DatasetError: the depth image cannot be read.
        """
        if self.depth is None:
            return visible_points(xyz, self.camera, self.T_camera_lidar)
        return visible_points(
            xyz,
            self.camera,
            self.T_camera_lidar,
            depth_image=self.depth.load(self.camera),
            depth_tolerance=self.depth.tolerance,
        )

    def files(self) -> list[Path]:
        """The files that ``load`` reads."""
        return [self.path] if self.depth is None else [self.path, self.depth.path]

    def load(self) -> View:
        """Reads the pixels.

        Raises:
            DatasetError: the image cannot be read, or has another size than its intrinsics.
        """
        pixels = read_pixels(self.path, "RGB")
        if pixels.shape[:2] != (self.camera.height, self.camera.width):
            raise DatasetError(
                f"{self.path}: has {pixels.shape[1]}x{pixels.shape[0]} pixels, its intrinsics are "
                f"for {self.camera.width}x{self.camera.height}"
            )
        depth = None if self.depth is None else self.depth.load(self.camera)
        return View(self.name, self.camera, self.T_camera_lidar, pixels, self.stamp, depth)


@dataclass(frozen=True)
class Sample:
    """One sweep with everything that is known of it.

    Attributes:
        sample_id: unique in its dataset, ``<scene>/<file stem>``.
        scene: log, sequence or part of one that the sweep belongs to; what is tagged.
        cloud: points in the LiDAR frame.
        images: the cameras' images of the sweep.
        T_world_lidar: pose [4, 4] of the LiDAR in the log's fixed frame; None if unknown.
        labels: uint8 [N] in the dataset's ontology, UNKNOWN where unlabelled; None without labels.
        tags: bool [C], which classes of the tags' ontology occur in the scene; None if untagged.
        files: what cloud, labels, poses and calibration were read from, to know when that has
            changed; not the images.
    """

    sample_id: str
    scene: str
    cloud: PointCloud
    images: tuple[ImageSource, ...] = ()
    T_world_lidar: Matrix | None = None
    labels: NDArray[np.uint8] | None = None
    tags: NDArray[np.bool_] | None = None
    files: tuple[Path, ...] = ()


class Dataset(Protocol):
    """Sweeps of one or more logs, in the order they were taken."""

    ontology: Ontology | None
    """Ontology of the labels; None for a set that has none."""

    sample_ids: Sequence[str]
    """Ids of all samples, ``<scene>/<file stem>``, known without reading a sweep."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...


@runtime_checkable
class KnowsImages(Protocol):
    """A dataset of which some samples may have no image, known without reading them."""

    has_images: NDArray[np.bool_]
    """bool [S], which samples have one."""


def scene_of(sample_id: str) -> str:
    """The scene of a sample, from its id."""
    return sample_id.rpartition("/")[0]


def read_image_size(path: Path) -> tuple[int, int]:
    """Reads width and height of an image without decoding it.

    Raises:
        DatasetError: the image cannot be read.
    """
    try:
        with Image.open(path) as image:
            return image.size
    except OSError as error:
        raise DatasetError(f"{path}: image cannot be read: {error}; copy it again") from error


def read_pixels(path: Path, mode: str | None = None) -> NDArray:
    """Reads an image's pixels, in a mode of Pillow's or, by default, the image's own.

    Raises:
        DatasetError: the image cannot be read.
    """
    try:
        with Image.open(path) as image:
            return np.asarray(image if mode is None else image.convert(mode))
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow raises on damage
        raise DatasetError(f"{path}: image cannot be read: {error}; copy it again") from error
