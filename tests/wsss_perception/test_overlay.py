from dataclasses import replace

import numpy as np
import pytest

from wsss_perception.frame import UNKNOWN, View
from wsss_perception.geometry import Camera, make_transform, visible_points
from wsss_perception.overlay import overlay_points

PALETTE = np.zeros((256, 3), np.uint8)
PALETTE[:3] = (200, 0, 200), (0, 150, 250), (255, 255, 255)
OPTICAL = make_transform([[0, -1, 0], [0, 0, -1], [1, 0, 0]], [0, 0, 0])


def make_view(width=200, height=100, level=120, model="plumb_bob"):
    matrix = np.array([[100.0, 0, width / 2], [0, 100.0, height / 2], [0, 0, 1]])
    image = np.full((height, width, 3), level, np.uint8)
    return View("front", Camera(width, height, matrix, model), OPTICAL, image)


def make_points(*points):
    return np.array(points, dtype=np.float32).reshape(-1, 3)


def draw(view, xyz, labels):
    return overlay_points(view, xyz, np.array(labels, np.uint8), PALETTE)


def drawn(picture):
    """Which pixels differ from the darkened image."""
    return (picture != picture[0, 0]).any(axis=2)


def test_points_are_drawn_where_the_camera_sees_them_in_their_colours():
    view = make_view()
    picture = draw(view, make_points([10, 0, 0], [10, -4, 2]), [0, 1])  # ahead; right and up
    assert picture.shape == view.image.shape
    assert np.abs(picture[50, 100].astype(int) - (172, 22, 172)).max() <= 3  # 3/4 colour, 3/16 grey
    assert np.abs(picture[30, 140].astype(int) - (22, 135, 210)).max() <= 3
    assert picture[5, 5].tolist() == [90, 90, 90]
    assert set(zip(*np.nonzero(drawn(picture)), strict=True)) == {
        (row + down, column + right)
        for row, column in ((50, 100), (30, 140))
        for down, right in ((0, 0), (0, 1), (1, 0), (0, -1), (-1, 0))
    }


def test_the_image_is_not_changed_and_white_stays_in_range():
    view = make_view(level=255)
    picture = draw(view, make_points([10, 0, 0]), [2])
    assert (view.image == 255).all()
    assert picture[50, 100].min() > picture[0, 0].max()


def test_near_points_are_larger_and_cover_far_ones():
    view = make_view(800, 400)
    far, near = [20, 0, 0], [3, 0.003, 0]
    sizes = [drawn(draw(view, make_points(point), [0])).sum() for point in (far, near)]
    assert sizes[1] > sizes[0] > 0
    for order in (1, -1):
        xyz, labels = make_points(far, near)[::order], np.array([0, 1])[::order]
        assert draw(view, xyz, labels)[200, 400, 1] > 100  # the near one's colour


def test_points_that_are_unknown_invalid_or_out_of_view_are_left_out():
    xyz = make_points([10, 0, 0], [np.nan, 0, 0], [np.inf, 1, 1], [-10, 0, 0], [10, 50, 0])
    assert not drawn(draw(make_view(), xyz, [UNKNOWN, 0, 0, 0, 0])).any()
    assert not drawn(draw(make_view(), make_points(), [])).any()


def test_a_point_behind_others_is_hidden_by_unknown_ones_too():
    across = np.arange(-2.0, 2.01, 0.02)
    wall = np.stack([np.full_like(across, 5.0), across, np.zeros_like(across)], axis=1)
    xyz = np.concatenate([wall, [[20, 0, 0]]]).astype(np.float32)
    labels = [UNKNOWN] * len(wall) + [1]
    assert not drawn(draw(make_view(), xyz, labels)).any()
    assert drawn(draw(make_view(), xyz[-1:], labels[-1:])).any()


@pytest.mark.parametrize("model", ["plumb_bob", "equidistant"])
def test_every_visible_point_is_drawn(model):
    rng = np.random.default_rng(0)
    view = make_view(400, 300, model=model)
    xyz = rng.normal(0, 10, (3000, 3)).astype(np.float32)
    index, uv = visible_points(xyz, view.camera, OPTICAL)
    behind = xyz[index, 0] < 0
    assert behind.any() == (model == "equidistant")  # a fisheye sees beyond 90 degrees
    column, row = np.floor(uv + 0.5).astype(int).T
    assert drawn(draw(view, xyz, np.zeros(3000)))[row, column].all()


def test_a_depth_image_decides_where_there_is_one():
    view = make_view()
    depth = np.full((100, 200), 10.0, np.float32)
    xyz = make_points([10, 0, 0], [15, -6, 0])
    picture = draw(replace(view, depth=depth), xyz, [0, 1])
    assert drawn(picture)[50, 100]
    assert not drawn(picture)[50, 140]
    assert drawn(draw(view, xyz, [0, 1]))[50, 140]


def test_images_of_any_memory_order_give_the_same_picture():
    view = make_view()
    pixels = np.random.default_rng(0).integers(0, 256, (100, 200, 3), dtype=np.uint8)
    xyz = make_points([10, 0, 0], [10, -4, 2])
    expected = draw(replace(view, image=pixels), xyz, [0, 1])
    for image in (np.asfortranarray(pixels), pixels[::-1, :, ::-1].copy()[::-1, :, ::-1]):
        np.testing.assert_array_equal(draw(replace(view, image=image), xyz, [0, 1]), expected)
    assert expected.flags.c_contiguous


def test_points_known_to_be_visible_are_not_looked_for_again():
    view = make_view()
    xyz = make_points([10, 0, 0], [10, -4, 2])
    index, uv = visible_points(xyz, view.camera, OPTICAL)
    labels = np.array([0, 1], np.uint8)
    known = overlay_points(view, xyz, labels, PALETTE, (index, uv))
    np.testing.assert_array_equal(known, draw(view, xyz, labels))
    assert not drawn(overlay_points(view, xyz, labels, PALETTE, (index[:0], uv[:0]))).any()
