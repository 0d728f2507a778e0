"""pseudo-label through the command line, on a WSegPC run on the mini log."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from wsegpc_runs import read_labels

from wsss_perception.cli import main
from wsss_training.__main__ import COMMANDS
from wsss_training.data import open_dataset
from wsss_training.data.weak_labels import INFO_FILE
from wsss_training.stages import PSEUDO_LABELS


def run(*words):
    return main("wsss_training", COMMANDS, ["pseudo-label", *map(str, words)])


def other(mini_log, *more):
    return ["--dataset", "semantic_kitti", "--root", mini_log.root, *more]


@pytest.fixture
def stopped(in_stages, tmp_path) -> Path:
    """A run that was stopped after its first stage."""
    run = tmp_path / "stopped"
    shutil.copytree(in_stages / "guidance", run / "guidance")
    shutil.copy(in_stages / "config.yaml", run)
    return run


def write_tags(folder, ontology, tags):
    path = folder / f"{ontology}_{'_'.join(tags)}.yaml"
    path.write_text(yaml.safe_dump({"schema": 1, "ontology": ontology, "scenes": {"00": tags}}))
    return path


def test_the_runs_own_logs_are_labelled_anew_into_its_folder(in_stages, tmp_path, capsys):
    copy = shutil.copytree(in_stages, tmp_path / "moved")
    expected = read_labels(copy / PSEUDO_LABELS)
    shutil.rmtree(copy / PSEUDO_LABELS)
    assert run(copy) == 0
    found = read_labels(copy / PSEUDO_LABELS)
    assert found.keys() == expected.keys()
    for name, arrays in expected.items():
        np.testing.assert_array_equal(found[name]["labels"], arrays["labels"])
    shown = capsys.readouterr().out
    assert f"network: {copy / 'consistency'}" in shown
    assert f"pseudo-labels: {copy / PSEUDO_LABELS / '0'}\n" in shown
    labels = np.concatenate([arrays["labels"] for arrays in found.values()])
    counted = {line.split()[0]: line.split()[-1] for line in shown.splitlines() if line}
    assert counted["road"] == f"{(labels == 8).sum():,d}"
    assert f"{len(labels):,d} of 18,000 points of 6 sweeps are labelled" in shown


def test_a_stopped_run_labels_into_a_folder_of_its_own(stopped, tmp_path, capsys):
    assert run(stopped) == 2
    assert "stages are not finished need a folder; give --output" in capsys.readouterr().err
    assert run(stopped, "--output", tmp_path / "early") == 0
    assert f"network: {stopped / 'guidance'}" in capsys.readouterr().out
    assert len(read_labels(tmp_path / "early" / "0")) == 6
    assert not (stopped / PSEUDO_LABELS).exists()


def test_another_dataset_is_labelled_with_its_tags(mini_log, in_stages, tmp_path, capsys):
    tags = write_tags(tmp_path, "semantic_kitti", ["building", "car"])
    words = [in_stages, "--output", tmp_path / "out", *other(mini_log, "--option", "sequences=00")]
    assert run(*words, "--tags", tags) == 0
    labels = open_dataset("semantic_kitti", mini_log.root, weak_labels=tmp_path / "out")[0].labels
    assert set(np.unique(labels)) <= {0, 12}
    info = yaml.safe_load((tmp_path / "out" / INFO_FILE).read_text())
    assert (info["dataset"], info["options"]) == ("semantic_kitti", {"sequences": ["00"]})
    assert "sweeps are labelled" in capsys.readouterr().out
    copy = shutil.copytree(mini_log.root, tmp_path / "copy")
    elsewhere = [*other(mini_log, "--option", "sequences=00", "--tags", tags), "--root", copy]
    assert run(*words[:3], *elsewhere) == 2
    assert "or of other logs" in capsys.readouterr().err
    assert run(*words) == 2  # without the tags these would be other labels
    assert "or of other logs" in capsys.readouterr().err
    assert run(*words[:1], *words[3:]) == 2
    assert "of other logs need a folder; give --output" in capsys.readouterr().err


def test_no_image_of_another_dataset_is_opened(mini_log, in_stages, tmp_path):
    data = shutil.copytree(mini_log.root, tmp_path / "data")
    for path in data.rglob("*.png"):
        path.write_bytes(b"damaged")
    words = ["--dataset", "semantic_kitti", "--root", data, "--output", tmp_path / "out"]
    assert run(in_stages, *words) == 0
    assert len(read_labels(tmp_path / "out")) == 6


def test_other_classes_are_refused(mini_log, in_stages, tmp_path, capsys):
    words = [in_stages, "--output", tmp_path / "out", *other(mini_log)]
    assert run(*words, "--option", "moving=true") == 2
    assert "'semantic_kitti_moving', the model's of 'semantic_kitti'" in capsys.readouterr().err
    assert run(*words, "--tags", write_tags(tmp_path, "nuscenes", ["car"])) == 2
    assert "the tags are of 'nuscenes'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_what_is_no_run_of_this_method_is_refused(in_stages, stopped, tmp_path, capsys):
    assert run(in_stages / "segmenter") == 2
    assert "its method is 'projected_prior'" in capsys.readouterr().err
    assert run(tmp_path) == 2
    assert "no config.yaml there" in capsys.readouterr().err
    shutil.rmtree(stopped / "guidance")
    assert run(stopped) == 2
    assert "no checkpoint of a stage there yet; train first" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--dataset", "semantic_kitti"], "give both or none"),
        (["--root", "somewhere"], "give both or none"),
        (["--option", "sequences=00"], "--option and --tags are of another dataset"),
        (["--tags", "tags.yaml"], "--option and --tags are of another dataset"),
    ],
)
def test_half_a_dataset_is_refused(in_stages, words, message, capsys):
    assert run(in_stages, *words) == 2
    assert message in capsys.readouterr().err
