"""geometry_msgs/Transform and tf2_msgs/TFMessage <-> 4x4 matrices and transform trees."""

from typing import Any

import numpy as np

from wsss_perception.geometry import (
    Matrix,
    TransformTree,
    make_transform,
    matrix_from_quaternion,
    quaternion_from_matrix,
)
from wsss_perception.messages.common import MessageTypes, make_header, stamp_to_ns


def decode(message: Any) -> Matrix:
    """Decodes a Transform to a matrix [4, 4].

    Raises:
        GeometryError: the quaternion is zero or not finite.
    """
    t, q = message.translation, message.rotation
    return make_transform(matrix_from_quaternion([q.x, q.y, q.z, q.w]), [t.x, t.y, t.z])


def decode_pose(message: Any) -> Matrix:
    """Decodes a Pose to a matrix [4, 4], as ``decode``."""
    t, q = message.position, message.orientation
    return make_transform(matrix_from_quaternion([q.x, q.y, q.z, q.w]), [t.x, t.y, t.z])


def encode(T_parent_child: Matrix, types: MessageTypes) -> Any:
    """Encodes a rigid transform [4, 4] as a Transform."""
    x, y, z = map(float, T_parent_child[:3, 3])
    qx, qy, qz, qw = map(float, quaternion_from_matrix(T_parent_child[:3, :3]))
    return types["geometry_msgs/msg/Transform"](
        translation=types["geometry_msgs/msg/Vector3"](x=x, y=y, z=z),
        rotation=types["geometry_msgs/msg/Quaternion"](x=qx, y=qy, z=qz, w=qw),
    )


def encode_stamped(
    T_parent_child: Matrix, parent: str, child: str, stamp: int, types: MessageTypes
) -> Any:
    """Encodes the transform [4, 4] of a child frame in its parent as a TransformStamped.

    Args:
        T_parent_child: maps points of the child frame to the parent frame.
        parent: name of the parent frame, in the header.
        child: name of the child frame.
        stamp: time in nanoseconds.
        types: the message classes.
    """
    return types["geometry_msgs/msg/TransformStamped"](
        header=make_header(stamp, parent, types),
        child_frame_id=child,
        transform=encode(np.asarray(T_parent_child), types),
    )


def add_to_tree(tree: TransformTree, message: Any, static: bool) -> None:
    """Adds the transforms of a TFMessage to a tree; leading slashes of frames are dropped.

    Args:
        tree: the tree to extend.
        message: the TFMessage, of rclpy or rosbags.
        static: it came on /tf_static: the transforms hold at all times.

    Raises:
        GeometryError: a transform is not rigid, or would close a loop.
    """
    for entry in message.transforms:
        parent = entry.header.frame_id.lstrip("/")
        child = entry.child_frame_id.lstrip("/")
        transform = decode(entry.transform)
        if static:
            tree.set_static(parent, child, transform)
        else:
            tree.set_moving(parent, child, transform, stamp_to_ns(entry.header.stamp))
