"""Mix3D: the union of two scenes, each out of its context (Nekrasov et al., 3DV 2021)."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ViewPairs:
    """The points that one image sees.

    Attributes:
        image: the image, or what tells which it is.
        index: int64 [M], which points of the scene.
        uv: float64 [M, 2], their pixel coordinates.
    """

    image: Any
    index: NDArray[np.int64]
    uv: NDArray[np.float64]


@dataclass(frozen=True)
class TaggedScene:
    """A scene as weak supervision needs it.

    Attributes:
        xyz: float32 [N, 3], metres.
        channels: named values of each point, [N] or [N, k].
        region: int32 [N], 0..R-1, -1 for none.
        tags: bool [C], classes of the scene.
        views: images, with the points that each sees.
        scene: uint8 [N], which of the mixed scenes a point is of; 0 everywhere before mixing.
        view_scene: which of them each view is of, in the order of ``views``.

    Raises:
        ValueError: arrays differ in length, or a view names points that are not there.
    """

    xyz: NDArray[np.float32]
    channels: dict[str, NDArray]
    region: NDArray[np.int32]
    tags: NDArray[np.bool_]
    views: tuple[ViewPairs, ...] = ()
    scene: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(0, dtype=np.uint8))
    view_scene: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not len(self.scene):
            object.__setattr__(self, "scene", np.zeros(len(self.xyz), dtype=np.uint8))
        if not self.view_scene:
            object.__setattr__(self, "view_scene", (0,) * len(self.views))
        arrays: dict[str, NDArray] = {"region": self.region, "scene": self.scene, **self.channels}
        for name, values in arrays.items():
            if len(values) != len(self.xyz):
                raise ValueError(f"'{name}' has {len(values)} of {len(self.xyz)} points")
        for view in self.views:
            if len(view.index) and not 0 <= view.index.min() <= view.index.max() < len(self.xyz):
                raise ValueError(f"view {view.image} sees points beyond the {len(self.xyz)}")

    def __len__(self) -> int:
        return len(self.xyz)


def mix(first: TaggedScene, second: TaggedScene, rng: np.random.Generator) -> TaggedScene:
    """Lays two scenes over each other.

    The second is moved horizontally until the means of both are at the same place; heights stay,
    for floors to remain at the level that networks know them at. Of each scene half the views
    stay, at random; of an odd number the first scene's half is the larger. Point-pixel pairs are
    those that the views had before, so that no pixel meets a point of the other scene.

    Args:
        first: a scene that is not mixed.
        second: another, with the same channels and classes.
        rng: chooses the views.

    Returns:
        The union: the first scene's points, then the second's; regions of the second numbered
        after the first's; the tags of both; ``scene`` 0 and 1.

    Raises:
        ValueError: the scenes' channels or classes differ.
    """
    if first.channels.keys() != second.channels.keys():
        raise ValueError(f"channels {sorted(first.channels)} and {sorted(second.channels)}")
    if first.tags.shape != second.tags.shape:
        raise ValueError(f"{len(first.tags)} and {len(second.tags)} classes of tags")
    shift = np.append(_middle(first.xyz) - _middle(second.xyz), 0.0)
    offset = int(first.region.max(initial=-1)) + 1
    moved_region = np.where(second.region >= 0, second.region + offset, -1)
    kept_first = _half(first.views, (len(first.views) + 1) // 2, rng)
    kept_second = tuple(
        replace(view, index=view.index + len(first))
        for view in _half(second.views, len(second.views) // 2, rng)
    )
    return TaggedScene(
        np.concatenate([first.xyz, (second.xyz + shift).astype(np.float32)]),
        {
            name: np.concatenate([values, second.channels[name]])
            for name, values in first.channels.items()
        },
        np.concatenate([first.region, moved_region]).astype(np.int32),
        first.tags | second.tags,
        kept_first + kept_second,
        np.repeat(np.array([0, 1], dtype=np.uint8), [len(first), len(second)]),
        (0,) * len(kept_first) + (1,) * len(kept_second),
    )


def _middle(xyz: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean x and y of the finite points."""
    finite = xyz[np.isfinite(xyz).all(axis=1), :2].astype(np.float64)
    return finite.mean(axis=0) if len(finite) else np.zeros(2)


def _half(
    views: tuple[ViewPairs, ...], count: int, rng: np.random.Generator
) -> tuple[ViewPairs, ...]:
    return tuple(views[number] for number in np.sort(rng.permutation(len(views))[:count]))
