from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsss_perception.errors import DatasetError
from wsss_perception.geometry import Camera
from wsss_training.data.sample import DepthSource, ImageSource, scene_of

COLOR = Camera(8, 6, np.array([[10.0, 0, 3.5], [0, 10, 2.5], [0, 0, 1]]))


@pytest.fixture
def depth(tmp_path: Path) -> DepthSource:
    """A wall 2 m away; 1 m on the right half; unknown in the lowest row. Half the colour's size."""
    counts = np.full((3, 4), 2000, np.uint16)
    counts[:, 2:] = 1000
    counts[2] = 0
    Image.fromarray(counts).save(tmp_path / "depth.png")
    return DepthSource(tmp_path / "depth.png", COLOR.scaled(0.5))


@pytest.fixture
def source(tmp_path: Path, depth: DepthSource) -> ImageSource:
    Image.new("RGB", (8, 6), (1, 2, 3)).save(tmp_path / "color.png")
    return ImageSource("front", tmp_path / "color.png", COLOR, np.eye(4), 5, depth)


def test_depth_is_registered_to_the_pixels_of_the_colour_image(depth):
    row = [2.0] * 4 + [1.0] * 4
    expected = np.array([row] * 4 + [[0.0] * 8] * 2, dtype=np.float32)
    np.testing.assert_array_equal(depth.load(COLOR), expected)


def test_depth_is_unknown_where_the_depth_camera_does_not_look(depth):
    wide = Camera(24, 6, np.array([[10.0, 0, 11.5], [0, 10, 2.5], [0, 0, 1]]))
    known = depth.load(wide) > 0
    np.testing.assert_array_equal(np.flatnonzero(known.any(axis=0)), np.arange(8, 16))


def test_view_has_the_registered_depth(source, depth):
    view = source.load()
    np.testing.assert_array_equal(view.depth, depth.load(COLOR))
    assert (view.image[0, 0].tolist(), view.stamp) == ([1, 2, 3], 5)


def test_points_off_the_measured_surface_are_not_visible(source):
    on_wall, behind, before = [-0.3, 0, 2], [-0.3, 0, 2.2], [-0.2, 0, 1.5]
    near_half, within_tolerance, unknown = [0.2, 0, 1], [0.2, 0, 1.04], [-0.3, 0.45, 2]
    xyz = np.float32([on_wall, behind, before, near_half, within_tolerance, unknown])
    index, uv = source.visible_points(xyz)
    np.testing.assert_array_equal(index, [0, 3, 4])
    np.testing.assert_allclose(uv[0], [2.0, 2.5], atol=1e-6)


def test_points_nearer_than_a_metre_count_where_depth_is_measured(tmp_path, source):
    Image.fromarray(np.full((3, 4), 500, np.uint16)).save(tmp_path / "depth.png")
    assert len(source.visible_points(np.float32([[0, 0, 0.5]]))[0]) == 1


@pytest.mark.parametrize("damage", ["missing", "cut", "size", "color"])
def test_damaged_depth_image_is_named(tmp_path, source, damage):
    path = tmp_path / "depth.png"
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:45])
    else:
        Image.new("RGB" if damage == "color" else "I;16", (4, 3 if damage == "color" else 4)).save(
            path
        )
    with pytest.raises(DatasetError, match=str(path)):
        source.load()


def test_image_of_another_size_than_its_intrinsics_is_refused(tmp_path, source):
    Image.new("RGB", (8, 5)).save(tmp_path / "color.png")
    with pytest.raises(DatasetError, match=r"color\.png: has 8x5 pixels.* for 8x6"):
        source.load()


def test_scene_is_what_precedes_the_last_part_of_an_id():
    assert scene_of("scene-0061/log__LIDAR_TOP__1") == "scene-0061"
    assert scene_of("day/drive/000001") == "day/drive"
