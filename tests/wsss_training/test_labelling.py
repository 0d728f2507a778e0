"""What is checked before a WSegPC run starts, and that its labels are there where it needs them."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from wsegpc_runs import SHORT, read_labels, run_killed

from wsss_perception.cli import main
from wsss_perception.errors import ConfigError, DatasetError
from wsss_perception.ontology import load_ontology
from wsss_training import labelling, stages
from wsss_training.__main__ import COMMANDS
from wsss_training.config import SourceConfig, TrainConfig, load_config
from wsss_training.data.weak_labels import WeaklyLabelled
from wsss_training.labelling import check_sources, describe, label_sources
from wsss_training.processes import Place
from wsss_training.pseudo_labels import claim_folder
from wsss_training.stages import PSEUDO_LABELS, open_run, open_scenes, train_wsegpc
from wsss_training.training import last_checkpoint
from wsss_training.workload import open_workload

POOLED = "wsegpc.pool.prior=1"


@pytest.fixture
def config(mini_log, tmp_path):
    def load(*words: str) -> TrainConfig:
        return load_config(mini_log.config, [f"output={tmp_path / 'run'}", *SHORT, *words])

    return load


@pytest.fixture
def with_probabilities(mini_log, tmp_path) -> Path:
    """A teacher's folder of links to the mini log's maps, with probabilities too."""
    for path in mini_log.teacher.rglob("*.png"):
        target = tmp_path / "teacher" / path.relative_to(mini_log.teacher)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(path)
        if path.name.endswith(".label.png"):
            prob = np.zeros((19, 10, 20), np.uint8)
            prob[0] = 255
            np.savez(target.with_name(path.name.replace(".label.png", ".prob.npz")), prob=prob)
    return tmp_path / "teacher"


def test_missing_probabilities_end_a_run_before_its_first_stage(config, tmp_path, monkeypatch):
    monkeypatch.setattr(stages, "run_stage", None)
    message = r"sources\[0\] .*000000\.prob\.npz.*write them, or set wsegpc\.pool\.prior=0"
    with pytest.raises(ConfigError, match=message):
        train_wsegpc(config(POOLED))


def test_probabilities_are_looked_for_where_they_count_alone(config, with_probabilities):
    check_sources(config(), open_workload(config()))
    there = config(POOLED, f"teacher.root={with_probabilities}")
    check_sources(there, open_workload(there))
    last = max(with_probabilities.rglob("*.prob.npz"))
    last.rename(last.with_suffix(".away"))
    with pytest.raises(
        ConfigError, match=r"000005\.prob\.npz: the teacher has labels of .*, but not the prob"
    ):
        check_sources(there, open_workload(there))
    last.with_suffix(".away").rename(last)
    tags_alone = config(POOLED, "sources.0.supervision=tags", "teacher=null")
    check_sources(tags_alone, open_workload(tags_alone))
    next(with_probabilities.rglob("000000.prob.npz")).write_bytes(b"damaged")
    with pytest.raises(ConfigError, match=r"no readable array 'prob'"):
        check_sources(there, open_workload(there))


def test_sources_that_nothing_would_label_are_refused(config):
    words = [POOLED, "wsegpc.pool.network=0", "sources.0.supervision=tags", "teacher=null"]
    settings = config(*words)
    with pytest.raises(ConfigError, match=r"sources\[0\].*no teacher, and wsegpc\.pool\.network"):
        check_sources(settings, open_workload(settings))


def test_a_dataset_of_other_classes_is_refused_at_the_start(config):
    words = ["sources.0.options={moving: true}", "teacher=null", "sources.0.supervision=tags"]
    settings = config(*words)
    with pytest.raises(ConfigError, match=r"'semantic_kitti_moving', the model's of 'semantic_k"):
        check_sources(settings, open_workload(settings))


def test_labels_of_classes_of_ones_own_can_be_read_again(config, in_stages, tmp_path):
    """No shipped ontology has a robot's own classes, and its logs, without labels, have none."""
    mine = {**load_ontology("semantic_kitti").to_dict(), "name": "mine"}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(mine))
    words = [f"ontology={tmp_path / 'mine.yaml'}"]
    claim_folder(tmp_path / "labels", describe(config(*words), _checkpoint(in_stages)))
    dataset = SimpleNamespace(ontology=None, sample_ids=())
    read = WeaklyLabelled(dataset, tmp_path / "labels")
    assert read.ontology == load_ontology(tmp_path / "mine.yaml")
    assert "definition" not in describe(config(), _checkpoint(in_stages))


def _checkpoint(run: Path) -> Path:
    return last_checkpoint(run / "consistency")


def test_sources_with_labels_are_not_labelled_anew(config, in_stages, tmp_path):
    settings = config()
    own = SourceConfig("semantic_kitti", settings.sources[0].root, 3, supervision="labels")
    settings.sources.insert(0, own)
    workload = open_workload(settings)
    check_sources(settings, workload)
    scenes = open_scenes(settings, workload.sweeps.sources)
    label_sources(settings, workload, scenes, _checkpoint(in_stages), tmp_path / "labels")
    assert {path.name for path in (tmp_path / "labels").iterdir()} == {"1"}
    assert len(read_labels(tmp_path / "labels")) == 6


def test_a_folder_that_machines_do_not_share_is_noticed(in_stages, tmp_path, monkeypatch):
    settings = open_run(in_stages)
    workload = open_workload(settings)
    scenes = open_scenes(settings, workload.sweeps.sources)
    monkeypatch.setattr(labelling, "place", lambda: Place(1, 2))
    with pytest.raises(DatasetError, match=r"000000\.npz: another process.*all machines share"):
        label_sources(settings, workload, scenes, _checkpoint(in_stages), tmp_path)
    assert len(read_labels(tmp_path)) == 3


def test_a_run_killed_in_a_stage_and_while_labelling_ends_with_the_same_labels(
    mini_log, in_stages, tmp_path
):
    run = tmp_path / "run"
    words = ["train", str(mini_log.config), f"output={run}", *SHORT]
    run_killed("step", 5, *words)
    assert not (run / "consistency").exists()
    run_killed("label", 3, *words)
    written = read_labels(run / PSEUDO_LABELS)
    assert len(written) == 2
    assert main("wsss_training", COMMANDS, words) == 0
    expected = read_labels(in_stages / PSEUDO_LABELS)
    found = read_labels(run / PSEUDO_LABELS)
    assert len(expected) == 6
    assert found.keys() == expected.keys()
    for name, arrays in expected.items():
        for key, values in arrays.items():
            np.testing.assert_array_equal(found[name][key], values)


@pytest.mark.parametrize(
    "words", [["wsegpc.pool.network=0.5"], ["wsegpc.regions=planes"], ["wsegpc.consistency=point"]]
)
def test_labels_of_another_pool_or_other_regions_are_not_mixed_in(config, in_stages, words):
    before = describe(config(), _checkpoint(in_stages))
    assert describe(config(), _checkpoint(in_stages)) == before
    assert describe(config(*words), _checkpoint(in_stages)) != before
