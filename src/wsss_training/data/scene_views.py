"""The camera views of a scene as WSegPC's image branch takes them: pixels, priors, pairs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsss_perception.frame import UNKNOWN
from wsss_training.data.sample import ImageSource
from wsss_training.networks.image_resnet import STRIDE
from wsss_training.teachers.precomputed import TeacherMaps


@dataclass(frozen=True)
class ImagePrior:
    """A 2D teacher and how its classes map to the model's.

    Attributes:
        teacher: reads the maps of an image.
        mapping: from the teacher's labels to the model's, uint8 [256].
    """

    teacher: Callable[[Path], TeacherMaps]
    mapping: NDArray[np.uint8]


@dataclass(frozen=True)
class SceneViews:
    """Views of one scene, and where the scene's N points are on them.

    A cell is a square of STRIDE pixels, for which the image network has one feature.

    Attributes:
        images: uint8 [V, H, W, 3].
        labels: uint8 [V, h, w], prior label of each cell; UNKNOWN where there is none.
        weights: float32 [V, h, w], its reliability.
        pair_point: int64 [P], point of each pair of a point and a view that sees it.
        pair_view: int64 [P].
        pair_uv: float32 [P, 2], (column, row) in pixels of ``images``.
        pair_depth: float32 [P], distance of the point from the camera in metres.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    weights: NDArray[np.float32]
    pair_point: NDArray[np.int64]
    pair_view: NDArray[np.int64]
    pair_uv: NDArray[np.float32]
    pair_depth: NDArray[np.float32]

    def select_points(self, kept: NDArray[np.int64], points: int) -> "SceneViews":
        """Returns the views of some of the points.

        Args:
            kept: the points that are left, in their new order [M].
            points: N.
        """
        place = np.full(points, -1, dtype=np.int64)
        place[kept] = np.arange(len(kept))
        pairs = place[self.pair_point] >= 0
        return SceneViews(
            self.images,
            self.labels,
            self.weights,
            place[self.pair_point[pairs]],
            self.pair_view[pairs],
            self.pair_uv[pairs],
            self.pair_depth[pairs],
        )

    def select_views(self, views: NDArray[np.int64]) -> "SceneViews":
        """Returns some of the views with their pairs."""
        place = np.full(len(self.images), -1, dtype=np.int64)
        place[views] = np.arange(len(views))
        pairs = place[self.pair_view] >= 0
        return SceneViews(
            self.images[views],
            self.labels[views],
            self.weights[views],
            self.pair_point[pairs],
            place[self.pair_view[pairs]],
            self.pair_uv[pairs],
            self.pair_depth[pairs],
        )


def read_views(
    xyz: NDArray[np.float32],
    sources: Sequence[ImageSource],
    size: tuple[int, int],
    prior: ImagePrior | None,
) -> SceneViews:
    """Reads views and finds which points they see.

    Args:
        xyz: points of the scene [N, 3].
        sources: the views.
        size: height and width to which images are resized.
        prior: 2D teacher; None gives no labels.

    Raises:
        DatasetError: an image, its depth or a teacher's map cannot be read.
    """
    height, width = size
    cells = (-(-height // STRIDE), -(-width // STRIDE))
    images = np.zeros((len(sources), height, width, 3), dtype=np.uint8)
    labels = np.full((len(sources), *cells), UNKNOWN, dtype=np.uint8)
    weights = np.zeros(labels.shape, dtype=np.float32)
    pairs: list[tuple[NDArray, ...]] = []
    for number, source in enumerate(sources):
        picture = Image.fromarray(source.load().image)
        images[number] = np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))
        if prior is not None:
            labels[number], weights[number] = _cell_priors(prior, source.path, cells)
        point, uv = source.visible_points(xyz)
        scale = np.array([width / source.camera.width, height / source.camera.height])
        place = source.T_camera_lidar[:3, :3] @ xyz[point].T.astype(np.float64)
        depth = np.linalg.norm(place.T + source.T_camera_lidar[:3, 3], axis=1)
        view = np.full(len(point), number)
        pairs.append((point, view, (uv + 0.5) * scale - 0.5, depth))
    none = (np.zeros(0), np.zeros(0), np.zeros((0, 2)), np.zeros(0))
    columns = [np.concatenate(column) for column in zip(none, *pairs, strict=True)]
    return SceneViews(
        images,
        labels,
        weights,
        columns[0].astype(np.int64),
        columns[1].astype(np.int64),
        columns[2].astype(np.float32),
        columns[3].astype(np.float32),
    )


def _cell_priors(
    prior: ImagePrior, path: Path, cells: tuple[int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The teacher's label at the middle of each cell, and its confidence."""
    maps = prior.teacher(path)
    labels = prior.mapping[_at_cells(maps.labels, cells)]
    return labels, np.where(labels == UNKNOWN, 0, _at_cells(maps.confidence, cells))


def _at_cells(values: NDArray, cells: tuple[int, int]) -> NDArray:
    rows, columns = (
        ((np.arange(count) + 0.5) * size / count).astype(np.int64)
        for count, size in zip(cells, values.shape, strict=True)
    )
    return values[np.ix_(rows, columns)]
