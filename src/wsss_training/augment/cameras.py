"""Augmentations of the cameras that paint a sweep: other light, and cameras that are lost."""

from dataclasses import dataclass

import numpy as np

from wsss_training.augment.color import jitter_colors
from wsss_training.data.camera_colors import COLORS, SEEN, repainted
from wsss_training.data.labelled_points import LabelledPoints


@dataclass(frozen=True)
class JitterCameras:
    """Changes brightness, contrast and saturation of each camera, see ``jitter_colors``.

    Means are over the points that the camera sees, and not over its whole image.

    Attributes:
        strength: 0..1; 0 changes nothing.
    """

    strength: float

    def __call__(self, points: LabelledPoints, rng: np.random.Generator) -> LabelledPoints:
        """Returns the points in other colours; unchanged where no image was read."""
        if SEEN not in points.attributes:
            return points
        colors, seen = points.attributes[COLORS].copy(), points.attributes[SEEN]
        for camera in range(seen.shape[1]):
            index = np.flatnonzero(seen[:, camera])
            if len(index):
                changed = jitter_colors(colors[None, index, camera, None], self.strength, rng)
                colors[index, camera] = changed[0, :, 0]
        return repainted(points, colors, seen)


@dataclass(frozen=True)
class DropCameras:
    """Leaves out cameras, as if they had no image: a model must do with all, some and none.

    Attributes:
        each: probability of leaving out a camera, for each alone.
        every: probability of leaving out all.
    """

    each: float
    every: float

    def __call__(self, points: LabelledPoints, rng: np.random.Generator) -> LabelledPoints:
        """Returns the points as the cameras left see them; unchanged where no image was read."""
        if SEEN not in points.attributes:
            return points
        colors, seen = points.attributes[COLORS], points.attributes[SEEN]
        lost = rng.random(seen.shape[1]) < self.each
        lost |= rng.random() < self.every
        kept = np.logical_and(seen, ~lost)
        return repainted(points, np.where(kept[..., None], colors, np.uint8(0)), kept)
