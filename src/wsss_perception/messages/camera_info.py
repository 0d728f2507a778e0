"""sensor_msgs/CameraInfo <-> Camera, for messages of rclpy and of rosbags alike."""

from typing import Any

import numpy as np

from wsss_perception.errors import GeometryError, MessageError
from wsss_perception.geometry import Camera, Matrix, check_rigid, make_transform
from wsss_perception.messages.common import MessageTypes, float_sequence, make_header


def decode(message: Any, rectified: bool = False) -> Camera:
    """Reads the intrinsics of the images that come with a CameraInfo.

    The region of interest and the binning are applied: the result is for the image as published.
    As in image_geometry, the raw region holds for K and P. A binned pixel is the mean of a block
    and lies at its centre; image_geometry puts it on the block's first pixel, so that its
    principal point is 0.5 - 0.5 / binning pixels larger.

    Args:
        message: the CameraInfo, of rclpy or rosbags.
        rectified: the image is a rectified one (``image_rect...``): P holds its camera matrix,
            there is no distortion, and ``rectification`` turns points into its frame. Otherwise
            K, D and the distortion model hold for the raw image.

    Raises:
        MessageError: unknown distortion model, no calibration (K or P of zeros), no size.
    """
    matrix = np.array(message.p, dtype=np.float64).reshape(3, 4)[:, :3]
    model, distortion = "plumb_bob", np.zeros(0)
    if not rectified:
        matrix = np.array(message.k, dtype=np.float64).reshape(3, 3)
        model = message.distortion_model or "plumb_bob"
        distortion = np.trim_zeros(np.array(message.d, dtype=np.float64), "b")
    width, height = int(message.width), int(message.height)
    roi = message.roi
    if roi.width and roi.height:
        width, height = int(roi.width), int(roi.height)
        matrix[:2, 2] -= roi.x_offset, roi.y_offset
    binning = np.array([max(message.binning_x, 1), max(message.binning_y, 1)])
    matrix[:2] /= binning[:, None]
    matrix[:2, 2] += 0.5 / binning - 0.5  # a pixel's centre has integer coordinates
    width, height = width // int(binning[0]), height // int(binning[1])
    if width < 1 or height < 1:
        raise MessageError(f"{_where(message)}: no image size; set width and height")
    try:
        return Camera(width, height, matrix, model, tuple(distortion.tolist()))
    except GeometryError as error:
        raise MessageError(f"{_where(message)}: {error}") from error


def rectification(message: Any) -> Matrix:
    """Returns the transform [4, 4] from the optical frame to that of the rectified image.

    It is the rotation R; one of zeros, unset, counts as the identity. The header's frame has its
    origin in this camera's optical centre, so that the fourth column of P, which relates a
    stereo camera to its neighbour, plays no part.

    Raises:
        MessageError: R is not a rotation.
    """
    rotation = np.array(message.r, dtype=np.float64).reshape(3, 3)
    transform = make_transform(rotation if rotation.any() else np.eye(3), np.zeros(3))
    try:
        check_rigid(transform, "R")
    except GeometryError as error:
        raise MessageError(f"{_where(message)}: {error}") from error
    return transform


def encode(camera: Camera, stamp: int, frame_id: str, types: MessageTypes) -> Any:
    """Encodes a camera as the CameraInfo of its raw image; P is K, R the identity.

    Args:
        camera: the intrinsics.
        stamp: time of the image in nanoseconds.
        frame_id: the camera's optical frame.
        types: the message classes.
    """
    cls = types["sensor_msgs/msg/CameraInfo"]
    projection = np.hstack([camera.matrix, np.zeros((3, 1))])
    return cls(
        header=make_header(stamp, frame_id, types),
        height=camera.height,
        width=camera.width,
        distortion_model=camera.model,
        d=float_sequence(cls, camera.distortion),
        k=np.array(camera.matrix, dtype=np.float64).ravel(),
        r=np.eye(3).ravel(),
        p=projection.ravel(),
        binning_x=0,
        binning_y=0,
        roi=types["sensor_msgs/msg/RegionOfInterest"](
            x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
        ),
    )


def _where(message: Any) -> str:
    return f"CameraInfo of frame '{message.header.frame_id}'"
