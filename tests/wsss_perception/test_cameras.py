import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsss_perception.errors import GeometryError
from wsss_perception.geometry import Camera

K = np.array([[500.0, 0.0, 320.0], [0.0, 480.0, 240.0], [0.0, 0.0, 1.0]])
RECTIFIED = Camera(640, 480, K)
PLUMB_BOB = (-0.3, 0.1, 0.001, -0.002, -0.01)
RATIONAL = (0.8, -0.3, 0.0005, -0.0003, 0.01, 1.1, -0.2, 0.02)
EQUIDISTANT = (0.02, -0.01, 0.005, -0.001)


def points_in_cone(rng, count, slope):
    depth = rng.uniform(1, 50, size=(count, 1))
    return np.hstack([rng.uniform(-slope, slope, size=(count, 2)) * depth, depth])


@given(st.integers(0, 2**32 - 1), st.sampled_from(["none", "plumb_bob", "rational_polynomial"]))
def test_project_equals_opencv(seed, model):
    points = points_in_cone(np.random.default_rng(seed), 50, slope=0.5)
    distortion = {"none": (), "plumb_bob": PLUMB_BOB, "rational_polynomial": RATIONAL}[model]
    camera = Camera(640, 480, K, "plumb_bob" if model == "none" else model, distortion)
    expected = cv2.projectPoints(points, np.zeros(3), np.zeros(3), K, np.array(distortion))[0]
    uv, inside = camera.project(points)
    np.testing.assert_allclose(uv, expected[:, 0], atol=1e-6)
    on_image = ((uv >= -0.5) & (uv < [639.5, 479.5])).all(axis=1)
    np.testing.assert_array_equal(inside, on_image)


@given(st.integers(0, 2**32 - 1))
def test_project_equidistant_equals_opencv(seed):
    points = points_in_cone(np.random.default_rng(seed), 50, slope=2.0)
    camera = Camera(640, 480, K * [[0.3], [0.3], [1.0]], "equidistant", EQUIDISTANT)
    expected = cv2.fisheye.projectPoints(
        points[:, None], np.zeros(3), np.zeros(3), camera.matrix, np.array(EQUIDISTANT)
    )[0]
    np.testing.assert_allclose(camera.project(points)[0], expected[:, 0], atol=1e-6)


def test_missing_coefficients_are_zero():
    points = points_in_cone(np.random.default_rng(0), 20, slope=0.5)
    short, full = (
        Camera(640, 480, K, "rational_polynomial", d)
        for d in ((0.1, 0.01), (0.1, 0.01, *[0.0] * 6))
    )
    np.testing.assert_array_equal(short.project(points)[0], full.project(points)[0])


def test_pixel_centres_have_integer_coordinates():
    """The image reaches from -0.5 to size - 0.5."""
    columns = np.array([-0.51, -0.49, 639.49, 639.51])
    rays = np.stack([(columns - 320) / 500, np.zeros(4), np.ones(4)], axis=1)
    np.testing.assert_array_equal(RECTIFIED.project(rays)[1], [False, True, True, False])


def test_points_behind_too_near_and_not_finite_are_outside():
    points = np.array(
        [
            [0, 0, 5],
            [0, 0, -5],
            [0, 0, 0],
            [0, 0, 0.05],
            [np.nan, 0, 5],
            [0, 0, np.inf],
            [0, 1e300, 5],
        ]
    )
    np.testing.assert_array_equal(RECTIFIED.project(points)[1], [True, *[False] * 6])


@pytest.mark.parametrize(
    ("model", "distortion"), [("plumb_bob", (-0.3,)), ("rational_polynomial", (-0.3,))]
)
def test_points_that_fold_back_are_outside(model, distortion):
    """r (1 - 0.3 r^2) turns at r = 1.054: from there on distortion brings points back in."""
    camera = Camera(640, 480, K, model, distortion)
    points = np.array([[0.4, 0.0, 1.0], [1.8, 0.0, 1.0]])
    uv, inside = camera.project(points)
    assert 0 < uv[1, 0] < 640
    np.testing.assert_array_equal(inside, [True, False])


def test_points_beyond_the_pole_of_a_rational_model_are_outside():
    """1 - 0.25 r^2 is 0 at r = 2; beyond, points come back from the other side."""
    camera = Camera(640, 480, K, "rational_polynomial", (0, 0, 0, 0, 0, -0.25))
    uv, inside = camera.project(np.array([[0.4, 0.0, 1.0], [10.0, 0.0, 1.0]]))
    assert 0 < uv[1, 0] < 640
    np.testing.assert_array_equal(inside, [True, False])


def test_equidistant_sees_sideways_but_not_straight_behind():
    camera = Camera(
        1000, 1000, np.array([[200.0, 0, 500], [0, 200.0, 500], [0, 0, 1]]), "equidistant"
    )
    points = np.array([[0.0, 0.0, 3.0], [3.0, 0.0, 0.0], [3.0, 0.0, -0.5], [0.0, 0.0, -3.0]])
    uv, inside = camera.project(points)
    np.testing.assert_array_equal(inside, [True, True, True, False])
    np.testing.assert_allclose(uv[:2], [[500, 500], [500 + 200 * np.pi / 2, 500]])


def test_equidistant_folding_back_is_outside():
    """theta (1 - 0.3 theta^2) turns at 1.054 rad."""
    camera = Camera(640, 480, K, "equidistant", (-0.3,))
    angles = np.array([0.4, 1.7])
    points = np.stack([np.sin(angles), np.zeros(2), np.cos(angles)], axis=1)
    np.testing.assert_array_equal(camera.project(points)[1], [True, False])


def test_scaled_camera_sees_the_resized_image():
    points = points_in_cone(np.random.default_rng(0), 50, slope=0.4)
    half = RECTIFIED.scaled(0.5)
    assert (half.width, half.height) == (320, 240)
    uv, uv_half = RECTIFIED.project(points)[0], half.project(points)[0]
    np.testing.assert_allclose(uv_half + 0.5, (uv + 0.5) / 2)  # image corner at -0.5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "fov"}, "unknown distortion model 'fov'"),
        ({"distortion": (0.0,) * 6}, "at most 5 coefficients, got 6"),
        ({"matrix": np.zeros((3, 3))}, "not calibrated"),
        ({"matrix": np.eye(4)}, "3x3"),
        ({"distortion": (np.nan,)}, "finite"),
    ],
)
def test_camera_refuses_bad_calibration(changes, message):
    with pytest.raises(GeometryError, match=message):
        Camera(**{"width": 640, "height": 480, "matrix": K, **changes})
