import json
import logging
from itertools import combinations

import pytest

from wsss_perception.errors import DatasetError
from wsss_training.data import open_dataset
from wsss_training.data.nuscenes import NuScenes
from wsss_training.data.nuscenes_splits import scenes_of_split, version_of_split

COUNTS = {"train": 700, "val": 150, "test": 150, "mini_train": 8, "mini_val": 2}


@pytest.mark.parametrize(("split", "count"), COUNTS.items())
def test_split_has_the_official_number_of_scenes(split, count):
    scenes = scenes_of_split(split)
    assert len(scenes) == len(set(scenes)) == count
    assert scenes == sorted(scenes)


def test_splits_are_disjoint():
    for one, other in combinations(("train", "val", "test"), 2):
        assert not set(scenes_of_split(one)) & set(scenes_of_split(other))
    assert not set(scenes_of_split("mini_train")) & set(scenes_of_split("mini_val"))


def test_mini_is_part_of_the_whole():
    """Officially two scenes of mini_train are of val."""
    assert scenes_of_split("mini_val") == ["scene-0103", "scene-0916"]
    train, val = set(scenes_of_split("train")), set(scenes_of_split("val"))
    assert set(scenes_of_split("mini_val")) < val
    assert "scene-0061" in scenes_of_split("mini_train")
    assert set(scenes_of_split("mini_train")) - train == {"scene-0553", "scene-0796"} & val


def test_ends_of_ranges_belong_to_the_split():
    assert scenes_of_split("val")[:9] == [f"scene-{k:04}" for k in (3, *range(12, 19), 35)]
    assert (scenes_of_split("train")[0], scenes_of_split("train")[-1]) == (
        "scene-0001",
        "scene-1110",
    )


def test_split_is_of_one_version():
    versions = ["v1.0-trainval", "v1.0-trainval", "v1.0-test", "v1.0-mini", "v1.0-mini"]
    assert [version_of_split(split) for split in COUNTS] == versions


def test_split_chooses_scenes_and_says_which_are_missing(nuscenes_drive, caplog):
    with caplog.at_level(logging.WARNING):
        dataset = open_dataset("nuscenes", nuscenes_drive, split="mini_val")
    assert {sample.scene for sample in dataset} == {"scene-0103"}
    assert len(dataset) == 3
    assert "has 1 of the 2 scenes of split 'mini_val'" in caplog.text


def test_split_chooses_its_version_among_several(nuscenes_drive):
    (nuscenes_drive / "v1.0-test").mkdir()
    assert len(NuScenes(nuscenes_drive, split="mini_train")) == 3
    assert len(NuScenes(nuscenes_drive, version="v1.0-mini", split="mini_train")) == 3


@pytest.mark.parametrize("version", [None, "v1.0-mini"])
def test_split_of_another_version_is_refused(nuscenes_drive, version):
    with pytest.raises(DatasetError, match=r"v1.0-mini: split 'val' is of v1\.0-trainval"):
        NuScenes(nuscenes_drive, version=version, split="val")


def test_split_without_any_scene_is_refused(nuscenes):
    with pytest.raises(DatasetError, match=r"scene\.json: has no scene of split 'mini_val'"):
        NuScenes(nuscenes, split="mini_val")


def test_tables_of_ones_own_may_have_official_scenes(nuscenes_drive):
    (nuscenes_drive / "v1.0-mini").rename(nuscenes_drive / "v1.0-mine")
    assert len(NuScenes(nuscenes_drive, split="val")) == 3


def test_unknown_split_lists_the_known(nuscenes):
    with pytest.raises(
        DatasetError, match=r"unknown split 'valid'.*: train, val, test, mini_train"
    ):
        NuScenes(nuscenes, split="valid")


def test_split_and_scenes_contradict_each_other(nuscenes_drive):
    with pytest.raises(DatasetError, match="'split' or 'scenes', not both"):
        NuScenes(nuscenes_drive, split="mini_val", scenes=["scene-0103"])


def test_scene_named_twice_is_read_once(nuscenes_drive):
    assert len(NuScenes(nuscenes_drive, scenes=["scene-0103", "scene-0061", "scene-0103"])) == 6


def test_scenes_come_in_the_order_they_are_named_in(nuscenes_drive):
    rows = json.loads((nuscenes_drive / "v1.0-mini/scene.json").read_text())
    names = [row["name"] for row in rows]
    for order in (names, names[::-1]):
        ids = NuScenes(nuscenes_drive, scenes=order).sample_ids
        assert [sample_id.partition("/")[0] for sample_id in ids] == [
            n for n in order for _ in "abc"
        ]
