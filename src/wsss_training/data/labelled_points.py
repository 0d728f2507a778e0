"""Points with the labels that training uses: what augmentations take and give."""

from dataclasses import dataclass, field, replace

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
        attributes: what else a method knows of each point, arrays [N, ...] by name, such as its
            region or its pixels; no input of the network.
    """

    cloud: PointCloud
    labels: NDArray[np.uint8]
    weights: NDArray[np.float32]
    attributes: dict[str, NDArray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, index: NDArray) -> "LabelledPoints":
        """Returns the points of a boolean mask [N] or an index array."""
        attributes = {name: values[index] for name, values in self.attributes.items()}
        return LabelledPoints(
            self.cloud.select(index), self.labels[index], self.weights[index], attributes
        )

    def with_xyz(self, xyz: NDArray[np.float32]) -> "LabelledPoints":
        """Returns the same points at other coordinates [N, 3]."""
        return replace(self, cloud=replace(self.cloud, xyz=xyz.astype(np.float32, copy=False)))
