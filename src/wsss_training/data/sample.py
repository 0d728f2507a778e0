"""What every dataset reader yields: one Sample a sweep, whatever the files look like."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsss_perception.errors import DatasetError
from wsss_perception.frame import PointCloud, View
from wsss_perception.geometry import Camera, Matrix
from wsss_perception.ontology import Ontology


@dataclass(frozen=True)
class ImageSource:
    """A camera image on disk and where its camera was; the pixels are read when asked for.

    Attributes:
        name: camera name, such as ``image_02``.
        path: the image file.
        camera: intrinsics of the image as it is stored.
        T_camera_lidar: [4, 4], maps the sample's points to the camera's optical frame.
        stamp: time of the image in nanoseconds.
    """

    name: str
    path: Path
    camera: Camera
    T_camera_lidar: Matrix
    stamp: int

    def load(self) -> View:
        """Reads the pixels.

        Raises:
            DatasetError: the image cannot be read.
        """
        try:
            with Image.open(self.path) as image:
                pixels = np.asarray(image.convert("RGB"))
        except (OSError, SyntaxError, ValueError) as error:  # what Pillow raises on damage
            raise DatasetError(f"{self.path}: image cannot be read: {error}") from error
        return View(self.name, self.camera, self.T_camera_lidar, pixels, self.stamp)


@dataclass(frozen=True)
class Sample:
    """One sweep with everything that is known of it.

    Attributes:
        sample_id: unique in its dataset, ``<scene>/<file stem>``.
        scene: log or sequence the sweep belongs to.
        cloud: points in the LiDAR frame.
        images: the cameras' images of the sweep.
        T_world_lidar: pose [4, 4] of the LiDAR in the log's fixed frame; None if unknown.
        labels: uint8 [N] in the dataset's ontology, UNKNOWN where unlabelled; None without labels.
    """

    sample_id: str
    scene: str
    cloud: PointCloud
    images: tuple[ImageSource, ...] = ()
    T_world_lidar: Matrix | None = None
    labels: NDArray[np.uint8] | None = None


class Dataset(Protocol):
    """Sweeps of one or more logs, in the order they were taken."""

    ontology: Ontology | None
    """Ontology of the labels; None for a set that has none."""

    sample_ids: Sequence[str]
    """Ids of all samples, known without reading a sweep."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...


def read_image_size(path: Path) -> tuple[int, int]:
    """Reads width and height of an image without decoding it.

    Raises:
        DatasetError: the image cannot be read.
    """
    try:
        with Image.open(path) as image:
            return image.size
    except OSError as error:
        raise DatasetError(f"{path}: image cannot be read: {error}") from error
