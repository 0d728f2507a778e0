"""Splits, scenes, accumulated sweeps, moving classes and other folders of labels."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from wsss_perception.errors import DatasetError
from wsss_perception.frame import UNKNOWN
from wsss_perception.ontology import load_ontology
from wsss_training.data import open_dataset, parse_options
from wsss_training.data.accumulate import own_points
from wsss_training.data.semantic_kitti import SemanticKitti


@pytest.fixture
def log(semantic_kitti: Path) -> Path:
    """Sequence 00 of five sweeps, 1 m apart, and the same as sequence 08."""
    folder = semantic_kitti / "sequences" / "00"
    pose = (folder / "poses.txt").read_text().splitlines()[0].split()
    poses = [[*pose[:11], str(float(number))] for number in range(5)]
    (folder / "poses.txt").write_text("".join(" ".join(row) + "\n" for row in poses))
    for name in ("velodyne/{}.bin", "labels/{}.label", "image_2/{}.png"):
        for number in (2, 3, 4):
            copy = folder / name.format(f"{number:06d}")
            shutil.copyfile(folder / name.format("000001"), copy)
    shutil.copytree(folder, folder.with_name("08"))
    return semantic_kitti


def mark_sweeps(folder: Path) -> None:
    """Gives each sweep's intensities its number, to tell points of accumulated clouds apart."""
    for path in folder.glob("velodyne/*.bin"):
        points = np.fromfile(path, np.float32).reshape(-1, 4)
        points[:, 3] = int(path.stem)
        path.write_bytes(points.tobytes())


@pytest.mark.parametrize("split", ["validation", "val"])
def test_a_split_opens_its_sequences(log, split):
    dataset = SemanticKitti(log, split=split)
    assert {sample_id[:3] for sample_id in dataset.sample_ids} == {"08/"}


def test_splits_are_the_official_ones(log):
    for number in range(22):
        folder = log / "sequences" / f"{number:02d}"
        if not folder.exists():
            shutil.copytree(log / "sequences" / "00", folder)
    found = {
        split: sorted({sample_id[:2] for sample_id in SemanticKitti(log, split=split).sample_ids})
        for split in ("train", "validation", "test")
    }
    assert found["train"] == ["00", "01", "02", "03", "04", "05", "06", "07", "09", "10"]
    assert found["validation"] == ["08"]
    assert found["test"] == [str(number) for number in range(11, 22)]


def test_a_split_with_sequences_missing_names_them_all(log):
    with pytest.raises(DatasetError, match=r"'train' lacks 01, 02, 03, 04, 05, 06, 07, 09, 10;"):
        SemanticKitti(log, split="train")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "val", "sequences": ["00"]}, "either 'split' or 'sequences'"),
        ({"split": "valid"}, "no split 'valid'; known: train, validation, val, test"),
        ({"sweeps": 0}, "must be at least 1"),
        ({"scene_sweeps": 0}, "must be at least 1"),
    ],
)
def test_contradicting_options_are_refused(log, options, message):
    with pytest.raises(DatasetError, match=message):
        SemanticKitti(log, **options)


def test_scenes_are_so_many_successive_sweeps(log):
    dataset = SemanticKitti(log, scene_sweeps=2)
    scenes = ["00_000", "00_000", "00_001", "00_001", "00_002"]
    scenes += ["08_000", "08_000", "08_001", "08_001", "08_002"]
    assert [dataset[index].scene for index in range(10)] == scenes
    assert dataset.sample_ids[3] == dataset[3].sample_id == "00_001/000003"
    assert dataset[3].images[0].path.name == "000003.png"
    assert len(SemanticKitti(log, scene_sweeps=9)) == 10


def test_accumulated_sweeps_meet_in_the_last_ones_frame(log):
    for name in ("00", "08"):
        mark_sweeps(log / "sequences" / name)
    dataset = SemanticKitti(log, sweeps=3, scene_sweeps=2)
    sample = dataset[3]
    np.testing.assert_array_equal(sample.cloud.channels["intensity"], np.repeat([3, 2, 1], 3))
    np.testing.assert_allclose(sample.cloud.channels["time"], np.repeat([0, -0.1, -0.2], 3))
    # the same points of the car, which drives 1 m a sweep along x
    np.testing.assert_allclose(sample.cloud.xyz[:, 0], [10, 10, -10, 9, 9, -11, 8, 8, -12])
    np.testing.assert_array_equal(own_points(sample.cloud), np.repeat([True, False, False], 3))
    alone = SemanticKitti(log)
    assert "time" not in alone[3].cloud.channels
    np.testing.assert_array_equal(sample.labels, np.tile(alone[3].labels, 3))
    np.testing.assert_array_equal(sample.T_world_lidar, alone[3].T_world_lidar)
    assert sample.images[0].path == alone[3].images[0].path
    assert sample.cloud.stamp == alone[3].cloud.stamp


@pytest.mark.parametrize(("index", "sweeps"), [(0, [0]), (1, [1, 0]), (5, [0]), (6, [1, 0])])
def test_accumulation_starts_anew_with_each_sequence(log, index, sweeps):
    for name in ("00", "08"):
        mark_sweeps(log / "sequences" / name)
    cloud = SemanticKitti(log, sweeps=3)[index].cloud
    np.testing.assert_array_equal(cloud.channels["intensity"], np.repeat(sweeps, 3))
    assert "time" in cloud.channels


def test_accumulation_without_poses_names_what_is_missing(log):
    (log / "sequences" / "08" / "poses.txt").unlink()
    assert len(SemanticKitti(log, sequences=["00"], sweeps=2)) == 5
    with pytest.raises(DatasetError, match=r"08/poses\.txt: no such file.*'sweeps=2'.*sweeps=1"):
        SemanticKitti(log, sweeps=2)


def test_accumulation_names_a_damaged_earlier_sweep_or_pose(log):
    dataset = SemanticKitti(log, sweeps=2)
    (log / "sequences/00/labels/000001.label").write_bytes(b"12")
    with pytest.raises(DatasetError, match=r"labels/000001\.label"):
        dataset[2]
    path = log / "sequences/00/poses.txt"
    path.write_text("\n".join(path.read_text().splitlines()[:2]))
    with pytest.raises(DatasetError, match=r"poses\.txt: has 2 lines, none for sweep 000003"):
        SemanticKitti(log, sweeps=2)[3]


def test_moving_things_have_classes_of_their_own(log):
    path = log / "sequences/00/labels/000000.label"
    path.write_bytes(np.uint32([10, 252, 99]).tobytes())
    standing, moving = SemanticKitti(log), SemanticKitti(log, moving=True)
    assert (len(standing.ontology), len(moving.ontology)) == (19, 25)
    np.testing.assert_array_equal(standing[0].labels, [0, 0, UNKNOWN])
    np.testing.assert_array_equal(moving[0].labels, [0, 19, UNKNOWN])


def test_moving_classes_are_those_of_the_multi_scan_task():
    ontology, standing = load_ontology("semantic_kitti_moving"), load_ontology("semantic_kitti")
    assert ontology.classes[:19] == standing.classes
    moving = "car bicyclist person motorcyclist other-vehicle truck"
    assert ontology.classes[19:] == tuple(f"moving-{name}" for name in moving.split())
    assert len(set(ontology.colors)) == 25
    official = {252: 20, 253: 21, 254: 22, 255: 23, 256: 24, 257: 24, 258: 25, 259: 24}
    official |= {0: 0, 1: 0, 52: 0, 99: 0, 10: 1, 11: 2, 13: 5, 15: 3, 16: 5, 18: 4, 20: 5, 30: 6}
    official |= {31: 7, 32: 8, 40: 9, 44: 10, 48: 11, 49: 12, 50: 13, 51: 14, 60: 9, 70: 15}
    official |= {71: 16, 72: 17, 80: 18, 81: 19}
    labels = ontology.labels_from_raw(list(official))
    expected = [number - 1 if number else UNKNOWN for number in official.values()]
    np.testing.assert_array_equal(labels, expected)
    back = [10, 11, 15, 18, 20, 30, 31, 32, 40, 44, 48, 49, 50, 51, 70, 71, 72, 80, 81]
    back += [252, 253, 254, 255, 259, 258]
    np.testing.assert_array_equal(ontology.raw_from_labels(np.arange(25, dtype=np.uint8)), back)


def test_another_folder_of_labels_is_read_as_labels(log):
    folder = log / "sequences" / "00"
    shutil.copytree(folder / "labels", folder / "scribbles")
    (folder / "scribbles" / "000002.label").write_bytes(np.uint32([0, 0, 70]).tobytes())
    dataset = SemanticKitti(log, ["00"], label_folder="scribbles")
    vegetation = dataset.ontology.index("vegetation")
    np.testing.assert_array_equal(dataset[2].labels, [UNKNOWN, UNKNOWN, vegetation])
    assert dataset[2].files[1] == folder / "scribbles" / "000002.label"


@pytest.mark.parametrize("name", ["labels", "scribbles"])
def test_a_folder_of_labels_that_is_named_must_be_there(log, name):
    shutil.rmtree(log / "sequences" / "08" / "labels")
    assert SemanticKitti(log)[5].labels is None
    with pytest.raises(DatasetError, match=rf"{name}: no such folder of labels.*label_folder"):
        SemanticKitti(log, ["08"], label_folder=name)
    assert SemanticKitti(log, ["08"], labels=False, label_folder=name)[0].labels is None


def test_a_sample_tells_the_files_it_was_read_from(log):
    folder = log / "sequences" / "00"
    expected = [folder / "velodyne" / "000002.bin", folder / "labels" / "000002.label"]
    placed = [folder / name for name in ("calib.txt", "poses.txt", "times.txt")]
    assert SemanticKitti(log)[2].files == (*expected, *placed)
    assert SemanticKitti(log, labels=False)[2].files == (*expected[:1], *placed)
    joined = SemanticKitti(log, sweeps=2)[2].files
    assert {folder / "velodyne" / "000001.bin", folder / "labels" / "000001.label"} < set(joined)
    assert {*expected, folder / "poses.txt", folder / "calib.txt"} < set(joined)


def test_both_colour_cameras_are_read(log):
    folder = log / "sequences" / "00"
    calibration = (folder / "calib.txt").read_text()
    line = next(line for line in calibration.splitlines() if line.startswith("P2"))
    (folder / "calib.txt").write_text(f"{calibration}{line.replace('P2', 'P3')}\n")
    shutil.copytree(folder / "image_2", folder / "image_3")
    images = SemanticKitti(log, ["00"])[0].images
    assert [image.name for image in images] == ["image_2", "image_3"]
    (image,) = SemanticKitti(log, ["00"], cameras=["image_3"])[0].images
    assert image.path == folder / "image_3" / "000000.png"


def test_options_are_read_from_a_command_line(log):
    words = ["split=val", "moving=true", "sweeps=2", "scene_sweeps=3", "cameras="]
    options = parse_options("semantic_kitti", words)
    sample = open_dataset("semantic_kitti", log, **options)[4]
    assert (sample.sample_id, len(sample.cloud), sample.images) == ("08_001/000004", 6, ())


@pytest.mark.real_data
def test_real_accumulated_sweeps_fall_together(data_root):
    """An earlier sweep fills the last sweep's voxels when poses move it, fewer when they do not."""
    root = data_root / "semantic_kitti"
    cloud = SemanticKitti(root, ["00"], cameras=[], sweeps=4)[20].cloud
    alone = SemanticKitti(root, ["00"], cameras=[])

    def voxels(xyz):
        return {tuple(voxel) for voxel in np.floor(xyz / 0.3).astype(int).tolist()}

    own = own_points(cloud)
    assert own.sum() == len(alone[20].cloud)
    filled = voxels(cloud.xyz[own])
    moved, unmoved = voxels(cloud.xyz[cloud.channels["time"] < -0.25]), voxels(alone[17].cloud.xyz)
    shares = [len(filled & found) / len(found) for found in (moved, unmoved)]
    assert len(moved) > 5000
    assert shares[0] > 1.2 * shares[1], shares
