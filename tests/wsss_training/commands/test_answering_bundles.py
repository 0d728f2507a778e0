"""evaluate, predict and benchmark with a bundle that answers texts."""

import json

import numpy as np
from made_networks import as_answering

from wsss_perception.benchmark.inputs import Source
from wsss_perception.benchmark.measure import Job, Row, measure
from wsss_perception.cli import main
from wsss_perception.engines.options import Options
from wsss_training.__main__ import COMMANDS


def run(*words):
    assert main("wsss_training", COMMANDS, [str(word) for word in words]) == 0


def test_labels_of_texts_are_scored_and_written_as_those_of_classes(mini_log, trained, tmp_path):
    plain = trained[1]
    answering = as_answering(plain, tmp_path / "answering")
    scores, labels = [], []
    for bundle in (plain, answering):
        output = tmp_path / f"{bundle.folder.name}.json"
        given = ["--dataset", "semantic_kitti", "--root", mini_log.root, "--json", output]
        run("evaluate", "--bundle", bundle.folder, *given)
        scores.append(json.loads(output.read_text()))
        sweeps, folder = mini_log.root / "sequences" / "00" / "velodyne", output.with_suffix("")
        run("predict", sweeps, folder / "labels", "--bundle", bundle.folder)
        files = sorted((folder / "labels").iterdir())
        labels.append(np.concatenate([np.fromfile(path, np.uint32) for path in files]))
    assert scores[0]["miou_present"] > 0.8
    assert abs(scores[0]["miou"] - scores[1]["miou"]) < 1e-3
    assert (labels[0] == labels[1]).mean() > 0.999
    assert len(np.unique(labels[0])) > 1

    for contender in ("spconv", "onnxruntime", "torch-gather"):
        job = Job(contender, str(answering.folder), Source(points=500), clouds=2)
        row = Row.of(job)
        measure(job, Options(), row)
        assert row.error is None
        assert row.milliseconds["network"]["p50"] > 0
