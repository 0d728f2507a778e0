import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsss_perception.errors import GeometryError
from wsss_perception.geometry import (
    TransformTree,
    interpolate,
    invert,
    make_transform,
    matrix_from_quaternion,
)


def random_transform(rng):
    rotation = matrix_from_quaternion(rng.normal(size=4))
    return make_transform(rotation, rng.uniform(-10, 10, size=3))


def translation(*xyz):
    return make_transform(np.eye(3), xyz)


@given(st.integers(0, 2**32 - 1), st.integers(2, 10))
def test_lookup_equals_product_along_any_tree(seed, count):
    rng = np.random.default_rng(seed)
    tree, T_root = TransformTree(), {"f0": np.eye(4)}
    for i in range(1, count):
        parent, T_parent_child = f"f{rng.integers(i)}", random_transform(rng)
        T_root[f"f{i}"] = T_root[parent] @ T_parent_child
        if rng.random() < 0.5:
            tree.set_static(parent, f"f{i}", T_parent_child)
        else:
            tree.set_moving(parent, f"f{i}", T_parent_child, stamp=7)
    target, source = f"f{rng.integers(count)}", f"f{rng.integers(count)}"
    expected = np.linalg.inv(T_root[target]) @ T_root[source]
    np.testing.assert_allclose(tree.lookup(target, source, 7), expected, atol=1e-9)
    assert tree.frames == set(T_root)


def test_lookup_interpolates_between_samples_added_in_any_order():
    rng = np.random.default_rng(0)
    early, late = random_transform(rng), random_transform(rng)
    tree = TransformTree()
    tree.set_moving("odom", "base", late, stamp=200)
    tree.set_moving("odom", "base", early, stamp=100)
    np.testing.assert_array_equal(tree.lookup("odom", "base", 100), early)
    np.testing.assert_array_equal(tree.lookup("odom", "base", 200), late)
    expected = interpolate(early, late, 0.25)
    np.testing.assert_allclose(tree.lookup("odom", "base", 125), expected, atol=1e-12)


def test_set_moving_replaces_sample_of_equal_stamp():
    tree = TransformTree()
    tree.set_moving("odom", "base", translation(1, 0, 0), stamp=5)
    tree.set_moving("odom", "base", translation(2, 0, 0), stamp=5)
    assert tree.lookup("odom", "base", 5)[0, 3] == 2


def test_lookup_between_removes_ego_motion():
    """A wall seen at one stamp keeps its place in the world at the other."""
    tree = TransformTree()
    tree.set_moving("odom", "base", translation(0, 0, 0), stamp=0)
    tree.set_moving("odom", "base", translation(10, 0, 0), stamp=1000)
    tree.set_static("base", "lidar", translation(0, 0, 2))
    tree.set_static("base", "camera", translation(1, 0, 0))
    T_camera_lidar = tree.lookup_between("camera", 600, "lidar", 100, "odom")
    np.testing.assert_allclose(T_camera_lidar[:3, 3], [1 - 6 - 1, 0, 2])


def test_lookup_between_equals_product_through_fixed_frame():
    rng = np.random.default_rng(1)
    tree, samples = TransformTree(), [random_transform(rng) for _ in range(3)]
    for stamp, sample in enumerate(samples):
        tree.set_moving("map", "base", sample, stamp)
    lidar = random_transform(rng)
    tree.set_static("base", "lidar", lidar)
    expected = invert(samples[2]) @ samples[0] @ lidar
    result = tree.lookup_between("base", 2, "lidar", 0, "map")
    np.testing.assert_allclose(result, expected, atol=1e-9)


@pytest.mark.parametrize("stamp", [99, 201])
def test_lookup_refuses_to_extrapolate(stamp):
    tree = TransformTree()
    for known in (100, 200):
        tree.set_moving("odom", "base", np.eye(4), known)
    with pytest.raises(GeometryError, match=rf"odom->base.*100 to 200 ns, not at {stamp} ns"):
        tree.lookup("odom", "base", stamp)


def test_lookup_names_unknown_and_unconnected_frames():
    tree = TransformTree()
    tree.set_static("base", "lidar", np.eye(4))
    tree.set_static("island", "hut", np.eye(4))
    with pytest.raises(GeometryError, match=r"'camera'.*base, hut, island, lidar"):
        tree.lookup("base", "camera", 0)
    with pytest.raises(GeometryError, match="no transform connects 'hut' to 'lidar'"):
        tree.lookup("lidar", "hut", 0)


@pytest.mark.parametrize(("parent", "child"), [("c", "a"), ("a", "a"), ("b", "a")])
def test_loops_are_refused_and_leave_the_tree_alone(parent, child):
    tree = TransformTree()
    tree.set_static("a", "b", translation(1, 0, 0))
    tree.set_static("b", "c", translation(1, 0, 0))
    with pytest.raises(GeometryError, match="loop"):
        tree.set_static(parent, child, np.eye(4))
    assert tree.lookup("a", "c", 0)[0, 3] == 2


def test_frame_moves_to_another_parent():
    tree = TransformTree()
    tree.set_static("a", "c", translation(1, 0, 0))
    tree.set_static("a", "b", translation(5, 0, 0))
    tree.set_static("b", "c", translation(1, 0, 0))
    assert tree.lookup("a", "c", 0)[0, 3] == 6


def test_cache_forgets_old_samples():
    tree = TransformTree(cache_ns=100)
    for stamp in (0, 50, 140):
        tree.set_moving("odom", "base", translation(stamp, 0, 0), stamp)
    assert tree.lookup("odom", "base", 50)[0, 3] == 50
    with pytest.raises(GeometryError, match="from 50 to 140"):
        tree.lookup("odom", "base", 49)


def test_clear_moving_keeps_static_transforms():
    tree = TransformTree()
    tree.set_static("base", "lidar", translation(0, 0, 2))
    tree.set_moving("odom", "base", np.eye(4), 100)
    tree.clear_moving()
    assert tree.frames == {"base", "lidar"}
    tree.set_moving("odom", "base", np.eye(4), 5)
    assert tree.lookup("odom", "lidar", 5)[2, 3] == 2


def test_not_rigid_transform_is_refused_by_name():
    with pytest.raises(GeometryError, match="base->lidar"):
        TransformTree().set_static("base", "lidar", np.diag([2.0, 1.0, 1.0, 1.0]))
