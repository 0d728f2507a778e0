import numpy as np
import pytest

from wsss_perception.geometry import (
    Camera,
    agrees_with_depth,
    make_transform,
    matrix_from_quaternion,
    occluded,
    visible_points,
)

CAMERA = Camera(640, 480, np.array([[500.0, 0.0, 320.0], [0.0, 500.0, 240.0], [0.0, 0.0, 1.0]]))


def raster(columns, rows, depth):
    u, v = np.meshgrid(columns, rows)
    uv = np.stack([u.ravel(), v.ravel()], axis=1).astype(np.float64)
    return uv, np.full(len(uv), float(depth))


def plate_and(points, depth):
    """A plate 5 m away that covers pixels 200..300 x 100..200, and points behind it."""
    uv, plate = raster(np.arange(200, 301, 4), np.arange(100, 201, 6), 5.0)
    points = np.asarray(points, dtype=np.float64)
    hidden = occluded(np.vstack([points, uv]), np.append(np.full(len(points), depth), plate))
    return hidden[: len(points)], hidden[len(points) :]


def test_point_enclosed_by_a_near_plate_is_hidden():
    hidden, plate = plate_and([[250, 150], [238, 171]], depth=12.0)
    assert hidden.all()
    assert not plate.any()


def test_point_beside_the_plates_outline_is_seen():
    hidden, _ = plate_and([[306, 150], [194, 150], [250, 206], [250, 94]], depth=12.0)
    assert not hidden.any()


def test_point_little_behind_the_plate_is_on_its_surface():
    hidden, _ = plate_and([[250, 150]], depth=5.3)
    assert not hidden.any()


def test_ground_at_grazing_angle_is_seen():
    """Beams on ground 1.7 m below the camera: each row is nearer than the one above it."""
    rows = np.arange(246, 480, 4)
    uv, _ = raster(np.arange(0, 640, 4), rows, 1.0)
    depth = 1.7 * 500 / (uv[:, 1] - 240)
    assert not occluded(uv, depth).any()


def test_occluded_takes_no_points():
    assert occluded(np.zeros((0, 2)), np.zeros(0)).shape == (0,)


def test_agrees_with_depth_within_tolerance_and_where_known():
    image = np.zeros((4, 5), dtype=np.float32)
    image[1, 2] = 3.0
    uv = np.array([[2.0, 1.0], [2.4, 0.6], [2.0, 1.0], [2.6, 1.0], [0.0, 0.0]])
    depth = np.array([3.0, 3.04, 3.06, 3.0, 0.0])
    agrees = agrees_with_depth(uv, depth, image, tolerance=0.05)
    np.testing.assert_array_equal(agrees, [True, True, False, False, False])


def test_visible_points_are_on_the_image_and_in_front():
    T_camera_lidar = np.array([[0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1.0]])
    near = np.stack(np.meshgrid([4.0], np.arange(-1, 1, 0.04), np.arange(-1, 1, 0.05)), axis=-1)
    special = [
        [8.0, 0, 0],
        [8.0, 4.0, 0],
        [-8.0, 0, 0],
        [np.nan, 0, 0],
        [np.inf, 0, 0],
        [0.5, 0, 0],
    ]
    xyz = np.vstack([special, near.reshape(-1, 3)]).astype(np.float32)
    index, uv = visible_points(xyz, CAMERA, T_camera_lidar)
    np.testing.assert_array_equal(index, [1, *range(6, len(xyz))])
    np.testing.assert_allclose(uv[0], [320 - 500 * 0.5, 240], atol=1e-4)


def test_visible_points_follow_a_depth_image_where_there_is_one():
    depth_image = np.full((480, 640), 5.0, dtype=np.float32)
    depth_image[:, :320] = 0.0  # unknown
    xyz = np.float32([[0.5, 0, 5.02], [0.5, 0, 9.0], [-0.5, 0, 5.0]])  # optical frame
    index, _ = visible_points(xyz, CAMERA, np.eye(4), depth_image=depth_image)
    np.testing.assert_array_equal(index, [0])


def test_visible_points_of_a_fisheye_beyond_90_degrees_hide_what_is_behind_them():
    matrix = np.array([[150.0, 0, 320], [0, 150, 240], [0, 0, 1]])
    fisheye = Camera(640, 480, matrix, "equidistant", (0.0, 0.0, 0.0, 0.0))
    angle = np.deg2rad(100) + np.linspace(-0.15, 0.15, 31)
    height = np.linspace(-0.15, 0.15, 31)
    angle, height = (grid.ravel() for grid in np.meshgrid(angle, height))
    direction = np.stack([np.sin(angle), height, np.cos(angle)], axis=1)  # right and behind
    near, far = 3 * direction, 9 * direction[[480]]
    index, _ = visible_points(np.vstack([far, near]), fisheye, np.eye(4))
    np.testing.assert_array_equal(index, np.arange(1, len(near) + 1))


@pytest.mark.parametrize("distortion", [(), (-0.3, 0.1, 0.001, 0.001)])
@pytest.mark.parametrize("min_depth", [None, 0.1])
def test_points_behind_the_camera_are_left_out_early_and_change_nothing(distortion, min_depth):
    rng = np.random.default_rng(0)
    xyz = rng.normal(0, 20, (150_000, 3)).astype(np.float32)
    xyz[:5] = [[np.nan, 0, 5], [np.inf, 0, 1], [0, 0, 1e30], [1e30, 1e30, 1e30], [0, 0, -np.inf]]
    camera = Camera(640, 480, CAMERA.matrix, "plumb_bob", distortion)
    T_camera_lidar = make_transform(matrix_from_quaternion([0.1, 0.5, -0.2, 0.8]), [0.1, -0.2, 0.3])
    index, uv = visible_points(xyz, camera, T_camera_lidar, min_depth)
    with np.errstate(invalid="ignore", over="ignore"):
        points = T_camera_lidar[:3, :3] @ xyz.T.astype(np.float64) + T_camera_lidar[:3, 3:]
    all_uv, inside = camera.project(points.T, 1.0 if min_depth is None else min_depth)
    on_image = np.flatnonzero(inside)
    seen = ~occluded(all_uv[on_image], points[2, on_image])
    np.testing.assert_array_equal(index, on_image[seen])
    np.testing.assert_allclose(uv, all_uv[on_image][seen], atol=1e-9)


def test_points_behind_the_camera_are_not_projected(monkeypatch):
    projected = []
    project = Camera.project

    def count(self, xyz, *options):
        projected.append(len(xyz))
        return project(self, xyz, *options)

    monkeypatch.setattr(Camera, "project", count)
    xyz = np.random.default_rng(0).normal(0, 20, (1000, 3)).astype(np.float32)
    visible_points(xyz, CAMERA, np.eye(4))
    assert projected == [np.count_nonzero(xyz[:, 2] > 1.0 - 0.01)]
