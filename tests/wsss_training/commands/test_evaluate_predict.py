"""evaluate, predict and export through the command line, on a network trained on the mini log."""

import errno
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsss_perception.bundle import read_bundle
from wsss_perception.cli import main
from wsss_perception.segmenter import Segmenter
from wsss_training.__main__ import COMMANDS
from wsss_training.data.kitti_files import read_raw_labels, read_sweep


def run(*words):
    return main("wsss_training", COMMANDS, [str(word) for word in words])


def evaluate(mini_log, bundle, *more):
    options = ["--bundle", bundle, "--dataset", "semantic_kitti", "--root", mini_log.root]
    return run("evaluate", *options, *more)


def test_evaluate_writes_scores_and_pictures(mini_log, trained, tmp_path, capsys):
    output = tmp_path / "scores" / "seq00.json"
    assert evaluate(mini_log, trained[1].folder, "--option", "sequences=00", "--json", output) == 0
    result = json.loads(output.read_text())
    assert result["sweeps"] == 6
    assert result["points"]["road"] == result["points"]["building"] == 6 * 1500
    assert result["classes_present"] == ["road", "building"]
    assert result["miou"] == pytest.approx(sum(result["iou"].values()) / 19)
    assert result["miou_present"] > 0.8
    for name in ("seq00_confusion.png", "seq00_iou.png"):
        with Image.open(output.with_name(name)) as picture:
            assert min(picture.size) > 100
    assert result["options"] == {"sequences": ["00"]}
    shown = capsys.readouterr().out
    assert result["rule"].startswith("SemanticKITTI")
    assert result["rule"] in shown
    assert "mean over all 19" in shown


def test_evaluate_and_predict_take_the_default_bundle_where_none_is_given(
    mini_log, trained, tmp_path, monkeypatch, capsys
):
    folder = shutil.copytree(trained[1].folder, tmp_path / "bundle")
    (folder / "README.md").write_text("> Handle with care.\n")
    monkeypatch.setattr("wsss_perception.bundle.default_bundle", lambda: folder)
    output, sweeps = tmp_path / "scores.json", mini_log.root / "sequences" / "00" / "velodyne"
    options = ["--dataset", "semantic_kitti", "--root", mini_log.root, "--json", output]
    assert run("evaluate", *options) == 0
    assert json.loads(output.read_text())["bundle"] == str(folder)
    assert run("predict", sweeps, tmp_path / "out") == 0
    assert len(list((tmp_path / "out").iterdir())) == 6
    assert capsys.readouterr().out.count(f"default model {folder}. Handle with care.\n") == 2


def test_evaluate_refuses_an_unknown_sequence(mini_log, trained, capsys):
    assert evaluate(mini_log, trained[1].folder, "--option", "sequences=99") == 2
    assert "99" in capsys.readouterr().err


def test_evaluate_refuses_a_set_without_labels(mini_log, trained, tmp_path, capsys):
    shutil.copytree(mini_log.root, tmp_path / "data")
    shutil.rmtree(tmp_path / "data" / "sequences" / "00" / "labels")
    options = ["--dataset", "semantic_kitti", "--root", tmp_path / "data"]
    assert run("evaluate", "--bundle", trained[1].folder, *options) == 2
    assert "no labels to score against" in capsys.readouterr().err


def test_evaluate_says_before_it_starts_where_it_cannot_write(
    mini_log, trained, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("wsss_training.evaluate.evaluate", None)
    (tmp_path / "file").touch()
    assert evaluate(mini_log, trained[1].folder, "--json", tmp_path / "file" / "seq00.json") == 2
    error = capsys.readouterr().err
    assert "file" in error
    assert "Traceback" not in error


def test_evaluate_meets_a_log_without_labels_at_its_start(
    mini_log, trained, tmp_path, capsys, monkeypatch
):
    segment, segmented = Segmenter.__call__, []
    monkeypatch.setattr(Segmenter, "__call__", lambda *args: segmented.append(1) or segment(*args))
    root = tmp_path / "data"
    shutil.copytree(mini_log.root, root)
    shutil.copytree(root / "sequences" / "00", root / "sequences" / "01")
    shutil.rmtree(root / "sequences" / "01" / "labels")
    options = ["--dataset", "semantic_kitti", "--root", root]
    assert run("evaluate", "--bundle", trained[1].folder, *options) == 2
    shown = capsys.readouterr().err
    assert "01/000000: no labels to score against; leave its log out with --option" in shown
    assert len(segmented) == 1


def test_predict_writes_official_ids_in_the_sweeps_order(mini_log, trained, tmp_path):
    sweeps = mini_log.root / "sequences" / "00" / "velodyne"
    assert run("predict", sweeps, tmp_path, "--bundle", trained[1].folder) == 0
    written = sorted(path.name for path in tmp_path.iterdir())
    assert written == [f"{number:06d}.label" for number in range(6)]
    raw = read_raw_labels(tmp_path / "000000.label", 3000)
    truth = read_raw_labels(mini_log.root / "sequences" / "00" / "labels" / "000000.label", 3000)
    assert (raw == truth).mean() > 0.8


def test_predict_tells_of_sweeps_unlike_those_of_training(mini_log, trained, tmp_path, caplog):
    sweeps = mini_log.root / "sequences" / "00" / "velodyne"
    run("predict", sweeps, tmp_path / "same", "--bundle", trained[1].folder)
    assert not caplog.text
    points = np.fromfile(sweeps / "000000.bin", np.float32).reshape(-1, 4)
    (tmp_path / "raised").mkdir()
    (points + np.float32([0, 0, 50, 0])).tofile(tmp_path / "raised" / "7.bin")
    run("predict", tmp_path / "raised", tmp_path / "out", "--bundle", trained[1].folder)
    assert "7.bin: the median z of the clouds is" in caplog.text


def test_predict_writes_ply_that_open_source_readers_understand(mini_log, trained, tmp_path):
    sweeps = mini_log.root / "sequences" / "00" / "velodyne"
    assert run("predict", sweeps, tmp_path, "--bundle", trained[1].folder, "--format", "ply") == 0
    content = (tmp_path / "000000.ply").read_bytes()
    header, _, body = content.partition(b"end_header\n")
    assert b"element vertex 3000" in header
    row = np.dtype([("xyz", "<f4", 3), ("rgb", "u1", 3), ("label", "u1"), ("confidence", "<f4")])
    vertices = np.frombuffer(body, row)
    assert len(vertices) == 3000
    np.testing.assert_array_equal(vertices["xyz"], read_sweep(sweeps / "000000.bin", 0).xyz)
    palette = trained[1].spec.ontology.palette()
    np.testing.assert_array_equal(vertices["rgb"], palette[vertices["label"]])
    assert ((vertices["confidence"] > 0) & (vertices["confidence"] <= 1)).all()


def test_predict_of_a_sweep_cut_short_names_it_and_keeps_what_was_written(
    mini_log, trained, tmp_path, capsys
):
    sweeps = tmp_path / "sweeps"
    sweeps.mkdir()
    whole = (mini_log.root / "sequences" / "00" / "velodyne" / "000000.bin").read_bytes()
    (sweeps / "000000.bin").write_bytes(whole)
    (sweeps / "000001.bin").write_bytes(whole[:-5])
    assert run("predict", sweeps, tmp_path / "out", "--bundle", trained[1].folder) == 2
    assert "000001.bin" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["000000.label"]


def test_predict_of_an_empty_folder_says_what_it_looked_for(trained, tmp_path, capsys):
    assert run("predict", tmp_path, tmp_path / "out", "--bundle", trained[1].folder) == 2
    assert ".bin" in capsys.readouterr().err


def test_export_writes_the_runs_bundle_again(trained, tmp_path):
    assert run("export", trained[0], tmp_path / "bundle") == 0
    again = read_bundle(tmp_path / "bundle")
    assert again.spec == trained[1].spec
    assert again.weights.read_bytes() == trained[1].weights.read_bytes()


def test_predict_onto_a_full_disk_leaves_no_half_file(
    mini_log, trained, tmp_path, capsys, monkeypatch
):
    def full(path, content):
        with path.open("wb") as stream:
            stream.write(content[:10])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    sweeps = mini_log.root / "sequences" / "00" / "velodyne"
    assert run("predict", sweeps, tmp_path / "out", "--bundle", trained[1].folder) == 2
    assert "No space left" in capsys.readouterr().err
    assert not list((tmp_path / "out").iterdir())
