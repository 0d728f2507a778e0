"""Draws of WSegPC as tensors."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from wsss_perception.bundle import ModelSpec
from wsss_perception.segmenter import voxel_features
from wsss_training.data.labelled_points import LabelledPoints
from wsss_training.data.placeholder import fill_empty
from wsss_training.data.scene_draws import INDEX, REGION, SceneDraw
from wsss_training.networks.image_resnet import STRIDE
from wsss_training.regions.pixels import region_image


@dataclass(frozen=True)
class Voxels:
    """Network input, and where each of the batch's N points is in it.

    Attributes:
        coords: int32 [M, 4] of (batch, x, y, z).
        features: float32 [M, F].
        of_point: int64 [N], the point's voxel; -1 for a point that is in none.
    """

    coords: torch.Tensor
    features: torch.Tensor
    of_point: torch.Tensor


@dataclass(frozen=True)
class Points:
    """The N points of a batch's S scenes.

    Attributes:
        scene: int64 [N].
        region: int64 [N], unique over the batch; -1 for none.
        labels: int64 [N], prior labels; UNKNOWN for none.
        weights: float32 [N], their reliability.
    """

    scene: torch.Tensor
    region: torch.Tensor
    labels: torch.Tensor
    weights: torch.Tensor


@dataclass(frozen=True)
class Views:
    """The V views of a batch, of h x w cells each; see ``SceneViews``.

    Attributes:
        images: uint8 [V, 3, H, W].
        scene: int64 [V].
        labels: int64 [V, h, w]; UNKNOWN for none.
        weights: float32 [V, h, w].
        region: int64 [V, h, w], the 3D regions carried to cells; -1 for none.
        pair_point: int64 [P].
        pair_view: int64 [P].
        pair_uv: float32 [P, 2].
    """

    images: torch.Tensor
    scene: torch.Tensor
    labels: torch.Tensor
    weights: torch.Tensor
    region: torch.Tensor
    pair_point: torch.Tensor
    pair_view: torch.Tensor
    pair_uv: torch.Tensor


@dataclass(frozen=True)
class SceneBatch:
    """S scenes, of which the student sees some mixed with each other.

    Attributes:
        student: strongly augmented voxels, a batch entry a draw.
        teacher: weakly augmented voxels, a batch entry a scene.
        points: what is known of the points.
        views: of the scenes.
        tags: bool [S, C], of the points.
        view_tags: bool [S, C], of the views; see ``Scene``.
        tagged: bool [S], which scenes have tags.
        tags_alone: bool [S], which have nothing else to learn from.
        draw: int64 [S], the draw in which the student sees each scene.
    """

    student: Voxels
    teacher: Voxels
    points: Points
    views: Views
    tags: torch.Tensor
    view_tags: torch.Tensor
    tagged: torch.Tensor
    tags_alone: torch.Tensor
    draw: torch.Tensor

    def to(self, device: torch.device) -> "SceneBatch":
        """Returns the batch on another device."""
        return _map(self, lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> "SceneBatch":
        """Returns the batch in page-locked memory."""
        return _map(self, lambda tensor: tensor.pin_memory())


class SceneCollator:
    """Makes a SceneBatch of draws.

    Args:
        spec: the model's voxels and input features.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec

    def __call__(self, draws: Sequence[SceneDraw]) -> SceneBatch:
        """Collates draws."""
        scenes = [scene for draw in draws for scene in draw.scenes]
        sizes = [len(scene.points) for scene in scenes]
        first_point = np.cumsum([0, *sizes])
        draw_start = np.cumsum([0, *(sum(len(t) for t in draw.teacher) for draw in draws)])
        regions = _unique_regions([scene.points.attributes[REGION] for scene in scenes])
        clouds = [cloud for draw in draws for cloud in draw.teacher]
        teacher = self._voxelize(clouds, [np.arange(len(cloud)) for cloud in clouds], first_point)
        students = [draw.student for draw in draws]
        student = self._voxelize(students, [s.attributes[INDEX] for s in students], draw_start)
        return SceneBatch(
            student,
            teacher,
            Points(
                torch.from_numpy(np.repeat(np.arange(len(scenes)), sizes)),
                torch.from_numpy(np.concatenate(regions)),
                _long([scene.points.labels for scene in scenes]),
                torch.from_numpy(np.concatenate([scene.points.weights for scene in scenes])),
            ),
            _collate_views(draws, regions, first_point),
            self._collate_tags([scene.tags for scene in scenes]),
            self._collate_tags([scene.view_tags for scene in scenes]),
            torch.tensor([scene.tags is not None for scene in scenes]),
            torch.tensor([scene.tags_alone for scene in scenes]),
            torch.tensor([k for k, draw in enumerate(draws) for _ in draw.scenes]),
        )

    def _collate_tags(self, tags: Sequence[NDArray[np.bool_] | None]) -> torch.Tensor:
        nothing = np.zeros(len(self._spec.ontology), dtype=bool)
        return torch.from_numpy(np.stack([nothing if tag is None else tag for tag in tags]))

    def _voxelize(
        self,
        clouds: Sequence[LabelledPoints],
        index: Sequence[NDArray[np.int64]],
        start: NDArray[np.int64],
    ) -> Voxels:
        """Voxelises clouds whose points have these indices within their part of the batch."""
        of_point = np.full(start[-1], -1, dtype=np.int64)
        coords, features, offset = [], [], 0
        for number, points in enumerate(clouds):
            grid, values = voxel_features(points.cloud, self._spec)
            inside = grid.point_voxel >= 0
            of_point[start[number] + index[number][inside]] = offset + grid.point_voxel[inside]
            coords.append(np.pad(grid.coords, ((0, 0), (1, 0)), constant_values=number))
            features.append(values)
            offset += len(values)
        places, values = fill_empty(np.concatenate(coords), np.concatenate(features))
        return Voxels(
            torch.from_numpy(places), torch.from_numpy(values), torch.from_numpy(of_point)
        )


def _unique_regions(regions: Sequence[NDArray[np.int32]]) -> list[NDArray[np.int64]]:
    """Numbers the regions of several scenes through."""
    result, first = [], 0
    for region in regions:
        result.append(np.where(region >= 0, region.astype(np.int64) + first, -1))
        first += int(region.max(initial=-1)) + 1
    return result


def _collate_views(
    draws: Sequence[SceneDraw],
    regions: Sequence[NDArray[np.int64]],
    first_point: NDArray[np.int64],
) -> Views:
    scenes = [scene for draw in draws for scene in draw.scenes]
    views = [scene.views for scene in scenes]
    counts = [len(view.images) for view in views]
    first_view = np.cumsum([0, *counts])
    cells = []
    for scene, region in zip(scenes, regions, strict=True):
        for number in range(len(scene.views.images)):
            pairs = scene.views.pair_view == number
            cells.append(
                region_image(
                    scene.views.pair_uv[pairs],
                    region[scene.views.pair_point[pairs]],
                    scene.views.pair_depth[pairs],
                    scene.views.images.shape[1:3],
                    STRIDE,
                )
            )
    labels = np.concatenate([view.labels for view in views])
    region_cells = np.stack(cells) if cells else np.zeros(labels.shape)
    pair_point = [v.pair_point + first for v, first in zip(views, first_point[:-1], strict=True)]
    pair_view = [v.pair_view + first for v, first in zip(views, first_view[:-1], strict=True)]
    return Views(
        torch.from_numpy(np.concatenate([v.images for v in views])).movedim(3, 1).contiguous(),
        torch.from_numpy(np.repeat(np.arange(len(views)), counts)),
        _long([labels]),
        torch.from_numpy(np.concatenate([view.weights for view in views])),
        torch.from_numpy(region_cells.astype(np.int64)),
        torch.from_numpy(np.concatenate(pair_point)),
        torch.from_numpy(np.concatenate(pair_view)),
        torch.from_numpy(np.concatenate([view.pair_uv for view in views])),
    )


def _long(arrays: Sequence[NDArray]) -> torch.Tensor:
    return torch.from_numpy(np.concatenate(arrays).astype(np.int64))


def _map(value, function):  # type: ignore[no-untyped-def]
    """Applies a function to all tensors of nested dataclasses."""
    if isinstance(value, torch.Tensor):
        return function(value)
    return type(value)(**{name: _map(part, function) for name, part in vars(value).items()})
