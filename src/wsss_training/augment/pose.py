"""Augmentations of where a sweep is seen from: rotation, flips, scale, sensor height."""

from dataclasses import dataclass

import numpy as np

from wsss_training.data.labelled_points import LabelledPoints


@dataclass(frozen=True)
class Rotate:
    """Rotates about the vertical axis by an angle from -limit..limit (radians)."""

    limit: float

    def __call__(self, points: LabelledPoints, rng: np.random.Generator) -> LabelledPoints:
        """Returns the rotated points."""
        angle = rng.uniform(-self.limit, self.limit)
        cosine, sine = np.cos(angle), np.sin(angle)
        rotation = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]], np.float32)
        return points.rotated(rotation)


@dataclass(frozen=True)
class Flip:
    """Mirrors each horizontal axis with probability one half."""

    def __call__(self, points: LabelledPoints, rng: np.random.Generator) -> LabelledPoints:
        """Returns the mirrored points."""
        signs = np.ones(3, np.float32)
        signs[:2] = rng.choice([-1.0, 1.0], 2)
        return points.rotated(np.diag(signs))


@dataclass(frozen=True)
class Scale:
    """Scales by a factor from low..high."""

    low: float
    high: float

    def __call__(self, points: LabelledPoints, rng: np.random.Generator) -> LabelledPoints:
        """Returns the scaled points."""
        factor = np.float32(rng.uniform(self.low, self.high))
        return points.with_xyz(points.cloud.xyz * factor)


@dataclass(frozen=True)
class Mount:
    """Moves and tilts the sensor: other vehicles carry it elsewhere, and roads slope.

    Attributes:
        height: largest change of height in metres.
        tilt: largest roll and pitch in radians.
    """

    height: float
    tilt: float

    def __call__(self, points: LabelledPoints, rng: np.random.Generator) -> LabelledPoints:
        """Returns the points as the moved sensor would see them."""
        roll, pitch = rng.uniform(-self.tilt, self.tilt, 2)
        rotation = np.array(  # to first order: the angles are small
            [[1, 0, pitch], [0, 1, -roll], [-pitch, roll, 1]], np.float32
        )
        offset = np.array([0, 0, rng.uniform(-self.height, self.height)], np.float32)
        turned = points.rotated(rotation)
        return turned.with_xyz(turned.cloud.xyz + offset)
