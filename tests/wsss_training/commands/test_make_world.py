from pathlib import Path

import numpy as np
import pytest

from wsss_perception.frame import UNKNOWN
from wsss_perception.ontology import load_mapping, load_ontology
from wsss_training.__main__ import COMMANDS
from wsss_training.data import open_dataset
from wsss_training.teachers.precomputed import PrecomputedTeacher
from wsss_training.teachers.projection import project_teacher

ONE = ["--scenes", "1", "--sweeps", "1"]


def make_world(*words: object) -> int:
    from wsss_perception.cli import main

    return main("wsss_training", COMMANDS, ["make-world", *map(str, words)])


@pytest.fixture(scope="module")
def kitti(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("worlds") / "kitti"
    assert make_world(root, *ONE, "--first", 3) == 0
    return root


def test_ordinary_reader_reads_the_world_and_its_teacher(kitti: Path) -> None:
    dataset = open_dataset("semantic_kitti", kitti)
    assert list(dataset.sample_ids) == ["0003/000000"]
    sample = dataset[0]
    assert sample.labels is not None
    assert len(sample.cloud) > 80_000
    assert len(np.unique(sample.labels)) > 8
    cityscapes, target = load_ontology("cityscapes"), load_ontology("semantic_kitti")
    teacher = PrecomputedTeacher(kitti / "teacher", kitti, cityscapes)
    mapping = load_mapping("cityscapes_to_semantic_kitti", cityscapes, target)
    labels, _ = project_teacher(sample, teacher, mapping)
    both = (labels != UNKNOWN) & (sample.labels != UNKNOWN)
    assert both.sum() > 5_000
    right = (labels == sample.labels)[both].mean()
    assert 0.5 < right < 0.98  # it is a good teacher, and no perfect one


def test_more_scenes_are_added_and_those_there_stay(
    kitti: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = kitti / "sequences" / "0003" / "velodyne" / "000000.bin"
    written = first.stat().st_mtime_ns
    assert make_world(kitti, "--first", 3, "--scenes", 2, "--sweeps", 1, "--jobs", 2) == 0
    assert first.stat().st_mtime_ns == written
    assert (kitti / "sequences" / "0004").is_dir()
    assert "2 scenes, 2 sweeps" in capsys.readouterr().out


def test_folder_of_another_world_is_refused(
    kitti: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert make_world(kitti, *ONE, "--family", "final") == 2
    assert "world of other settings" in capsys.readouterr().err


def test_folder_of_something_else_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sequences" / "00").mkdir(parents=True)
    assert make_world(tmp_path, *ONE) == 2
    assert "holds something else than a world" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["sequences"]


def test_ordinary_reader_reads_six_cameras(tmp_path: Path) -> None:
    assert make_world(tmp_path / "nu", *ONE, "--rig", "nuscenes") == 0
    sample = open_dataset("nuscenes", tmp_path / "nu")[0]
    assert sample.labels is not None
    assert len(sample.images) == 6
    assert sample.images[0].load().image.shape == (450, 800, 3)
    assert len(sample.cloud) > 15_000
    assert len(list((tmp_path / "nu" / "teacher").rglob("*.label.png"))) == 6


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--rig", "waymo"], "no rig 'waymo'; known: kitti, nuscenes"),
        (["--family", "test"], "no family 'test'"),
        (["--scenes", "0"], "must be positive"),
        (["--first", "99999", "--scenes", "2"], "scenes 0 to 99999"),
        (["--interval", "0"], "interval must be positive"),
        (["--interval", "nan"], "interval must be positive"),
        (["--sweeps", "1000"], "at most 60 s"),
    ],
)
def test_wrong_arguments_are_named(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert make_world(tmp_path / "out", *words) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
