import numpy as np
import pytest
import yaml
from PIL import Image

from wsss_perception.ontology import load_ontology
from wsss_training.config import load_config
from wsss_training.data.supervised_sweeps import SupervisedSweeps
from wsss_training.workload import open_workload


@pytest.fixture
def cached(mini_log, tmp_path):
    """Opens the mini log's sweeps with a cache, again with each call."""

    def open_sweeps(*overrides: str) -> SupervisedSweeps:
        words = [f"cache={tmp_path / 'cache'}", *overrides]
        return open_workload(load_config(mini_log.config, words)).sweeps

    return open_sweeps


def assert_same(first, second):
    np.testing.assert_array_equal(first.cloud.xyz, second.cloud.xyz)
    assert first.cloud.channels.keys() == second.cloud.channels.keys()
    for name, values in first.cloud.channels.items():
        np.testing.assert_array_equal(values, second.cloud.channels[name])
    assert (first.cloud.stamp, first.cloud.frame_id) == (second.cloud.stamp, second.cloud.frame_id)
    np.testing.assert_array_equal(first.labels, second.labels)
    np.testing.assert_array_equal(first.weights, second.weights)
    assert first.labels.dtype == second.labels.dtype == np.uint8


def test_sweep_from_the_cache_is_the_one_that_is_read(mini_log, cached, monkeypatch):
    plain = open_workload(load_config(mini_log.config)).sweeps[3]
    assert_same(plain, cached()[3])
    again = cached()
    monkeypatch.setattr(type(again.sources[0].dataset), "__getitem__", None)  # not read again
    assert_same(plain, again[3])


def test_changed_teacher_map_or_sweep_is_read_anew(mini_log, cached, tmp_path):
    before = cached()[3]
    path = mini_log.teacher / "sequences" / "00" / "image_2" / "000003.label.png"
    content = path.read_bytes()
    try:
        Image.fromarray(np.full((80, 160), 2, np.uint8)).save(path)
        after = cached()[3]
    finally:
        path.write_bytes(content)
    assert set(after.labels) != set(before.labels)
    sweep = mini_log.root / "sequences" / "00" / "velodyne" / "000003.bin"
    content = sweep.read_bytes()
    try:
        sweep.write_bytes(content[:-16])
        (mini_log.root / "sequences" / "00" / "labels" / "000003.label").touch()
        assert len(cached()[3]) == len(before) - 1
    finally:
        sweep.write_bytes(content)


def test_other_settings_do_not_share_sweeps(mini_log, cached, tmp_path):
    by_teacher = cached()[3]
    by_labels = cached("sources.0.supervision=labels", "teacher=null")[3]
    assert (by_labels.weights == 1).all()
    assert not np.array_equal(by_teacher.weights, by_labels.weights)
    other = tmp_path / "other.yaml"
    meanings = dict.fromkeys(load_ontology("cityscapes").classes, "terrain")
    mapping = {"source": "cityscapes", "target": "semantic_kitti", "map": meanings}
    other.write_text(yaml.safe_dump(mapping))
    terrain = cached(f"teacher.mapping={other}")[3]
    assert set(terrain.labels) != set(by_teacher.labels)
