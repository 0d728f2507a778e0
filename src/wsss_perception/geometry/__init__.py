"""Transforms, cameras and visibility, on plain numpy arrays."""

from wsss_perception.geometry.cameras import Camera
from wsss_perception.geometry.transform_tree import TransformTree
from wsss_perception.geometry.transforms import (
    Matrix,
    check_rigid,
    interpolate,
    invert,
    make_transform,
    matrix_from_quaternion,
    quaternion_from_matrix,
    transform_points,
)
from wsss_perception.geometry.visibility import Visible, agrees_with_depth, occluded, visible_points

__all__ = [
    "Camera",
    "Matrix",
    "TransformTree",
    "Visible",
    "agrees_with_depth",
    "check_rigid",
    "interpolate",
    "invert",
    "make_transform",
    "matrix_from_quaternion",
    "occluded",
    "quaternion_from_matrix",
    "transform_points",
    "visible_points",
]
