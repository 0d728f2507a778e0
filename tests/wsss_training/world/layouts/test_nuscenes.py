import json
from dataclasses import replace

import numpy as np
import pytest

from wsss_perception.errors import DatasetError
from wsss_perception.frame import UNKNOWN
from wsss_perception.geometry import invert
from wsss_perception.ontology import load_mapping, load_ontology
from wsss_training.data.nuscenes import NuScenes
from wsss_training.world.layouts.nuscenes import NuScenesWriter
from wsss_training.world.layouts.nuscenes_rows import CATEGORIES, START

DELAY = 12_000_000


def table(root, name):
    return json.loads((root / "v1.0-world" / f"{name}.json").read_text())


@pytest.fixture
def world(tmp_path, sweeps, around, recording):
    """Two written scenes of three sweeps, and what they were written from."""
    drives = {
        name: sweeps(around, delay=DELAY, seed=seed) for seed, name in enumerate(("scene-b", "a"))
    }
    with NuScenesWriter(tmp_path) as writer:
        for name, drive in drives.items():
            assert writer.add(recording(name, drive))
    return tmp_path, drives


def test_written_recordings_are_read_back(world):
    root, drives = world
    dataset = NuScenes(root)
    mapping = load_mapping(
        "semantic_kitti_to_nuscenes", load_ontology("semantic_kitti"), dataset.ontology
    )
    assert dataset.sample_ids == [
        f"{name}/{name}__LIDAR_TOP__{START + 5_000_000 + k * 100_000}"
        for name in drives
        for k in range(3)
    ]
    for sample, (name, k) in zip(dataset, [(n, k) for n in drives for k in range(3)], strict=True):
        sweep = drives[name][k]
        np.testing.assert_array_equal(sample.cloud.xyz, sweep.cloud.xyz)
        for channel in ("intensity", "ring"):
            np.testing.assert_allclose(
                sample.cloud.channels[channel], sweep.cloud.channels[channel], rtol=1e-6
            )
        np.testing.assert_array_equal(sample.labels, mapping[sweep.labels])
        assert sample.cloud.stamp == START * 1000 + sweep.cloud.stamp
        T_world_lidar = sweep.T_world_ego @ sweep.T_ego_lidar
        np.testing.assert_allclose(sample.T_world_lidar, T_world_lidar, atol=1e-9)
        for image, shot in zip(sample.images, sweep.shots, strict=True):
            assert (image.name, image.stamp) == (shot.name, START * 1000 + shot.stamp)
            T_camera_lidar = invert(shot.T_world_ego @ shot.T_ego_camera) @ T_world_lidar
            np.testing.assert_allclose(image.T_camera_lidar, T_camera_lidar, atol=1e-9)
            np.testing.assert_array_equal(image.camera.matrix, shot.camera.matrix)
            pixels = image.load().image
            assert np.abs(pixels.astype(int) - shot.pixels)[..., 0].mean() < 5  # JPEG


def test_points_fall_on_their_pixels(world, red_share):
    for sample in NuScenes(world[0]):
        assert min(red_share(sample, number) for number in (0, 1)) > 0.97


def test_lidar_axes_are_as_nuscenes_has_them(world):
    root, drives = world
    row = next(row for row in table(root, "sample_data") if "LIDAR_TOP" in row["filename"])
    points = np.fromfile(root / row["filename"], np.float32).reshape(-1, 5)
    cloud = drives["scene-b"][0].cloud
    np.testing.assert_array_equal(points[:, 0], -cloud.xyz[:, 1])  # x is right
    np.testing.assert_array_equal(points[:, 1], cloud.xyz[:, 0])  # y is forward
    np.testing.assert_allclose(points[:, 3], cloud.channels["intensity"] * 255, rtol=1e-6)


def test_tables_are_whole_and_linked(world):
    root, _ = world
    names = [path.stem for path in (root / "v1.0-world").iterdir()]
    assert len(names) == 14
    tables = {name: {row["token"]: row for row in table(root, name)} for name in names}
    sizes = {name: len(rows) for name, rows in tables.items() if rows}
    assert sizes == {
        "category": 32, "sensor": 3, "calibrated_sensor": 6, "ego_pose": 18, "log": 2, "scene": 2,
        "sample": 6, "sample_data": 18, "map": 1, "lidarseg": 6,
    }  # fmt: skip
    for name, rows in tables.items():
        for row in rows.values():
            for key in (key for key in row if key.endswith("_token")):
                target = key.removesuffix("_token").removeprefix("first_").removeprefix("last_")
                assert row[key] in tables[target], (name, key)
            if "filename" in row:
                assert (root / row["filename"]).is_file()
    for scene in tables["scene"].values():
        chain, token = [], scene["first_sample_token"]
        while token:
            chain.append(tables["sample"][token])
            token = chain[-1]["next"]
        assert len(chain) == scene["nbr_samples"] == 3
        assert chain[-1]["token"] == scene["last_sample_token"]
        assert [row["prev"] for row in chain] == ["", *(row["token"] for row in chain[:-1])]
    following = [row for row in tables["sample_data"].values() if row["next"]]
    assert len(following) == 12
    for row in following:
        after = tables["sample_data"][row["next"]]
        assert after["prev"] == row["token"]
        assert after["filename"].split("__")[:2] == row["filename"].split("__")[:2]
        assert after["timestamp"] - row["timestamp"] == 100_000


def test_categories_are_named_for_their_ids(world):
    rows = table(world[0], "category")
    assert {row["index"]: row["name"] for row in rows} == dict(enumerate(CATEGORIES))
    ontology = load_ontology("nuscenes")
    labels = ontology.labels_from_raw(np.arange(32))
    for name in ("bicycle", "car", "motorcycle", "truck", "trailer"):
        assert CATEGORIES.index(f"vehicle.{name}") in ontology.raw_ids[ontology.index(name)]
    for name in ("barrier", "sidewalk", "terrain", "manmade", "vegetation", "driveable_surface"):
        raw = next(i for i, category in enumerate(CATEGORIES) if category.endswith(f".{name}"))
        assert labels[raw] == ontology.index(name)
    assert labels[0] == UNKNOWN


@pytest.mark.real_data
def test_categories_are_those_of_the_real_set(data_root):
    rows = json.loads((data_root / "nuscenes/v1.0-mini/category.json").read_text())
    assert {row["index"]: row["name"] for row in rows} == dict(enumerate(CATEGORIES))


def test_every_shot_is_told_with_its_image(tmp_path, sweeps, around, recording):
    told = []
    with NuScenesWriter(tmp_path, lambda *args: told.append(args)) as writer:
        writer.add(recording("a", sweeps(around, delay=DELAY)))
    assert [(shot.name, name, number) for shot, _, name, number in told] == [
        (camera, "a", number) for number in range(3) for camera in around
    ]
    for shot, path, _, _ in told:
        assert (
            path.as_posix()
            == f"samples/{shot.name}/a__{shot.name}__{START + shot.stamp // 1000}.jpg"
        )
        assert (tmp_path / path).is_file()


def test_interrupted_generation_leaves_nothing(tmp_path, sweeps, around, recording):
    def write():
        with NuScenesWriter(tmp_path) as writer:
            writer.add(recording("a", sweeps(around)))
            writer.add(recording("b", sweeps(around), stops=True))

    with pytest.raises(KeyboardInterrupt):
        write()
    assert list(tmp_path.iterdir()) == []


def test_recording_that_fails_leaves_no_rows(tmp_path, sweeps, around, recording):
    with NuScenesWriter(tmp_path) as writer:
        with pytest.raises(DatasetError, match="3 sweeps, but 4 were announced"):
            writer.add(replace(recording("a", sweeps(around)), count=4))
        writer.add(recording("b", sweeps(around)))
    assert {sample_id.partition("/")[0] for sample_id in NuScenes(tmp_path).sample_ids} == {"b"}
    assert len(table(tmp_path, "sample_data")) == 9


def test_generation_starts_anew_after_a_kill(tmp_path, sweeps, around, recording):
    left = tmp_path / ".v1.0-world.part/samples/CAM_OLD/half.jpg"  # as after SIGKILL
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    with NuScenesWriter(tmp_path) as writer:
        writer.add(recording("a", sweeps(around)))
    assert len(NuScenes(tmp_path)) == 3
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"samples", "lidarseg", "maps", "v1.0-world"}
    assert not (tmp_path / "samples/CAM_OLD").exists()


def test_tree_that_is_there_is_kept(world, sweeps, around, recording):
    root, _ = world
    before = sorted(root.rglob("*"))
    with pytest.raises(DatasetError, match=r"samples: exists.*remove it"), NuScenesWriter(root):
        pass
    assert sorted(root.rglob("*")) == before


def test_tables_come_last(tmp_path, sweeps, around, recording):
    """Where a folder cannot be moved, no table refers to what is not there."""

    def write():
        with NuScenesWriter(tmp_path) as writer:
            writer.add(recording("a", sweeps(around)))
            (tmp_path / "maps").write_text("came meanwhile")

    with pytest.raises(DatasetError, match=r"maps: cannot be written"):
        write()
    assert not (tmp_path / "v1.0-world").exists()


def test_scene_is_written_once(tmp_path, sweeps, around, recording):
    with NuScenesWriter(tmp_path) as writer:
        writer.add(recording("a", sweeps(around)))
        with pytest.raises(DatasetError, match="a scene of that name is there"):
            writer.add(recording("a", sweeps(around)))


def test_empty_worlds_and_strange_versions_are_refused(tmp_path, recording):
    with pytest.raises(DatasetError, match="no recording was added"), NuScenesWriter(tmp_path):
        pass
    with pytest.raises(DatasetError, match=r"must be named v1\.0-"):
        NuScenesWriter(tmp_path, version="world")
    with pytest.raises(DatasetError, match="has no sweeps"), NuScenesWriter(tmp_path) as writer:
        writer.add(recording("a", []))
    assert list(tmp_path.iterdir()) == []
