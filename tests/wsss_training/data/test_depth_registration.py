import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsss_perception.geometry import Camera, make_transform
from wsss_training.data.depth_registration import back_project, color_of_depth, register_depth

DEPTH = Camera(80, 60, np.array([[50.0, 0, 39.5], [0, 50, 29.5], [0, 0, 1]]))
COLOR = Camera(120, 90, np.array([[110.0, 0, 59.5], [0, 110, 44.5], [0, 0, 1]]))


@given(st.tuples(*[st.floats(0, 0.999)] * 2), st.floats(0.5, 5))
def test_back_projected_pixels_project_to_themselves(place, depth):
    row, column = (np.array(place) * (60, 80)).astype(int)
    image = np.zeros((60, 80))
    image[row, column] = depth
    point = back_project(image, DEPTH)[row, column]
    assert point[2] == pytest.approx(depth)
    np.testing.assert_allclose(DEPTH.project(point[None])[0], [[column, row]], atol=1e-9)


@settings(max_examples=30)
@given(st.floats(1, 4), st.tuples(*[st.floats(-0.1, 0.1)] * 3))
def test_wall_keeps_its_distance_without_holes(distance, shift):
    wall = np.full((60, 80), distance, dtype=np.float32)
    registered = register_depth(wall, DEPTH, COLOR, make_transform(np.eye(3), shift))
    assert registered.dtype == np.float32
    known = registered > 0
    np.testing.assert_allclose(registered[known], distance + shift[2], rtol=1e-5)
    middle = slice(20, 70), slice(30, 90)  # far enough from where the depth camera looks past
    assert known[middle].all()


def test_nearer_surface_hides_the_farther_one():
    depth = np.full((60, 80), 4, dtype=np.float32)
    depth[:, :40] = 1
    T_color_depth = make_transform(np.eye(3), [0.1, 0, 0])  # the colour camera is to the left
    registered = register_depth(depth, DEPTH, COLOR, T_color_depth)
    edge = 59.5 + 110 * 0.1 / 1  # the near half moves to the right
    columns = np.arange(120)
    np.testing.assert_allclose(registered[45, (columns > 15) & (columns < edge - 1)], 1)
    np.testing.assert_allclose(registered[45, columns > edge + 1], 4)


def test_unknown_depth_stays_unknown():
    depth = np.zeros((60, 80), dtype=np.float32)
    behind = make_transform(np.eye(3), [0, 0, 1])  # the colour camera, so that it sees the other
    assert not register_depth(depth, DEPTH, COLOR, behind).any()
    color = np.full((90, 120, 3), 9, dtype=np.uint8)
    found, known = color_of_depth(color, COLOR, depth, DEPTH, behind)
    assert not known.any()
    assert not found.any()


def test_colour_is_taken_where_the_point_falls():
    color = np.zeros((90, 120, 3), dtype=np.uint8)
    color[..., 0] = np.arange(120)
    color[..., 1] = np.arange(90)[:, None]
    depth = np.full((60, 80), 2, dtype=np.float32)
    depth[30, 40] = 0
    T_color_depth = make_transform(np.eye(3), [0.2, 0, 0])
    found, known = color_of_depth(color, COLOR, depth, DEPTH, T_color_depth)
    assert not known[30, 40]
    assert not found[~known].any()
    row, column = 20, 30
    expected_column = 59.5 + 110 * ((column - 39.5) / 50 + 0.1)
    expected_row = 44.5 + 110 * (row - 29.5) / 50
    assert known[row, column]
    np.testing.assert_allclose(found[row, column, :2], [expected_column, expected_row], atol=0.51)
    np.testing.assert_array_equal(known.any(axis=0), np.abs(np.arange(80) - 34.5) < 27.3)
