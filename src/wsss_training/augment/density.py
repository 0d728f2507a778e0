"""Augmentations of how densely a sensor samples: points, beams, range, noise."""

from dataclasses import dataclass

import numpy as np

from wsss_training.data.labelled_points import LabelledPoints


@dataclass(frozen=True)
class DropPoints:
    """Drops a random share, up to ``largest``, of the points."""

    largest: float

    def __call__(self, points: LabelledPoints, rng: np.random.Generator) -> LabelledPoints:
        """Returns the points that are left."""
        share = rng.uniform(0.0, self.largest)
        return points.select(rng.random(len(points)) >= share)


@dataclass(frozen=True)
class DropBeams:
    """Keeps every second, or every fourth, beam: a 64-beam sensor becomes one of 32 or 16.

    Beams are recovered from the elevation angle, so files without a ring channel serve as well.

    Attributes:
        probability: of changing a sweep at all.
        spacing: elevation between the sensor's beams in radians.
    """

    probability: float
    spacing: float = 0.0073  # 64 beams over 26.8 degrees

    def __call__(self, points: LabelledPoints, rng: np.random.Generator) -> LabelledPoints:
        """Returns the points of the beams that are left."""
        if rng.random() >= self.probability:
            return points
        xyz = points.cloud.xyz
        elevation = np.arctan2(xyz[:, 2], np.hypot(xyz[:, 0], xyz[:, 1]))
        beam = np.floor(elevation / self.spacing).astype(np.int64)
        every = rng.choice([2, 2, 4])
        return points.select(beam % every == rng.integers(every))


@dataclass(frozen=True)
class CropRange:
    """Cuts off what lies beyond a random range between ``low`` and ``high`` metres.

    Attributes:
        probability: of cutting at all.
        low: shortest range.
        high: longest range.
    """

    probability: float
    low: float
    high: float

    def __call__(self, points: LabelledPoints, rng: np.random.Generator) -> LabelledPoints:
        """Returns the points within the range."""
        if rng.random() >= self.probability:
            return points
        limit = rng.uniform(self.low, self.high)
        xyz = points.cloud.xyz
        return points.select(np.einsum("ij,ij->i", xyz, xyz) < limit * limit)


@dataclass(frozen=True)
class JitterPoints:
    """Adds Gaussian noise of ``sigma`` metres to the coordinates."""

    sigma: float

    def __call__(self, points: LabelledPoints, rng: np.random.Generator) -> LabelledPoints:
        """Returns the noisy points."""
        noise = rng.standard_normal(points.cloud.xyz.shape, dtype=np.float32)
        return points.with_xyz(points.cloud.xyz + np.float32(self.sigma) * noise)
