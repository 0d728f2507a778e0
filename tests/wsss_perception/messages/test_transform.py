from types import SimpleNamespace

import numpy as np
import pytest

from wsss_perception.errors import GeometryError
from wsss_perception.geometry import TransformTree, make_transform, matrix_from_quaternion
from wsss_perception.messages.transform import add_to_tree, decode, encode, encode_stamped

POSE = make_transform(matrix_from_quaternion([0.1, -0.4, 0.3, 0.8]), [1.0, -2.0, 3.5])


def test_a_transform_survives_the_round_trip(types):
    np.testing.assert_allclose(decode(encode(POSE, types)), POSE, atol=1e-12)


def test_an_unset_quaternion_is_refused(types):
    message = encode(POSE, types)
    message.rotation.x = message.rotation.y = message.rotation.z = message.rotation.w = 0.0
    with pytest.raises(GeometryError, match="is a transform unset"):
        decode(message)


def test_static_and_moving_transforms_reach_the_tree(types):
    tree = TransformTree()
    mount = encode_stamped(POSE, "/base", "lidar", 0, types)
    add_to_tree(tree, SimpleNamespace(transforms=[mount]), static=True)
    for second, x in ((1, 0.0), (2, 4.0)):
        moved = make_transform(np.eye(3), [x, 0, 0])
        message = encode_stamped(moved, "odom", "base", second * 1_000_000_000, types)
        add_to_tree(tree, SimpleNamespace(transforms=[message]), static=False)
    halfway = tree.lookup("odom", "lidar", 1_500_000_000)
    np.testing.assert_allclose(halfway, make_transform(np.eye(3), [2, 0, 0]) @ POSE, atol=1e-12)
    with pytest.raises(GeometryError, match="not at 2500000000 ns"):
        tree.lookup("odom", "lidar", 2_500_000_000)
