import json
import os
import pickle
import shutil

import numpy as np
import pytest

from wsss_perception.errors import DatasetError
from wsss_training.data import nuscenes_index, nuscenes_join
from wsss_training.data.nuscenes import NuScenes
from wsss_training.data.nuscenes_join import pack, unpack


@pytest.fixture
def joined(monkeypatch, tmp_path_factory):
    """Counts how often tables are joined, with a cache of its own."""
    calls = []

    def join(folder):
        calls.append(folder)
        return nuscenes_join.join_tables(folder)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("own_cache")))
    monkeypatch.setattr(nuscenes_index, "join_tables", join)
    return calls


def test_texts_are_packed_and_unpacked():
    texts = ["", "scene-0061", "CAM_FRÖNT"]
    assert unpack(pack(texts)) == texts
    assert unpack(pack([])) == []


def test_tables_are_joined_once_for_all_options(nuscenes_drive, joined):
    first = NuScenes(nuscenes_drive)
    again = NuScenes(
        nuscenes_drive, scenes=["scene-0103"], cameras=["CAM_FRONT"], sweeps=3, labels=False
    )
    NuScenes(nuscenes_drive, split="mini_val", cameras=[])
    assert len(joined) == 1
    assert (len(first), len(again)) == (6, 3)
    for sample, other in zip((first[k] for k in (3, 4, 5)), again, strict=True):
        assert sample.sample_id == other.sample_id
        np.testing.assert_array_equal(sample.T_world_lidar, other.T_world_lidar)
        image, other_image = sample.images[0], other.images[0]
        assert image.path == other_image.path
        np.testing.assert_array_equal(image.T_camera_lidar, other_image.T_camera_lidar)


def test_each_folder_has_its_index(nuscenes_drive, joined):
    part = nuscenes_drive / "v1.0-part"
    shutil.copytree(nuscenes_drive / "v1.0-mini", part)
    for name in ("sample", "sample_data", "lidarseg"):  # the first sample's rows alone
        rows = json.loads((part / f"{name}.json").read_text())
        kept = rows[:1] if name != "sample_data" else rows[:8]
        (part / f"{name}.json").write_text(json.dumps(kept))
    for _ in "ab":
        assert len(NuScenes(nuscenes_drive, version="v1.0-mini")) == 6
        assert len(NuScenes(nuscenes_drive, version="v1.0-part")) == 1
    assert [folder.name for folder in joined] == ["v1.0-mini", "v1.0-part"]


@pytest.mark.parametrize("table", nuscenes_join.TABLES)
def test_changed_table_is_read_anew(nuscenes_drive, joined, table):
    NuScenes(nuscenes_drive)
    path = nuscenes_drive / f"v1.0-mini/{table}.json"
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    NuScenes(nuscenes_drive)
    assert len(joined) == 2


def test_labels_may_come_later(nuscenes_drive, joined):
    path = nuscenes_drive / "v1.0-mini/lidarseg.json"
    content = path.read_bytes()
    path.unlink()
    assert all(sample.labels is None for sample in NuScenes(nuscenes_drive))
    path.write_bytes(content)
    assert all(len(sample.labels) == len(sample.cloud) for sample in NuScenes(nuscenes_drive))
    rows = json.loads(content)
    path.write_text(json.dumps(rows[1:]))
    labelled = [sample.labels is not None for sample in NuScenes(nuscenes_drive)]
    assert labelled == [False, True, True, True, True, True]
    assert len(joined) == 1


def test_rows_may_have_any_order(nuscenes_drive):
    expected = NuScenes(nuscenes_drive, sweeps=4)
    rng = np.random.default_rng(0)
    for path in (nuscenes_drive / "v1.0-mini").iterdir():
        rows = json.loads(path.read_text())
        if path.stem != "scene":
            path.write_text(json.dumps([rows[k] for k in rng.permutation(len(rows))]))
    shuffled = NuScenes(nuscenes_drive, sweeps=4)
    assert shuffled.sample_ids == expected.sample_ids
    for one, other in zip(shuffled, expected, strict=True):
        assert one.files == other.files
        np.testing.assert_array_equal(one.cloud.xyz, other.cloud.xyz)
        np.testing.assert_array_equal(one.labels, other.labels)
        assert [image.path for image in one.images] == [image.path for image in other.images]


def test_radar_is_left_out(nuscenes_drive):
    folder = nuscenes_drive / "v1.0-mini"

    def add(table, **row):
        path = folder / f"{table}.json"
        rows = json.loads(path.read_text())
        path.write_text(json.dumps([*rows, {**rows[0], **row}]))

    add("sensor", token="radar", channel="RADAR_FRONT", modality="radar")
    add("calibrated_sensor", token="mount", sensor_token="radar", translation=[None])
    add("sample_data", token="r", calibrated_sensor_token="mount", ego_pose_token="not needed")
    assert len(NuScenes(nuscenes_drive)) == 6


def test_images_between_keyframes_are_left_out(nuscenes_drive):
    folder = nuscenes_drive / "v1.0-mini"
    rows = json.loads((folder / "sample_data.json").read_text())
    unneeded = {r["ego_pose_token"] for r in rows if r["width"] and not r["is_key_frame"]}
    poses = json.loads((folder / "ego_pose.json").read_text())
    kept = [row for row in poses if row["token"] not in unneeded]
    assert len(kept) == len(poses) - 14
    (folder / "ego_pose.json").write_text(json.dumps(kept))
    assert len(NuScenes(nuscenes_drive)) == 6


def test_missing_table_is_named_with_the_archive(nuscenes_drive):
    (nuscenes_drive / "v1.0-mini/ego_pose.json").unlink()
    with pytest.raises(
        DatasetError, match=r"ego_pose\.json: cannot be read.*metadata of v1\.0-mini"
    ):
        NuScenes(nuscenes_drive)


def test_opened_dataset_goes_to_other_processes(nuscenes_drive):
    dataset = NuScenes(nuscenes_drive, sweeps=2)
    sent = pickle.loads(pickle.dumps(dataset))
    assert sent.sample_ids == dataset.sample_ids
    np.testing.assert_array_equal(sent[3].cloud.xyz, dataset[3].cloud.xyz)


def test_progress_of_large_tables_is_counted_to_the_end(nuscenes_drive, monkeypatch):
    steps = []

    class Counted(nuscenes_join.Progress):
        def __init__(self, what, total):
            super().__init__(what, total)
            steps.append(total)

        def step(self, note=""):
            steps.append(1)

    monkeypatch.setattr(nuscenes_join, "Progress", Counted)
    nuscenes_join.join_tables(nuscenes_drive / "v1.0-mini")
    assert len(steps) == 1  # small tables show none
    monkeypatch.setattr(nuscenes_join, "_SLOW", 0)
    nuscenes_join.join_tables(nuscenes_drive / "v1.0-mini")
    assert sum(steps[2:]) == steps[1] == len(nuscenes_join.TABLES)
