import os

import numpy as np
import pytest
from PIL import Image

from wsss_perception.errors import DatasetError
from wsss_training.data import fused_cloud, open_dataset
from wsss_training.data import scannet as reader


@pytest.fixture
def bare(room):
    """The room without its mesh."""
    room.file("_vh_clean_2.ply").unlink()
    return room


def open_sample(room, **options):
    return open_dataset("scannet", room.root, **options)[0]


def channels(sample, names):
    return np.stack([sample.cloud.channels[name] for name in names], axis=1)


def distances(xyz):
    """To the planes of the sides: [N, 6], in the order floor, near, right, far, left, screen."""
    x, y, z = xyz.astype(np.float64).T
    screen = np.where((y < 1.52) & (z < 1.52), np.abs(x - 2), np.inf)
    return np.stack([np.abs(z), np.abs(x), np.abs(y), np.abs(x - 4), np.abs(y - 3), screen], 1)


def test_fused_cloud_lies_on_the_walls_with_their_colours_and_normals(bare):
    sample = open_sample(bare, cameras=[])
    assert sample.sample_id == "scene0000_00/fused"
    assert (sample.labels, sample.images) == (None, ())
    xyz = sample.cloud.xyz
    assert len(xyz) > 50_000
    to_side = distances(xyz)
    # a screen without thickness, seen from both sides, gets some
    thin = np.abs(xyz[:, 0] - 2) < 0.1
    assert np.percentile(to_side[~thin].min(axis=1), 99) < 0.03
    assert to_side[thin].min(axis=1).max() < 0.1
    colors = channels(sample, ("red", "green", "blue"))
    assert np.abs(colors - bare.colors(xyz)).mean() < 3
    normals = channels(sample, ("normal_x", "normal_y", "normal_z"))
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-5)
    alone = np.sort(to_side, axis=1)[:, 1] > 0.15
    for number, side in enumerate(("floor", "near", "right", "far", "left")):
        inwards = bare.normals[bare.sides == side][0]
        points = alone & (to_side.argmin(axis=1) == number)
        assert points.sum() > 300
        assert np.median(normals[points] @ inwards) > 0.9


def test_points_are_a_voxel_apart_and_sorted(bare):
    xyz = open_sample(bare, cameras=[]).cloud.xyz
    cells = np.unique(np.floor(xyz / fused_cloud.VOXEL), axis=0)
    assert len(cells) > 0.5 * len(xyz)
    np.testing.assert_array_equal(np.lexsort(xyz.T), np.arange(len(xyz)))


def test_cloud_is_fused_once_and_again_when_an_image_changes(bare, monkeypatch):
    calls = []

    def count(images):
        calls.append(images)
        return fused_cloud.fuse_images(images)

    monkeypatch.setattr(reader, "fuse_images", count)
    first, second = open_sample(bare), open_sample(bare)
    assert len(calls) == 1
    np.testing.assert_array_equal(first.cloud.xyz, second.cloud.xyz)
    for name in ("color/80.jpg", "intrinsic/intrinsic_depth.txt"):
        before = len(calls)
        os.utime(bare.folder / name, ns=(0, 0))
        assert bare.folder / name in first.files
        third = open_sample(bare)
        assert len(calls) == before + 1
        # fused anew from the same pixels, it is the same to the last bit
        np.testing.assert_array_equal(first.cloud.xyz, third.cloud.xyz)
        for channel, values in first.cloud.channels.items():
            np.testing.assert_array_equal(third.cloud.channels[channel], values)


def test_cloud_is_of_all_frames_whatever_views_are_chosen(bare):
    few, all_of_them = open_sample(bare, every=99), open_sample(bare, every=1)
    assert (len(few.images), len(all_of_them.images)) == (1, 3)
    np.testing.assert_array_equal(few.cloud.xyz, all_of_them.cloud.xyz)
    seen = [image.visible_points(few.cloud.xyz)[0] for image in all_of_them.images]
    assert len(np.unique(np.concatenate(seen))) > 0.95 * len(few.cloud)


def test_depth_camera_beside_the_colour_camera_gives_the_same_room(bare):
    T_color_depth = np.eye(4)
    T_color_depth[:3, 3] = [0.2, 0, 0]
    bare.write_matrix("intrinsic/extrinsic_depth", T_color_depth)
    for frame in (0, 40, 80):
        bare.write_frame(frame, T_color_depth)
    sample = open_sample(bare, cameras=[])
    assert np.percentile(distances(sample.cloud.xyz).min(axis=1), 95) < 0.03
    # at a corner that hides a part from one camera, a wall takes some of the other's colour
    error = channels(sample, ("red", "green", "blue")) - bare.colors(sample.cloud.xyz)
    assert np.median(np.abs(error)) < 3


def test_frames_without_a_pose_are_left_out(bare):
    expected = open_sample(bare).cloud.xyz
    for name in ("color/120.jpg", "depth/120.png", "pose/120.txt"):
        (bare.folder / name).unlink()
    np.testing.assert_array_equal(open_sample(bare).cloud.xyz, expected)


def test_images_without_a_surface_are_refused(bare):
    for path in (bare.folder / "depth").iterdir():
        Image.fromarray(np.zeros((120, 160), dtype=np.uint16)).save(path)
    with pytest.raises(DatasetError, match="show no surface") as caught:
        open_sample(bare)
    assert str(bare.folder / "depth") in str(caught.value)


@pytest.mark.parametrize("name", ["color/40.jpg", "depth/40.png", "pose/40.txt"])
@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_damaged_file_is_named_and_nothing_is_kept(bare, tmp_path, name, damage):
    path = bare.folder / name
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(DatasetError) as caught:
        open_sample(bare)
    assert str(path) in str(caught.value)
    assert not list(tmp_path.rglob("*.safetensors"))
