import numpy as np
import pytest

from wsss_perception.frame import UNKNOWN, Frame, PointCloud, SemanticCloud, View
from wsss_perception.geometry import Camera, make_transform
from wsss_perception.ontology import Ontology
from wsss_perception.pictures import draw_from_above, draw_overlay, draw_page

ONTOLOGY = Ontology("t", ("road", "car"), ((200, 0, 200), (0, 150, 250)), ((1,), (2,)))
PALETTE = ONTOLOGY.palette()
OPTICAL = make_transform([[0, -1, 0], [0, 0, -1], [1, 0, 0]], [0, 0, 0])


def make_view(width=200, height=100):
    matrix = np.array([[100.0, 0, width / 2], [0, 100.0, height / 2], [0, 0, 1]])
    image = np.full((height, width, 3), 120, np.uint8)
    return View("front", Camera(width, height, matrix), OPTICAL, image)


def make_cloud(*points):
    return PointCloud(np.array(points, dtype=np.float32).reshape(-1, 3))


def is_near(picture, column, row, color, tolerance=80):
    return np.abs(picture[row, column].astype(int) - np.array(color)).max() <= tolerance


def test_overlay_puts_the_class_colour_where_the_point_is_seen():
    cloud = make_cloud([10, 0, 0], [10, -4, 2])  # straight ahead; right and up
    view = make_view()
    picture = draw_overlay(view, cloud, np.array([0, 1], np.uint8), PALETTE)
    assert picture.shape == view.image.shape
    assert is_near(picture, 100, 50, (200, 0, 200))
    assert is_near(picture, 140, 30, (0, 150, 250))
    assert picture[5, 5].max() < 90  # the image itself is dimmed


def test_overlay_draws_near_points_over_far_ones_and_larger():
    far = [[20, 0, 0]]
    near = [[3, 0.003, 0]]  # 5 px to the left in half size
    view = make_view(800, 400)
    counts = []
    for points, label in ((far, 0), (near, 1)):
        picture = draw_overlay(view, make_cloud(*points), np.array([label], np.uint8), PALETTE)
        changed = np.abs(picture.astype(int) - picture[0, 0]).max(axis=2) > 5
        counts.append(changed.sum())
    assert counts[1] > counts[0] > 0
    picture = draw_overlay(view, make_cloud(*near, *far), np.array([1, 0], np.uint8), PALETTE)
    assert is_near(picture, 400, 200, (0, 150, 250))


def test_overlay_leaves_out_unknown_and_invalid_points():
    cloud = make_cloud([10, 0, 0], [np.nan, 0, 0], [np.inf, 1, 1], [-10, 0, 0])
    labels = np.array([UNKNOWN, 0, 0, 0], np.uint8)
    picture = draw_overlay(make_view(), cloud, labels, PALETTE)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) == 1


def test_the_view_from_above_has_forward_up_and_left_on_the_left():
    ahead, left = [[40, 0, 0]] * 30, [[0, 30, 0]] * 30
    labels = np.repeat(np.array([0, 1], np.uint8), 30)
    picture = draw_from_above(make_cloud(*ahead, *left), labels, PALETTE, (600, 400))
    assert picture.shape == (400, 600, 3)
    scale = 200 / 42  # the farthest points are at 40 m, 5 % from the edge
    assert is_near(picture, 300, round(200 - 40 * scale), (200, 0, 200))
    assert is_near(picture, round(300 - 30 * scale), 200, (0, 150, 250))
    magenta = (picture[..., 0] > 100) & (picture[..., 1] < 60)
    assert set(np.flatnonzero(magenta.any(axis=1))) <= set(range(0, 20))


def test_higher_points_cover_lower_ones_and_known_ones_unknown_ones():
    points = [[20, 0, 2], [20, 0, 0], [10, 0, 5], [10, 0, 0]]
    labels = np.array([1, 0, UNKNOWN, 0], np.uint8)
    picture = draw_from_above(make_cloud(*points), labels, PALETTE, (400, 400))
    scale = 200 / 21
    assert is_near(picture, 200, round(200 - 20 * scale), (0, 150, 250))
    assert is_near(picture, 200, round(200 - 10 * scale), (200, 0, 200))


@pytest.mark.parametrize("points", [[], [[np.nan] * 3] * 4, [[0, 0, 0]], [[1e30, 1e30, 0]]])
def test_degenerate_clouds_are_drawn_without_points(points):
    labels = np.zeros(len(points), np.uint8)
    picture = draw_from_above(make_cloud(*points), labels, PALETTE, (300, 200))
    assert picture.shape == (200, 300, 3)


@pytest.mark.parametrize("cameras", [0, 1, 2, 6])
def test_a_page_holds_all_cameras_and_the_legend(cameras):
    rng = np.random.default_rng(0)
    cloud = PointCloud(rng.normal(0, 15, (500, 3)).astype(np.float32))
    labels = rng.integers(0, 2, 500).astype(np.uint8)
    labels[:50] = UNKNOWN
    semantic = SemanticCloud(labels, np.ones(500, np.float32), np.zeros(500, np.uint8))
    views = (make_view(),) * cameras
    page = draw_page(Frame(cloud, views), semantic, ONTOLOGY)
    alone = draw_page(Frame(cloud), semantic, ONTOLOGY)
    assert page.shape[1] == alone.shape[1]
    assert (page.shape[0] > alone.shape[0]) == (cameras > 0)
    for color in ONTOLOGY.colors:  # the legend's bars
        assert (page == np.array(color, np.uint8)).all(axis=2).sum() > 100


def test_page_keeps_to_a_views_depth_image_at_its_own_size():
    camera = Camera(64, 48, np.array([[40.0, 0, 31.5], [0, 40, 23.5], [0, 0, 1]]))
    image, depth = np.full((48, 64, 3), 90, np.uint8), np.full((48, 64), 2.0, np.float32)
    depth[:, 32:] = 1.0  # something nearer hides the right half of a wall 2 m away
    row, column = (part.ravel() for part in np.mgrid[2:46:0.5, 2:62:0.5])
    wall = np.stack([(column - 31.5) / 20, (row - 23.5) / 20, np.full(len(row), 2.0)], axis=1)
    nothing = np.zeros(len(wall), np.uint8)
    semantic = SemanticCloud(nothing, nothing.astype(np.float32), nothing)
    view = View("color", camera, np.eye(4), image, depth=depth)
    page = draw_page(Frame(PointCloud(wall.astype(np.float32)), (view,)), semantic, ONTOLOGY)
    reddish = page[200:1000, :, 0].astype(int) - page[200:1000, :, 1] > 60
    assert reddish[:, 100:700].mean() > 0.05
    assert reddish[:, 900:1500].mean() == 0
