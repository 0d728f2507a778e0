import errno
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsss_perception.errors import DatasetError
from wsss_perception.ontology import load_ontology
from wsss_training import report
from wsss_training.metrics import ConfusionMatrix, nuscenes_scores, semantic_kitti_scores


def matrix_of_two(classes):
    """200 points of class 0, half of them right, half without prediction; 1 point of class 1."""
    matrix = ConfusionMatrix(classes)
    true = np.repeat(np.uint8([0, 1]), [200, 1])
    predicted = np.repeat(np.uint8([0, 255, 1]), [100, 100, 1])
    matrix.update(true, predicted)
    return matrix


def test_classes_the_rule_leaves_out_are_null_and_a_dash(tmp_path):
    ontology = load_ontology("nuscenes")
    scores = nuscenes_scores(matrix_of_two(16))
    result = report.to_dict(ontology, scores)
    assert (result["iou"]["barrier"], result["iou"]["bicycle"]) == (0.5, 1.0)
    assert result["iou"]["car"] is None
    assert (result["miou"], result["miou_present"]) == (0.75, 0.5)
    assert result["classes_present"] == ["barrier"]
    assert result["fw_iou"] == (200 * 0.5 + 1) / 201
    assert result["rule"].startswith("nuScenes-lidarseg")
    report.write_json(tmp_path / "scores.json", result)
    assert "NaN" not in (tmp_path / "scores.json").read_text()
    assert json.loads((tmp_path / "scores.json").read_text()) == result
    lines = report.format_table(ontology, scores).splitlines()
    assert lines[0] == scores.rule
    rows = [line.split() for line in lines]
    assert ["car", "-", "0"] in rows
    assert ["mean", "over", "2", "75.0"] in rows
    assert ["no", "prediction", "49.8"] in rows
    assert len({line.rindex(".") for line in lines if line[-2:-1] == "."}) == 1, "not aligned"


def test_a_set_without_labels_has_no_mean_and_can_be_drawn(tmp_path):
    ontology, scores = load_ontology("nuscenes"), nuscenes_scores(ConfusionMatrix(16))
    assert report.to_dict(ontology, scores)["miou"] is None
    assert "nan" not in report.format_table(ontology, scores)
    report.draw_iou(tmp_path / "iou.png", ontology, scores)
    with Image.open(tmp_path / "iou.png") as picture:
        assert min(picture.size) > 100


def test_semantic_kitti_means_over_all_classes():
    ontology = load_ontology("semantic_kitti_moving")
    table = report.format_table(ontology, semantic_kitti_scores(matrix_of_two(25)))
    assert "mean over all 25" in table
    assert ["moving-truck", "0.0", "0"] in [line.split() for line in table.splitlines()]


def test_results_that_cannot_be_written_leave_the_old_and_no_scratch(tmp_path, monkeypatch):
    path = tmp_path / "scores.json"
    path.write_text("old")

    def full(path, content):
        path.open("wb").close()
        raise OSError(errno.ENOSPC, "disk full")

    monkeypatch.setattr(Path, "write_bytes", full)
    ontology = load_ontology("nuscenes")
    with pytest.raises(DatasetError, match=r"scores\.json: cannot be written: disk full"):
        report.write_json(path, {})
    with pytest.raises(DatasetError, match=r"iou\.png: cannot be written"):
        report.draw_iou(tmp_path / "iou.png", ontology, nuscenes_scores(matrix_of_two(16)))
    assert [(found.name, found.read_text()) for found in tmp_path.iterdir()] == [
        ("scores.json", "old")
    ]


def test_a_place_is_checked_before_there_is_something_to_write(tmp_path):
    report.check_writable(tmp_path / "deep" / "scores.json")
    assert list((tmp_path / "deep").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(DatasetError, match=r"file/scores\.json: cannot be written"):
        report.check_writable(tmp_path / "file" / "scores.json")
    with pytest.raises(DatasetError, match="deep: is a folder"):
        report.check_writable(tmp_path / "deep")
