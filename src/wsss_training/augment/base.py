"""What an augmentation is."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from wsss_training.data.labelled_points import LabelledPoints


class Augmentation(Protocol):
    """Changes a training cloud at random; all randomness comes from the generator."""

    def __call__(self, points: LabelledPoints, rng: np.random.Generator) -> LabelledPoints:
        """Returns the changed points; the input stays as it is."""
        ...


class Compose:
    """Applies augmentations one after the other."""

    def __init__(self, steps: Sequence[Augmentation]) -> None:
        self.steps = tuple(steps)

    def __call__(self, points: LabelledPoints, rng: np.random.Generator) -> LabelledPoints:
        """Returns the points after all steps."""
        for step in self.steps:
            points = step(points, rng)
        return points
