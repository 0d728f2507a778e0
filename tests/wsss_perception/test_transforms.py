import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from wsss_perception.errors import GeometryError
from wsss_perception.geometry import (
    check_rigid,
    interpolate,
    invert,
    make_transform,
    matrix_from_quaternion,
    quaternion_from_matrix,
    transform_points,
)

QUARTER_TURN_Z = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])


def vectors(size, limit):
    return arrays(np.float64, size, elements=st.floats(-limit, limit))


@st.composite
def quaternions(draw):
    quaternion = draw(vectors(4, 1.0))
    assume(np.linalg.norm(quaternion) > 0.1)
    return quaternion / np.linalg.norm(quaternion)


@st.composite
def transforms(draw):
    return make_transform(matrix_from_quaternion(draw(quaternions())), draw(vectors(3, 100.0)))


@given(transforms())
def test_invert_undoes_transform(T_a_b):
    np.testing.assert_allclose(invert(T_a_b) @ T_a_b, np.eye(4), atol=1e-9)
    np.testing.assert_allclose(invert(T_a_b), np.linalg.inv(T_a_b), atol=1e-9)


@given(transforms(), transforms(), vectors((5, 3), 100.0))
def test_transform_points_composes(T_a_b, T_b_c, points_c):
    in_steps = transform_points(T_a_b, transform_points(T_b_c, points_c))
    np.testing.assert_allclose(transform_points(T_a_b @ T_b_c, points_c), in_steps, atol=1e-9)


def test_transform_points_maps_child_points_into_parent():
    T_a_b = make_transform(QUARTER_TURN_Z, [10.0, 0.0, 0.0])
    points = transform_points(T_a_b, np.float32([[1.0, 0.0, 2.0]]))
    np.testing.assert_allclose(points, [[10.0, 1.0, 2.0]])
    assert points.dtype == np.float32


@given(quaternions())
def test_quaternion_survives_round_trip(quaternion):
    result = quaternion_from_matrix(matrix_from_quaternion(quaternion))
    assert result[3] >= 0
    assert abs(result @ quaternion) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_quaternion_of_half_turns(axis):
    """Where w is 0 the naive conversion divides by nothing."""
    rotation = np.diag([1.0 if i == axis else -1.0 for i in range(3)])
    expected = np.eye(4)[axis]
    assert abs(quaternion_from_matrix(rotation) @ expected) == pytest.approx(1.0)


def test_matrix_from_quaternion_is_in_ros_order():
    half = np.sqrt(0.5)
    np.testing.assert_allclose(
        matrix_from_quaternion([0.0, 0.0, half, half]), QUARTER_TURN_Z, atol=1e-12
    )


@pytest.mark.parametrize("quaternion", [[0, 0, 0, 0], [np.nan, 0, 0, 1], [np.inf, 0, 0, 1]])
def test_matrix_from_quaternion_refuses_no_rotation(quaternion):
    with pytest.raises(GeometryError, match="not a rotation"):
        matrix_from_quaternion(quaternion)


@given(transforms(), transforms())
def test_interpolate_meets_end_points(T_a, T_b):
    np.testing.assert_allclose(interpolate(T_a, T_b, 0.0), T_a, atol=1e-7)
    np.testing.assert_allclose(interpolate(T_a, T_b, 1.0), T_b, atol=1e-7)


@given(transforms(), transforms())
def test_interpolate_halves_the_turn(T_a, T_b):
    half = interpolate(T_a, T_b, 0.5)
    check_rigid(half, "half")
    first = half[:3, :3] @ T_a[:3, :3].T
    assume(np.trace(T_b[:3, :3] @ T_a[:3, :3].T) > -0.99)  # a half turn has two halves
    np.testing.assert_allclose(first @ first @ T_a[:3, :3], T_b[:3, :3], atol=1e-6)
    np.testing.assert_allclose(half[:3, 3], (T_a[:3, 3] + T_b[:3, 3]) / 2, atol=1e-9)


def test_interpolate_turns_at_constant_rate():
    T_a, T_b = np.eye(4), make_transform(QUARTER_TURN_Z, [0.0, 0.0, 0.0])
    rotation = interpolate(T_a, T_b, 0.25)[:3, :3]
    assert np.degrees(np.arctan2(rotation[1, 0], rotation[0, 0])) == pytest.approx(22.5)


@pytest.mark.parametrize(
    "matrix",
    [
        np.eye(3),
        np.full((4, 4), np.nan),
        np.diag([2.0, 2.0, 2.0, 1.0]),
        np.diag([1.0, 1.0, -1.0, 1.0]),
        np.diag([1.0, 1.0, 1.0, 2.0]),
    ],
    ids=["3x3", "nan", "scaled", "mirrored", "projective"],
)
def test_check_rigid_refuses_and_names_it(matrix):
    with pytest.raises(GeometryError, match="lidar to camera"):
        check_rigid(matrix, "lidar to camera")


def test_transform_points_is_the_same_for_many_points_at_once():
    transform = make_transform(np.diag([-1.0, -1, 1]), [1, 2, 3])
    points = np.random.default_rng(0).normal(size=(150_001, 3))
    moved = transform_points(transform, points)
    np.testing.assert_array_equal(moved[:50_000], transform_points(transform, points[:50_000]))
    np.testing.assert_array_equal(moved[-7:], transform_points(transform, points[-7:]))
    assert moved.flags.c_contiguous
    assert moved.shape == points.shape
