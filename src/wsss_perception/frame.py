"""What a robot saw at one moment: a point cloud and the camera views that go with it."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from wsss_perception.geometry import Camera, Matrix

UNKNOWN = 255
"""Label of a point with no class: invalid, unlabelled, ignored or below the confidence limit."""


@dataclass(frozen=True)
class PointCloud:
    """Points of one sweep in the LiDAR frame (REP-103: x forward, y left, z up, metres).

    Attributes:
        xyz: float32 [N, 3]; may hold NaN or infinite points (REP-117).
        channels: named float32 values per point, [N] or [N, k]: intensity (0..1), ring, time...
        stamp: time of the sweep in integer nanoseconds.
        frame_id: name of the LiDAR frame.

    Raises:
        ValueError: a channel's length differs from the number of points.
    """

    xyz: NDArray[np.float32]
    channels: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    stamp: int = 0
    frame_id: str = "lidar"

    def __post_init__(self) -> None:
        if self.xyz.ndim != 2 or self.xyz.shape[1] != 3:
            raise ValueError(f"xyz must be [N, 3], got {list(self.xyz.shape)}")
        for name, values in self.channels.items():
            if len(values) != len(self.xyz):
                raise ValueError(f"channel '{name}' has {len(values)} of {len(self.xyz)} points")

    def __len__(self) -> int:
        return len(self.xyz)

    def select(self, index: NDArray) -> "PointCloud":
        """Returns the points of a boolean mask [N] or an index array, with their channels."""
        channels = {name: values[index] for name, values in self.channels.items()}
        return PointCloud(self.xyz[index], channels, self.stamp, self.frame_id)


@dataclass(frozen=True)
class View:
    """One camera image and where its camera was.

    Attributes:
        name: camera name, such as ``image_02`` or ``CAM_FRONT``.
        camera: intrinsics of the image as it is.
        T_camera_lidar: [4, 4], maps points of the cloud's frame to the optical frame, ego-motion
            between their stamps included where poses are known.
        image: uint8 [H, W, 3], RGB.
        stamp: time of the image in integer nanoseconds.
        depth: float32 [H, W] in metres, 0 where unknown; None where there is no depth image.
    """

    name: str
    camera: Camera
    T_camera_lidar: Matrix
    image: NDArray[np.uint8]
    stamp: int = 0
    depth: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Frame:
    """A cloud and its views, synchronised: what the segmenter takes."""

    cloud: PointCloud
    views: tuple[View, ...] = ()


@dataclass(frozen=True)
class SemanticCloud:
    """Per-point result, in the order and number of the input points.

    Attributes:
        labels: uint8 [N], index into the ontology's classes; UNKNOWN (255) for invalid points.
        confidence: float32 [N], calibrated probability of the label; 0 where unknown.
        seen: uint8 [N], number of views that see the point.
        similarity: float32 [N], cosine to the phrase that was asked for, NaN for invalid points;
            None where nobody asked.
    """

    labels: NDArray[np.uint8]
    confidence: NDArray[np.float32]
    seen: NDArray[np.uint8]
    similarity: NDArray[np.float32] | None = None
