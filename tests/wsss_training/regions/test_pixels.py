import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from wsss_perception.geometry import Camera, invert, make_transform, transform_points
from wsss_training.regions import region_image, region_image_from_depth


def test_region_image_takes_the_nearest_point_of_a_cell():
    uv = np.array([[0, 0], [3, 3], [4.0, 0], [9.4, 5.4], [10.0, 0], [-0.6, 0]])
    depth = np.array([2.0, 1.0, 5.0, 5.0, 1.0, 1.0])
    region = np.array([7, 3, 2, -1, 9, 9])
    image = region_image(uv, region, depth, (6, 10), 4)
    np.testing.assert_array_equal(image, [[3, 2, -1], [-1, -1, -1]])
    assert image.dtype == np.int32


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 9999), st.integers(0, 60), st.integers(1, 7))
def test_region_image_agrees_with_a_search_of_every_cell(seed, count, stride):
    rng = np.random.default_rng(seed)
    uv = rng.uniform(-2, 14, (count, 2))
    depth, region = rng.permutation(count) + 1.0, rng.integers(-1, 9, count)
    image = region_image(uv, region, depth, (11, 13), stride)
    column, row = np.round(uv).astype(int).T
    for (r, c), value in np.ndenumerate(image):
        inside = (row // stride == r) & (column // stride == c) & (row < 11) & (column < 13)
        inside &= (row >= 0) & (column >= 0)
        expected = region[inside][depth[inside].argmin()] if inside.any() else -1
        assert value == expected


def test_region_image_from_depth_finds_the_points_that_pixels_show():
    camera = Camera(16, 12, np.array([[20.0, 0, 7.5], [0, 20, 5.5], [0, 0, 1]]))
    turn = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])
    T_camera_lidar = make_transform(turn, [0.1, 0.2, 0.3])
    depth = np.full((12, 16), 2.0, np.float32)
    depth[:, 8:] = 3.0
    depth[0] = 0.0
    depth[1, 3] = np.nan
    rows, columns = np.indices(depth.shape)
    seen = np.nan_to_num(depth) > 0
    rays = np.stack([(columns - 7.5) / 20, (rows - 5.5) / 20, np.ones_like(depth)], axis=-1)
    xyz = transform_points(invert(T_camera_lidar), rays[seen] * depth[seen][:, None])
    region = np.where(columns[seen] < 8, 4, 6)
    region[(rows[seen] == 2) & (columns[seen] == 5)] = -1
    xyz = np.concatenate([xyz, [[np.nan, 0, 0]]]).astype(np.float32)
    region = np.append(region, 9)
    image = region_image_from_depth(depth, camera, T_camera_lidar, xyz, region, 1, 0.01)
    expected = np.where(seen, np.where(columns < 8, 4, 6), -1)
    expected[2, 5] = -1
    np.testing.assert_array_equal(image, expected)
    coarse = region_image_from_depth(depth, camera, T_camera_lidar, xyz, region, 4, 0.01)
    np.testing.assert_array_equal(coarse, expected[2::4, 2::4])
    lifted = xyz + np.float32([0, 0, 0.5])
    far = region_image_from_depth(depth, camera, T_camera_lidar, lifted[:20], region, 1, 0.01)
    assert (far == -1).all()


def test_region_image_from_depth_of_nothing_is_empty():
    camera = Camera(4, 4, np.diag([2.0, 2, 1]))
    depth, none = np.ones((4, 4), np.float32), np.zeros((0, 3), np.float32)
    empty = np.zeros(0, np.int32)
    assert (region_image_from_depth(depth, camera, np.eye(4), none, empty, 2) == -1).all()
    blind = region_image_from_depth(0 * depth, camera, np.eye(4), none + 1, empty, 2)
    assert (blind == -1).all()
