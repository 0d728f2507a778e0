"""derive-tags, check-tags, contact-sheet and tag through the command line."""

import io
import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from wsss_perception.cli import main
from wsss_perception.errors import DatasetError
from wsss_training.__main__ import COMMANDS
from wsss_training.data import open_dataset
from wsss_training.tags import read_tags


def run(*words):
    return main("wsss_training", COMMANDS, [str(word) for word in words])


@pytest.fixture
def dataset(mini_log):
    return ["--dataset", "semantic_kitti", "--root", mini_log.root]


@pytest.fixture
def damaged(mini_log, tmp_path):
    """A dataset that cannot be opened with labels, nor with images, but without either."""
    root = tmp_path / "damaged"
    shutil.copytree(mini_log.root, root)
    sequence = root / "sequences" / "00"
    shutil.rmtree(sequence / "labels")
    calibration = sequence / "calib.txt"
    lines = calibration.read_text().splitlines(keepends=True)
    calibration.write_text("".join(line for line in lines if not line.startswith("P2")))
    words = ["--dataset", "semantic_kitti", "--root", root, "--option", "label_folder=labels"]
    for kinds in ({"labels": True, "images": False}, {"labels": False, "images": True}):
        with pytest.raises(DatasetError, match=r"labels|P2"):
            open_dataset("semantic_kitti", root, **kinds, label_folder="labels")
    return words


@pytest.fixture
def typed(monkeypatch):
    """Lets a person type lines."""

    def type_lines(*lines):
        monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))

    return type_lines


def test_tags_are_derived_and_read_back(dataset, tmp_path, capsys):
    path = tmp_path / "tags.yaml"
    assert run("derive-tags", path, *dataset) == 0
    assert read_tags(path).classes == {"00": {"road", "building"}}
    assert "1 scenes" in capsys.readouterr().out
    assert run("derive-tags", tmp_path / "none.csv", *dataset, "--min-points", 9001) == 0
    assert read_tags(tmp_path / "none.csv").classes == {"00": frozenset()}


def test_tags_of_other_classes_are_derived_by_a_mapping(dataset, tmp_path, capsys):
    path = tmp_path / "tags.csv"
    words = ["derive-tags", path, *dataset, "--ontology", "nuscenes"]
    assert run(*words) == 2
    assert "--mapping says how they map" in capsys.readouterr().err
    assert run(*words, "--mapping", "semantic_kitti_to_nuscenes") == 0
    assert read_tags(path).classes == {"00": {"driveable_surface", "manmade"}}
    assert read_tags(path).ontology.name == "nuscenes"


def test_existing_tags_are_never_replaced(dataset, tmp_path, capsys):
    path = tmp_path / "tags.yaml"
    path.write_text("mine")
    assert run("derive-tags", path, *dataset) == 2
    assert "exists already" in capsys.readouterr().err
    assert path.read_text() == "mine"
    assert run("derive-tags", tmp_path / "tags.txt", *dataset) == 2
    assert "ends in .yaml" in capsys.readouterr().err


@pytest.mark.real_data
def test_dataset_without_labels_is_sent_to_tagging_by_hand(data_root, tmp_path, capsys):
    words = ["--dataset", "kitti_object", "--root", data_root / "kitti_object"]
    assert run("derive-tags", tmp_path / "tags.yaml", *words) == 2
    assert "tag its scenes by hand" in capsys.readouterr().err
    assert run("contact-sheet", tmp_path, *words, "--labels") == 2
    assert "has no labels to draw; leave out --labels" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_check_passes_good_tags_and_writes_its_findings(dataset, tmp_path, capsys):
    path, findings = tmp_path / "tags.yaml", tmp_path / "out" / "check.json"
    run("derive-tags", path, *dataset)
    assert run("check-tags", path, *dataset, "--json", findings) == 0
    assert json.loads(findings.read_text())["always"] == ["road", "building"]
    assert run("check-tags", path) == 0
    assert "classes never tagged (17)" in capsys.readouterr().out


def test_check_fails_tags_that_must_be_mended(dataset, tmp_path, capsys):
    path = tmp_path / "tags.csv"
    path.write_text("ontology,semantic_kitti\n0,car,raod\n1,cra\n")
    findings = tmp_path / "check.json"
    assert run("check-tags", path, *dataset, "--json", findings) == 2
    shown = capsys.readouterr()
    assert "scene '0': no class 'raod'; did you mean 'road'?" in shown.out
    assert "scene '1': no class 'cra'; did you mean 'car'?" in shown.out
    assert "scene '0'; did you mean '00'?" in shown.out
    assert "2 unknown names, no tagged scene is in the dataset" in shown.err
    assert len(json.loads(findings.read_text())["unknown"]) == 2


def test_check_fails_tags_without_any_class(tmp_path, capsys):
    path = tmp_path / "tags.csv"
    path.write_text("ontology,semantic_kitti\n00\n01\n")
    assert run("check-tags", path) == 2
    assert "to be mended: no scene has a class" in capsys.readouterr().err


def test_check_wants_both_words_of_a_dataset(tmp_path, capsys):
    path = tmp_path / "tags.csv"
    path.write_text("ontology,semantic_kitti\n00,car\n")
    assert run("check-tags", path, "--dataset", "semantic_kitti") == 2
    assert "both --dataset and --root" in capsys.readouterr().err


def test_check_refuses_an_option_of_no_dataset(tmp_path, capsys):
    path = tmp_path / "tags.csv"
    path.write_text("ontology,semantic_kitti\n00,car\n")
    assert run("check-tags", path, "--option", "sequences=00") == 2
    assert "which --dataset and --root name" in capsys.readouterr().err


def test_tagging_and_checking_open_neither_labels_nor_images(damaged, tmp_path, typed):
    path = tmp_path / "tags.csv"
    typed("road")
    assert run("tag", path, *damaged) == 0
    assert run("check-tags", path, *damaged) == 0


def test_sheets_open_no_labels_unless_asked_for(mini_log, dataset, tmp_path, capsys):
    root = tmp_path / "damaged"
    shutil.copytree(mini_log.root, root)
    for path in (root / "sequences" / "00" / "labels").iterdir():
        path.write_bytes(b"cut")
    words = ["contact-sheet", tmp_path, "--dataset", "semantic_kitti", "--root", root]
    assert run(*words) == 0
    assert run(*words, "--labels") == 2
    assert ".label" in capsys.readouterr().err
    assert run("contact-sheet", tmp_path, *dataset, "--labels") == 0
    assert "1 pictures drawn" in capsys.readouterr().out


def test_sheets_of_other_classes_are_not_tagged_from(dataset, tmp_path, typed, capsys):
    sheets, tag = tmp_path / "sheets", ["tag", tmp_path / "tags.csv", *dataset, "--sheets"]
    assert run("contact-sheet", sheets, *dataset, "--ontology", "nuscenes") == 0
    assert run(*tag, sheets) == 2
    assert "00.jpg: numbers other classes than the tags' ontology" in capsys.readouterr().err
    assert run("contact-sheet", sheets, *dataset) == 0
    typed("road")
    assert run(*tag, sheets) == 0


def test_sheets_are_drawn_once(dataset, tmp_path, capsys):
    assert run("contact-sheet", tmp_path, *dataset) == 0
    path = tmp_path / "00.jpg"
    assert str(path) in capsys.readouterr().out
    with Image.open(path) as picture:
        assert picture.size[0] == 1600
    before = path.stat().st_mtime_ns
    assert run("contact-sheet", tmp_path, *dataset, "--scenes", "00") == 0
    assert "0 pictures drawn; 1 were there already" in capsys.readouterr().out
    assert path.stat().st_mtime_ns == before
    assert run("contact-sheet", tmp_path, *dataset, "--scenes", "01") == 2
    assert "no scene '01'; there are: 00" in capsys.readouterr().err


def test_scenes_are_tagged_in_the_terminal(dataset, tmp_path, typed, capsys):
    path = tmp_path / "tags.yaml"
    typed("raod", "9 build")
    assert run("tag", path, *dataset, "--sheets", tmp_path) == 0
    shown = capsys.readouterr().out
    assert "did you mean 'road'?" in shown
    assert f"[1/1] 00   {tmp_path / '00.jpg'} (not drawn yet: contact-sheet)" in shown
    assert "tags of 1 scenes written, 0 untagged" in shown
    assert read_tags(path).classes == {"00": {"road", "building"}}


def test_tagging_goes_on_with_the_ontology_of_the_file(dataset, tmp_path, typed, capsys):
    path = tmp_path / "tags.csv"
    path.write_text("ontology,nuscenes\nelsewhere,car\n")
    assert run("tag", path, *dataset, "--ontology", "scannet") == 2
    assert "has tags of ontology 'nuscenes', not 'scannet'" in capsys.readouterr().err
    typed("ped")
    assert run("tag", path, *dataset) == 0
    assert path.read_text() == "ontology,nuscenes\nelsewhere,car\n00,pedestrian\n"


def test_end_of_input_writes_no_file_without_an_answer(dataset, tmp_path, typed, capsys):
    typed()
    assert run("tag", tmp_path / "tags.yaml", *dataset) == 0
    assert "tags of 0 scenes written, 1 untagged" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.real_data
def test_dataset_without_classes_needs_an_ontology(data_root, tmp_path, typed, capsys):
    words = ["--dataset", "kitti_raw", "--root", data_root / "kitti_raw"]
    assert run("tag", tmp_path / "tags.yaml", *words) == 2
    assert "name some with --ontology" in capsys.readouterr().err
    typed("car road")
    assert run("tag", tmp_path / "tags.yaml", *words, "--ontology", "semantic_kitti") == 0
    tags = read_tags(tmp_path / "tags.yaml")
    assert tags.classes == {"2011_09_26_drive_0013_sync": {"car", "road"}}


@pytest.mark.real_data
def test_real_sweeps_give_the_tags_that_are_seen_on_their_images(data_root: Path, tmp_path: Path):
    root = data_root / "semantic_kitti"
    words = ["--dataset", "semantic_kitti", "--root", root, "--option", "sequences=00"]
    assert run("derive-tags", tmp_path / "tags.yaml", *words) == 0
    tags = read_tags(tmp_path / "tags.yaml").classes["00"]
    assert {"car", "road", "building", "vegetation", "motorcyclist"} <= tags
    assert not tags & {"truck", "person", "other-ground"}
