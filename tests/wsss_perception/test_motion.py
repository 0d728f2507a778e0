from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsss_perception.errors import GeometryError, MessageError
from wsss_perception.geometry import (
    TransformTree,
    invert,
    make_transform,
    matrix_from_quaternion,
    transform_points,
)
from wsss_perception.motion import compensate, point_times

STAMP = 1_700_000_000_123_456_789
DATATYPES = {"i4": 5, "u4": 6, "f4": 7, "f8": 8}


def screw_motion(velocity, rate, axis=(0, 0, 1), place=(0, 0, 0)):
    """Returns the pose at a time of a LiDAR that drives and turns steadily."""
    axis = np.asarray(axis) / np.linalg.norm(axis)

    def pose(time):
        seconds = (time - STAMP) * 1e-9
        half = rate * seconds / 2
        rotation = matrix_from_quaternion([*(np.sin(half) * axis), np.cos(half)])
        return make_transform(rotation, np.asarray(place) + np.asarray(velocity) * seconds)

    return pose


def literal(xyz, seconds, pose, stamp):
    """Moves point by point, each with the pose of its own time."""
    moved = [
        transform_points(invert(pose(stamp)) @ pose(stamp + round(time * 1e9)), point[None])[0]
        for point, time in zip(xyz.astype(np.float64), seconds.tolist(), strict=True)
    ]
    return np.array(moved).reshape(-1, 3)


def message(field, values, stamp=STAMP, count=1):
    """Makes a cloud with x, y, z and one more field."""
    values = np.asarray(values)
    size = values.dtype.itemsize
    points = np.zeros((len(values) // count, 12 + size * count), dtype=np.uint8)
    points[:, 12:] = values.view(np.uint8).reshape(len(points), size * count)
    names = {"x": (0, 7, 1), "y": (4, 7, 1), "z": (8, 7, 1)}
    names[field] = (12, DATATYPES[values.dtype.str[1:]], count)
    seconds, nanoseconds = divmod(stamp, 10**9)
    return SimpleNamespace(
        header=SimpleNamespace(
            stamp=SimpleNamespace(sec=seconds, nanosec=nanoseconds), frame_id="lidar"
        ),
        height=1,
        width=len(points),
        fields=[
            SimpleNamespace(name=name, offset=offset, datatype=kind, count=number)
            for name, (offset, kind, number) in names.items()
        ],
        is_bigendian=False,
        point_step=points.shape[1],
        row_step=points.size,
        data=points.tobytes(),
        is_dense=True,
    )


@given(st.integers(0, 2**32 - 1), st.integers(0, 40))
def test_compensation_equals_that_point_by_point(seed, count):
    rng = np.random.default_rng(seed)
    xyz = rng.uniform(-60, 60, (count, 3)).astype(np.float32)
    seconds = rng.uniform(*np.sort(rng.uniform(-0.1, 0.1, 2)), count)
    utm = (4.4e5, 5.3e6, 100)  # far from the fixed frame's origin, as maps are
    pose = screw_motion(rng.uniform(-30, 30, 3), rng.uniform(-1, 1), rng.normal(size=3), utm)
    moved = compensate(xyz, seconds, pose, STAMP)
    assert moved.dtype == np.float32
    np.testing.assert_allclose(moved, literal(xyz, seconds, pose, STAMP), atol=2e-3)


def test_wall_seen_while_driving_becomes_straight():
    """At 20 m/s, a wall 10 m ahead is measured nearer and nearer; at the stamp it is 10 m away."""
    seconds = np.linspace(0, 0.1, 50)
    wall = np.stack([10 - 20 * seconds, np.linspace(-5, 5, 50), np.zeros(50)], axis=1)
    moved = compensate(wall.astype(np.float32), seconds, screw_motion((20, 0, 0), 0), STAMP)
    np.testing.assert_allclose(moved[:, 0], 10, atol=1e-5)
    np.testing.assert_allclose(moved[:, 1:], wall[:, 1:], atol=1e-5)


def test_point_measured_at_the_stamp_does_not_move():
    xyz = np.array([[80, 1, 2], [80, 1, 2]], dtype=np.float32)
    moved = compensate(xyz, np.array([0.0, 0.05]), screw_motion((20, 0, 0), 1), STAMP)
    np.testing.assert_allclose(moved[0], xyz[0], atol=1e-5)
    assert np.linalg.norm(moved[1] - xyz[1]) > 1


def test_points_of_one_time_move_as_one():
    xyz = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    seconds = np.full(5, 0.05)
    moved = compensate(xyz, seconds, screw_motion((20, 0, 0), 1), STAMP)
    expected = literal(xyz, seconds, screw_motion((20, 0, 0), 1), STAMP)
    np.testing.assert_allclose(moved, expected, atol=1e-5)


def test_invalid_points_and_points_without_a_time_keep_their_place():
    xyz = np.ones((4, 3), dtype=np.float32)
    xyz[0, 1], xyz[1, 2] = np.nan, np.inf
    seconds = np.array([0.0, 0.1, np.nan, 0.1])
    before = xyz.copy()
    moved = compensate(xyz, seconds, screw_motion((20, 0, 0), 0), STAMP)
    np.testing.assert_array_equal(moved[:3], before[:3])
    np.testing.assert_allclose(moved[3], [3, 1, 1], atol=1e-5)
    np.testing.assert_array_equal(xyz, before)


@pytest.mark.parametrize("count", [0, 3])
def test_without_any_time_no_pose_is_asked_for(count):
    xyz = np.ones((count, 3), dtype=np.float32)
    moved = compensate(xyz, np.full(count, np.nan), lambda time: pytest.fail("asked"), STAMP)
    np.testing.assert_array_equal(moved, xyz)


def test_poses_are_asked_for_within_the_sweep_at_most_10_ms_apart():
    asked = []

    def pose(time):
        asked.append(time)
        return np.eye(4)

    compensate(np.ones((3, 3), dtype=np.float32), np.array([0.1, -0.025, 0.0]), pose, STAMP)
    assert asked[0] == STAMP
    times = np.array(asked[1:]) - STAMP
    assert (times[0], times[-1]) == (-25_000_000, 100_000_000)
    assert 0 < np.diff(times).min() <= np.diff(times).max() <= 10_000_000


def test_pose_that_is_not_known_is_an_error():
    tree = TransformTree()
    tree.set_moving("odom", "lidar", np.eye(4), STAMP)
    with pytest.raises(GeometryError, match="odom->lidar"):
        compensate(
            np.ones((2, 3), dtype=np.float32),
            np.array([0.0, 0.1]),
            lambda time: tree.lookup("odom", "lidar", time),
            STAMP,
        )


SECONDS = np.array([0.0, 0.0501, 0.1])
DRIVERS = {
    "velodyne": ("time", SECONDS.astype("f4"), 0.0),
    "velodyne, stamp of the last packet": ("time", (SECONDS - 0.1).astype("f4"), -0.1),
    "ouster": ("t", (SECONDS * 1e9).astype("u4"), 0.0),
    "hesai, robosense": ("timestamp", STAMP * 1e-9 + SECONDS, 0.0),
    "robosense, stamp of the last point": ("timestamp", STAMP * 1e-9 + SECONDS - 0.1, -0.1),
    "livox": ("timestamp", STAMP + SECONDS * 1e9, 0.0),
    "livox, converted": ("offset_time", (SECONDS * 1e9).astype("u4"), 0.0),
    "nebula": ("time_stamp", (SECONDS * 1e9).astype("u4"), 0.0),
    "nebula, old": ("time_stamp", STAMP * 1e-9 + SECONDS, 0.0),
    "doubles after the stamp": ("time", SECONDS.astype("f8"), 0.0),
    "doubles after the stamp, called timestamp": ("timestamp", SECONDS.astype("f8"), 0.0),
    "integers before the stamp": ("time_offset", ((SECONDS - 0.1) * 1e9).astype("i4"), -0.1),
}


@pytest.mark.parametrize(("name", "values", "shift"), DRIVERS.values(), ids=DRIVERS)
def test_times_of_each_driver(name, values, shift):
    times = point_times(message(name, values))
    assert times.dtype == np.float64
    np.testing.assert_allclose(times, SECONDS + shift, atol=1e-6)


def test_livox_that_counts_from_power_on():
    """Its stamps do too, so that nothing tells nanoseconds from seconds but the stamp."""
    stamp = 42_000_000_000
    times = point_times(message("timestamp", stamp + SECONDS * 1e9, stamp))
    np.testing.assert_allclose(times, SECONDS, atol=1e-6)


@pytest.mark.parametrize(("name", "start"), [("timestamp", 0.05), ("time", 0.0)])
def test_times_of_a_simulation_that_just_started_are_told_by_name(name, start):
    times = point_times(message(name, start + SECONDS, 50_000_000))
    np.testing.assert_allclose(times, SECONDS, atol=1e-9)


def test_points_that_were_not_measured_have_no_time():
    values = STAMP * 1e-9 + np.array([0.0, 0.1, 0.1, 0.0, 0.1])
    values[[0, 3, 4]] = 0, np.nan, 0
    times = point_times(message("timestamp", values))
    np.testing.assert_array_equal(np.isnan(times), [True, False, False, True, True])


def test_time_field_that_was_left_zero_means_the_stamp():
    assert point_times(message("time", np.zeros(3, dtype="f4"))).tolist() == [0, 0, 0]


def test_cloud_without_times_has_none():
    assert point_times(message("ring", np.zeros(3, dtype="u4"))) is None


def test_empty_cloud_has_no_times():
    assert len(point_times(message("time", np.zeros(0, dtype="f4")))) == 0


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("timestamp", STAMP * 1e-9 + 7 + SECONDS),
        ("timestamp", (STAMP * 1e-9 + SECONDS).astype("f4")),
        ("t", (4 + SECONDS).astype("f4")),
        ("t", (4e9 + SECONDS).astype("u4")),
    ],
    ids=["other clock", "epoch seconds as FLOAT32", "FLOAT32 of 4 s", "4 s in nanoseconds"],
)
def test_times_far_from_the_stamp_are_refused(name, values):
    with pytest.raises(MessageError, match=rf"1700000000\.123456789.*'{name}'.*one clock"):
        point_times(message(name, values))


def test_field_of_several_values_is_refused():
    with pytest.raises(MessageError, match="'time' has 2 values"):
        point_times(message("time", np.zeros(6, dtype="f4"), count=2))
