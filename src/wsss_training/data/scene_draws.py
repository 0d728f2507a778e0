"""Draws of WSegPC: a scene as the student sees it, as the teacher sees it, and its views."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset as TorchDataset

from wsss_perception.features import Feature
from wsss_perception.frame import PointCloud
from wsss_training.augment import Augmentation, jitter_colors
from wsss_training.data.draw_order import DrawOrder
from wsss_training.data.labelled_points import LabelledPoints
from wsss_training.data.scene_views import SceneViews

INDEX = "index"
"""Attribute: which of the draw's points each point is."""
REGION = "region"
"""Attribute: the point's region, -1 for none."""


@dataclass(frozen=True)
class Scene:
    """A scene, or the part of one to train on.

    Attributes:
        points: N points, with the attribute REGION.
        views: of the points.
        tags: bool [C], which classes the points have; None for an untagged scene.
        view_tags: bool [C], which classes the views show, those of points that were removed too;
            None for an untagged scene.
        tags_alone: whether the tags are all that supervises it, without labels of points.
    """

    points: LabelledPoints
    views: SceneViews
    tags: NDArray[np.bool_] | None
    view_tags: NDArray[np.bool_] | None
    tags_alone: bool


class Scenes(Protocol):
    """Scenes to draw from."""

    def read(self, index: int, rng: np.random.Generator) -> Scene:
        """Reads a scene; the generator chooses views and part."""


@dataclass(frozen=True)
class SceneDraw:
    """One or, mixed, two scenes; K in all.

    Attributes:
        scenes: the scenes as they are, with the points that the teacher sees.
        teacher: the same points, weakly augmented, a cloud a scene.
        student: all points together, strongly augmented; attribute INDEX counts through the
            points of all scenes, some of which may be missing.
    """

    scenes: tuple[Scene, ...]
    teacher: tuple[LabelledPoints, ...]
    student: LabelledPoints


class SceneDraws(TorchDataset[SceneDraw]):
    """An endless-looking set: draw k is a function of the seed and k alone.

    Args:
        scenes: to draw from.
        order: which of them each draw takes.
        strong: augmentation of what the student sees.
        weak: augmentation of what the teacher sees.
        mix: joins each scene with another, random one (Mix3D).
        color_jitter: of the views, see ``jitter_colors``.
        seed: of the augmentation.
        features: the model's, whose fills stand for channels that one of two mixed scenes lacks.
    """

    def __init__(
        self,
        scenes: Scenes,
        order: DrawOrder,
        strong: Augmentation,
        weak: Augmentation,
        mix: bool,
        color_jitter: float,
        seed: int,
        features: Sequence[Feature] = (),
    ) -> None:
        self._scenes, self._order, self._mix, self._seed = scenes, order, mix, seed
        self._strong, self._weak, self._color_jitter = strong, weak, color_jitter
        self._fills = {f.name: f.fill for f in features if f.fill is not None}

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, draw: int) -> SceneDraw:
        rng = np.random.default_rng([self._seed, 1, draw])
        scenes = [self._scenes.read(self._order[draw], rng)]
        if self._mix:
            other = self._order[int(rng.integers(len(self._order)))]
            scenes.append(self._scenes.read(other, rng))
            scenes = [_halve_views(scene, rng) for scene in scenes]
        scenes = [self._recolored(scene, rng) for scene in scenes]
        teacher = tuple(self._weak(scene.points, rng) for scene in scenes)
        student = self._strong(_join([scene.points for scene in scenes], self._fills), rng)
        return SceneDraw(tuple(scenes), teacher, student)

    def _recolored(self, scene: Scene, rng: np.random.Generator) -> Scene:
        images = jitter_colors(scene.views.images, self._color_jitter, rng)
        return replace(scene, views=replace(scene.views, images=images))


def _join(clouds: Sequence[LabelledPoints], fills: Mapping[str, float]) -> LabelledPoints:
    """Lays clouds over each other and numbers their points through.

    Each is moved horizontally until the middle of its points is where the first one's is; heights
    stay, for floors to remain at the level that networks know them at (Mix3D, 3DV 2021). Channels
    that a cloud lacks are filled, and without a fill left out.
    """
    middle = _middle(clouds[0])
    moved = [clouds[0]]
    for points in clouds[1:]:
        moved.append(points.with_xyz(points.cloud.xyz + (middle - _middle(points))))
    first = moved[0].cloud
    channels = _join_channels([points.cloud for points in moved], fills)
    xyz = np.concatenate([points.cloud.xyz for points in moved])
    return LabelledPoints(
        replace(first, xyz=xyz, channels=channels),
        np.concatenate([points.labels for points in moved]),
        np.concatenate([points.weights for points in moved]),
        {INDEX: np.arange(len(xyz))},
    )


def _join_channels(
    clouds: Sequence[PointCloud], fills: Mapping[str, float]
) -> dict[str, NDArray[np.float32]]:
    joined = {}
    for name in {name: None for cloud in clouds for name in cloud.channels}:
        parts = [
            cloud.channels[name]
            if name in cloud.channels
            else np.full(len(cloud), fills[name], dtype=np.float32)
            for cloud in clouds
            if name in cloud.channels or name in fills
        ]
        if len(parts) == len(clouds) and len({part.shape[1:] for part in parts}) == 1:
            joined[name] = np.concatenate(parts)
    return joined


def _middle(points: LabelledPoints) -> NDArray[np.float32]:
    """Mean x and y of the finite points, and 0 [3]."""
    xyz = points.cloud.xyz
    finite = xyz[np.isfinite(xyz).all(axis=1)]
    middle = finite.mean(axis=0) if len(finite) else np.zeros(3, dtype=np.float32)
    return np.append(middle[:2], np.float32(0))


def _halve_views(scene: Scene, rng: np.random.Generator) -> Scene:
    """Leaves half of the views, rounded up: mixed scenes share the images of one."""
    count = len(scene.views.images)
    kept = np.sort(rng.permutation(count)[: -(-count // 2)])
    return replace(scene, views=scene.views.select_views(kept))
