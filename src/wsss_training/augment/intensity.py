"""Augmentation of the intensity channel, whose calibration differs from sensor to sensor."""

from dataclasses import dataclass, replace

import numpy as np

from wsss_training.data.labelled_points import LabelledPoints

_NOISE = np.float32(0.02)


@dataclass(frozen=True)
class JitterIntensity:
    """Applies ``gain * intensity ** gamma`` plus noise, clipped to 0..1.

    Attributes:
        change: largest relative change of gain and exponent; 0.2 draws both from 0.8..1.2.
        blank: probability of setting all intensities to 0, as a sensor without them does.
    """

    change: float
    blank: float

    def __call__(self, points: LabelledPoints, rng: np.random.Generator) -> LabelledPoints:
        """Returns the points with other intensities; unchanged where there are none."""
        intensity = points.cloud.channels.get("intensity")
        if intensity is None:
            return points
        gain = 0.0 if rng.random() < self.blank else 1.0 + rng.uniform(-self.change, self.change)
        gamma = 1.0 + rng.uniform(-self.change, self.change)
        noise = _NOISE * rng.standard_normal(len(intensity), dtype=np.float32)
        changed = np.clip(gain * (np.maximum(intensity, 0.0) ** gamma + noise), 0.0, 1.0)
        channels = {**points.cloud.channels, "intensity": changed.astype(np.float32)}
        return replace(points, cloud=replace(points.cloud, channels=channels))
