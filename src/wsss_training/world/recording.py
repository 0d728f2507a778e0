"""What the sensors of the synthetic world record: the contract of everything that writes it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsss_perception.frame import PointCloud
from wsss_perception.geometry import Camera, Matrix


@dataclass(frozen=True)
class Shot:
    """A camera's image, with what is truly in every pixel.

    Attributes:
        name: of the camera in its rig.
        camera: intrinsics; images are undistorted.
        T_ego_camera: mounting of the camera [4, 4].
        T_world_ego: pose of the vehicle [4, 4] when the image was taken.
        stamp: then, nanoseconds.
        pixels: uint8 [H, W, 3].
        classes: uint8 [H, W], Cityscapes label of every pixel; UNKNOWN for none of its classes.
        regions: int32 [H, W], number of the surface in the pixel: one wall, one car's body, one
            stretch of road; -1 for the sky. Pixels of one region have one class.
    """

    name: str
    camera: Camera
    T_ego_camera: Matrix
    T_world_ego: Matrix
    stamp: int
    pixels: NDArray[np.uint8]
    classes: NDArray[np.uint8]
    regions: NDArray[np.int32]


@dataclass(frozen=True)
class Sweep:
    """One turn of the LiDAR and the images taken meanwhile.

    Attributes:
        cloud: points in the LiDAR frame at ``cloud.stamp``, corrected for the vehicle's motion;
            channels ``intensity`` 0..1 and ``ring``.
        labels: uint8 [N], SemanticKITTI label of every point, UNKNOWN for what is not scored.
        instances: int32 [N], number of the object a point is on, 0 for ground.
        T_ego_lidar: mounting of the LiDAR [4, 4].
        T_world_ego: pose of the vehicle [4, 4] at ``cloud.stamp``.
        shots: one of each camera.
    """

    cloud: PointCloud
    labels: NDArray[np.uint8]
    instances: NDArray[np.int32]
    T_ego_lidar: Matrix
    T_world_ego: Matrix
    shots: tuple[Shot, ...]


@dataclass(frozen=True)
class Recording:
    """A drive through one scene.

    Attributes:
        name: of the scene.
        sweeps: in the order they were taken; recorded while they are read.
        count: how many there will be.
    """

    name: str
    sweeps: Iterator[Sweep]
    count: int
