"""Points with the labels that training uses: what augmentations take and give."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from wsss_perception.frame import PointCloud

NORMAL = ("normal_x", "normal_y", "normal_z")
"""Channels of a cloud that change when it is rotated."""


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

    def rotated(self, rotation: NDArray[np.float32]) -> "LabelledPoints":
        """Returns the points rotated or mirrored, their normals with them.

        Args:
            rotation: orthogonal matrix [3, 3]; points and the channels ``normal_x``, ``normal_y``
                and ``normal_z``, where the cloud has them, are multiplied by it.
        """
        turned = self.with_xyz(self.cloud.xyz @ rotation.T)
        channels = self.cloud.channels
        if not all(name in channels for name in NORMAL):
            return turned
        normals = np.stack([channels[name] for name in NORMAL], axis=1) @ rotation.T
        changed = {name: normals[:, axis].copy() for axis, name in enumerate(NORMAL)}
        return replace(turned, cloud=replace(turned.cloud, channels={**channels, **changed}))

    def with_xyz(self, xyz: NDArray[np.float32]) -> "LabelledPoints":
        """Returns the same points at other coordinates [N, 3]."""
        return replace(self, cloud=replace(self.cloud, xyz=xyz.astype(np.float32, copy=False)))
