"""Points with the labels that training uses: what augmentations take and give."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsss_perception.frame import PointCloud


@dataclass(frozen=True)
class LabelledPoints:
    """A sweep, or part of one, with noisy labels.

    Attributes:
        cloud: N points and their channels.
        labels: uint8 [N] in the target ontology, UNKNOWN where nothing is known.
        weights: float32 [N], reliability of each label, 0..1.
    """

    cloud: PointCloud
    labels: NDArray[np.uint8]
    weights: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, index: NDArray) -> "LabelledPoints":
        """Returns the points of a boolean mask [N] or an index array."""
        return LabelledPoints(self.cloud.select(index), self.labels[index], self.weights[index])

    def with_xyz(self, xyz: NDArray[np.float32]) -> "LabelledPoints":
        """Returns the same points at other coordinates [N, 3]."""
        cloud = PointCloud(
            xyz.astype(np.float32, copy=False),
            self.cloud.channels,
            self.cloud.stamp,
            self.cloud.frame_id,
        )
        return LabelledPoints(cloud, self.labels, self.weights)
