import logging
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from wsss_perception.errors import DatasetError
from wsss_perception.frame import UNKNOWN
from wsss_perception.geometry import invert, transform_points
from wsss_training.data import open_dataset

NORMALS = ("normal_x", "normal_y", "normal_z")
COLORS = ("red", "green", "blue")


def channels(sample, names):
    return np.stack([sample.cloud.channels[name] for name in names], axis=1)


def seen_share(sample):
    seen = [image.visible_points(sample.cloud.xyz)[0] for image in sample.images]
    return len(np.unique(np.concatenate(seen))) / len(sample.cloud)


def test_sample_is_the_mesh_with_its_labels(room):
    dataset = open_dataset("scannet", room.root, every=1)
    assert dataset.sample_ids == ["scene0000_00/scene0000_00_vh_clean_2"]
    sample = dataset[0]
    assert (sample.sample_id, sample.scene) == (dataset.sample_ids[0], "scene0000_00")
    np.testing.assert_array_equal(sample.cloud.xyz, room.xyz.astype(np.float32))
    np.testing.assert_array_equal(channels(sample, COLORS), room.colors(room.xyz))
    np.testing.assert_allclose(channels(sample, NORMALS), room.normals, atol=1e-6)
    assert all(c.ndim == 1 and c.dtype == np.float32 for c in sample.cloud.channels.values())
    np.testing.assert_array_equal(sample.T_world_lidar, np.eye(4))
    names = np.array([*dataset.ontology.classes, *[""] * 236])[sample.labels]
    expected = {"floor": "floor", "near": "wall", "right": "wall", "screen": "otherfurniture"}
    assert {s: expected.get(s, "") for s in set(room.sides)} == dict(
        zip(room.sides, names, strict=True)
    )
    assert (sample.labels == UNKNOWN).any()
    mesh, labels = room.file("_vh_clean_2.ply"), room.file("_vh_clean_2.labels.ply")
    assert sample.files[:2] == (mesh, labels)
    assert open_dataset("scannet", room.root, cameras=[])[0].files == (mesh, labels)


def test_both_sources_of_labels_agree(room):
    of_mesh = open_dataset("scannet", room.root)[0].labels
    room.file("_vh_clean_2.labels.ply").unlink()
    sample = open_dataset("scannet", room.root)[0]
    np.testing.assert_array_equal(sample.labels, of_mesh)
    assert len([path for path in sample.files if path.suffix in (".ply", ".json", ".tsv")]) == 4
    elsewhere = room.root / "table.tsv"
    (room.root / "scannetv2-labels.combined.tsv").rename(elsewhere)
    sample = open_dataset("scannet", room.root, label_map=str(elsewhere))[0]
    np.testing.assert_array_equal(sample.labels, of_mesh)


def test_ascii_mesh_is_the_same_as_binary(room):
    binary = open_dataset("scannet", room.root)[0]
    room.write_mesh("_vh_clean_2.ply", ascii=True)
    room.write_mesh("_vh_clean_2.labels.ply", ascii=True, label=room.nyu40())
    ascii = open_dataset("scannet", room.root)[0]
    np.testing.assert_array_equal(ascii.cloud.xyz, binary.cloud.xyz)
    np.testing.assert_array_equal(ascii.labels, binary.labels)
    for name, channel in binary.cloud.channels.items():
        np.testing.assert_array_equal(ascii.cloud.channels[name], channel)


def test_points_project_to_their_pixels_and_hidden_ones_do_not(room):
    image = open_dataset("scannet", room.root, every=1)[0].images[0]
    # the camera stands at (0.5, 1, 1) and looks along x, with focal length 200
    on_screen, behind_it = [2, 1.2, 0.7], [4, 1.2, 0.7]
    beside_it, before_wall, above_walls = [4, 2.75, 1], [3.8, 2.75, 1], [4, 2.75, 2.2]
    points = np.float32([on_screen, behind_it, beside_it, before_wall, above_walls])
    index, uv = image.visible_points(points)
    np.testing.assert_array_equal(index, [0, 2])
    expected = [[159.5 - 200 * 0.2 / 1.5, 119.5 + 200 * 0.3 / 1.5], [159.5 - 200 * 0.5, 119.5]]
    np.testing.assert_allclose(uv, expected, atol=1e-4)
    column, row = np.floor(uv + 0.5).astype(int).T
    pixels = image.load().image[row, column].astype(int)
    assert np.abs(pixels - room.colors(points[index])).max() <= 6  # JPEG


def test_images_are_in_the_order_of_the_video_with_its_times(room):
    images = open_dataset("scannet", room.root, every=1)[0].images
    assert [image.path.stem for image in images] == ["0", "40", "80"]
    assert [image.stamp for image in images] == [0, 1_333_333_333, 2_666_666_667]
    assert {image.name for image in images} == {"color"}


def test_frames_are_thinned_by_number_and_then_drawn_from_parts(room):
    def stems(**options):
        images = open_dataset("scannet", room.root, **options)[0].images
        return [image.path.stem for image in images]

    assert stems() == ["0", "40", "80"]
    assert stems(every=41) == ["0", "80"]
    assert stems(every=80) == ["0", "80"]
    assert stems(every=1, views=1) == ["40"]
    assert stems(every=1, views=2) == ["0", "40"]
    assert stems(every=1, views=99) == ["0", "40", "80"]


def test_resized_colour_images_see_the_same_points(room):
    whole = open_dataset("scannet", room.root, every=1)[0]
    for path in (room.folder / "color").iterdir():
        with Image.open(path) as image:
            small = image.resize((160, 120))
        small.save(path)
    resized = open_dataset("scannet", room.root, every=1)[0]
    for one, other in zip(whole.images, resized.images, strict=True):
        assert (other.camera.width, other.camera.height) == (160, 120)
        assert other.load().image.shape == (120, 160, 3)
        points = transform_points(one.T_camera_lidar, room.xyz)
        uv, inside = one.camera.project(points)
        uv_small = other.camera.project(points)[0]
        np.testing.assert_allclose((uv_small + 0.5)[inside], ((uv + 0.5) / 2)[inside])
    assert abs(seen_share(whole) - seen_share(resized)) < 0.02


def test_cropped_colour_image_is_refused(room):
    path = room.folder / "color" / "0.jpg"
    Image.new("RGB", (320, 200)).save(path)
    with pytest.raises(DatasetError, match=r"has 320x200 pixels.*320x240.*another shape") as caught:
        open_dataset("scannet", room.root)[0]
    assert str(path) in str(caught.value)


def test_extrinsics_are_respected(room):
    """The depth camera is 0.2 m to the right of the colour camera, which is not at the pose."""
    T_sensor_color, T_color_depth = np.eye(4), np.eye(4)
    T_sensor_color[:3, 3] = [0, -0.3, 0.1]
    T_color_depth[0, 3] = 0.2
    plain = open_dataset("scannet", room.root, every=1)[0].images
    expected = [set(image.visible_points(room.xyz)[0].tolist()) for image in plain]
    room.write_matrix("intrinsic/extrinsic_color", T_sensor_color)
    room.write_matrix("intrinsic/extrinsic_depth", T_sensor_color @ T_color_depth)
    for frame in (0, 40, 80):
        room.write_frame(frame, T_color_depth)
        room.write_matrix(f"pose/{frame}", room.pose(frame) @ np.linalg.inv(T_sensor_color))
    moved = open_dataset("scannet", room.root, every=1)[0].images
    for k in range(3):
        np.testing.assert_allclose(moved[k].T_camera_lidar, plain[k].T_camera_lidar, atol=1e-6)
        seen = set(moved[k].visible_points(room.xyz)[0].tolist())
        in_place = replace(moved[k], depth=replace(moved[k].depth, T_camera_depth=None))
        mistaken = set(in_place.visible_points(room.xyz)[0].tolist())
        # not all: what the depth camera does not see is unknown
        assert len(seen & expected[k]) > 0.8 * len(expected[k])
        assert 2 * len(seen ^ expected[k]) < len(mistaken ^ expected[k])


def test_unknown_poses_are_left_out_with_one_warning(room, caplog):
    dataset = open_dataset("scannet", room.root, every=1)
    with caplog.at_level(logging.WARNING):
        assert len(dataset[0].images) == len(dataset[0].images) == 3
    assert [r.getMessage() for r in caplog.records] == [
        f"{room.folder}: 1 of 4 frames have no pose"
    ]


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_scene_without_any_pose_is_refused(room, number):
    for frame in (0, 40, 80):
        room.write_matrix(f"pose/{frame}", np.full((4, 4), number))
    with pytest.raises(DatasetError, match=r"pose: none of 4 frames has a finite pose"):
        open_dataset("scannet", room.root, every=1)[0]
    assert open_dataset("scannet", room.root, images=False)[0].images == ()


def test_labels_and_images_are_not_opened_where_they_are_not_wanted(room):
    room.file("_vh_clean_2.labels.ply").write_bytes(b"damaged")
    (room.folder / "pose" / "0.txt").write_bytes(b"damaged")
    sample = open_dataset("scannet", room.root, labels=False, images=False)[0]
    assert (sample.labels, sample.images) == (None, ())


def test_scene_may_have_a_mesh_alone(room):
    (room.root / "scans").rename(room.root / "scans_test")
    folder = room.root / "scans_test" / room.name
    for path in folder.iterdir():
        if path.name != f"{room.name}_vh_clean_2.ply":
            path.rename(room.root / path.name)
    sample = open_dataset("scannet", room.root)[0]
    assert (len(sample.cloud), sample.labels, sample.images) == (len(room.xyz), None, ())


def test_opening_reads_no_file(room):
    for path in room.root.rglob("*.*"):
        if path.is_file():
            path.write_bytes(b"damaged")
    assert len(open_dataset("scannet", room.root)) == 1


def test_scenes_are_chosen_by_name_or_list(room, tmp_path):
    for name in ("scene0707_00", "scene0001_01"):
        (room.root / "scans_test" / name).mkdir(parents=True)
    names = ["scene0000_00/scene0000_00_vh_clean_2", "scene0001_01/fused", "scene0707_00/fused"]
    assert open_dataset("scannet", room.root).sample_ids == names
    chosen = open_dataset("scannet", room.root, scenes=["scene0707_00", "scene0000_00"])
    assert chosen.sample_ids == [names[2], names[0]]
    path = tmp_path / "list.txt"
    path.write_text("scene0001_01\n")
    assert open_dataset("scannet", room.root, scene_list=str(path)).sample_ids == names[1:2]
    path.write_text("scene0001_01\nscene0001_02\n")
    with pytest.raises(DatasetError, match=rf"{path}: no scene 'scene0001_02'.* are: scene0000_00"):
        open_dataset("scannet", room.root, scene_list=str(path))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scenes": ["scene9"]}, "no scene 'scene9'"),
        ({"scenes": ["scene9"], "scene_list": "list.txt"}, "not both"),
        ({"scene_list": "no/list.txt"}, r"no/list\.txt: list of scenes cannot be read"),
        ({"every": 0}, "must be 1 or more"),
        ({"views": 0}, "must be 1 or more"),
        ({"cameras": ["front"]}, "no camera .*there is: color"),
    ],
)
def test_options_that_make_no_sense_are_refused(room, options, message):
    with pytest.raises(DatasetError, match=message):
        open_dataset("scannet", room.root, **options)


def test_scene_in_both_folders_is_refused(room):
    (room.root / "scans_test" / room.name).mkdir(parents=True)
    with pytest.raises(DatasetError, match=r"the scene is at .* as well"):
        open_dataset("scannet", room.root)


def test_scene_of_nothing_is_refused(tmp_path):
    (tmp_path / "scans" / "scene0000_00").mkdir(parents=True)
    with pytest.raises(DatasetError, match=r"has neither scene0000_00_vh_clean_2\.ply nor images"):
        open_dataset("scannet", tmp_path)[0]


@pytest.mark.real_data
def test_real_room_is_fused_and_seen(data_root, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    sample = open_dataset("scannet", data_root / "scannet")[0]
    assert sample.sample_id == "scene7000_00/fused"
    xyz, rgb = sample.cloud.xyz, channels(sample, COLORS)
    assert 40_000 < len(xyz) < 60_000
    assert (np.ptp(xyz, axis=0) > 2).all()
    assert (np.ptp(xyz, axis=0) < 6).all()
    normals = channels(sample, NORMALS)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-5)
    assert rgb.min() >= 0
    assert 200 < rgb.max() <= 255
    seen = np.zeros(len(xyz), dtype=bool)
    right, shuffled, towards_camera = [], [], []
    rng = np.random.default_rng(0)
    for image in sample.images:
        index, uv = image.visible_points(xyz)
        column, row = np.floor(uv + 0.5).astype(int).T
        pixels = image.load().image[row, column].astype(float)
        right.append(np.abs(pixels - rgb[index]).mean())
        shuffled.append(np.abs(rng.permutation(pixels) - rgb[index]).mean())
        ray = transform_points(invert(image.T_camera_lidar), np.zeros((1, 3))) - xyz[index]
        towards_camera.append(((ray * normals[index]).sum(axis=1) > 0).mean())
        seen[index] = True
    assert len(sample.images) == 25
    assert seen.mean() > 0.95
    assert np.mean(right) < 0.5 * np.mean(shuffled)  # exposure changes from frame to frame
    assert np.mean(towards_camera) > 0.95
