import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from wsss_perception.frame import UNKNOWN, PointCloud
from wsss_perception.geometry import (
    invert,
    make_transform,
    matrix_from_quaternion,
    transform_points,
)
from wsss_training.data.accumulate import accumulate_sweeps


def sweep(xyz, stamp=0, intensity=0.5):
    xyz = np.float32(xyz).reshape(-1, 3)
    return PointCloud(xyz, {"intensity": np.full(len(xyz), intensity, np.float32)}, stamp, "velo")


def test_older_sweeps_fall_where_they_were_measured():
    ahead = make_transform(np.eye(3), [5, 0, 0])
    now, before = sweep([[1, 0, 0]], 2_000_000_000, 0.25), sweep([[1, 2, 3]], 1_500_000_000)
    cloud, labels = accumulate_sweeps([(now, ahead, None), (before, np.eye(4), None)])
    np.testing.assert_array_equal(cloud.xyz, [[1, 0, 0], [-4, 2, 3]])
    np.testing.assert_array_equal(cloud.channels["intensity"], np.float32([0.25, 0.5]))
    np.testing.assert_array_equal(cloud.channels["time"], np.float32([0, -0.5]))
    assert (cloud.stamp, cloud.frame_id, cloud.xyz.dtype) == (2_000_000_000, "velo", np.float32)
    assert labels is None


def test_sweep_without_labels_is_unknown_among_labelled_ones():
    here = np.eye(4)
    parts = [(sweep([[1, 0, 0]]), here, np.uint8([3])), (sweep(np.zeros((2, 3))), here, None)]
    _, labels = accumulate_sweeps(parts)
    np.testing.assert_array_equal(labels, np.uint8([3, UNKNOWN, UNKNOWN]))
    assert labels.dtype == np.uint8


@given(st.integers(0, 2**32 - 1))
def test_still_points_coincide_whatever_the_motion(seed):
    rng = np.random.default_rng(seed)
    world = rng.uniform(-20, 20, (50, 3))
    parts = []
    for number in range(3):
        pose = make_transform(matrix_from_quaternion(rng.normal(size=4)), rng.uniform(-9, 9, 3))
        parts.append((sweep(transform_points(invert(pose), world), number), pose, None))
    cloud, _ = accumulate_sweeps(parts)
    first, second, third = np.split(cloud.xyz, 3)
    np.testing.assert_array_equal(first, parts[0][0].xyz)
    np.testing.assert_allclose(second, first, atol=1e-4)
    np.testing.assert_allclose(third, first, atol=1e-4)
