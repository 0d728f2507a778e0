import json
import os
import subprocess
import sys
from argparse import ArgumentParser
from dataclasses import replace

import pytest
from made_networks import write_random

from wsss_perception.__main__ import COMMANDS
from wsss_perception.benchmark.contenders import CONTENDERS
from wsss_perception.benchmark.measure import Row
from wsss_perception.cli import main
from wsss_perception.commands import benchmark
from wsss_perception.errors import BagError, ConfigError, EngineError


@pytest.fixture
def bundle(tmp_path):
    return write_random(tmp_path / "bundle")[0].folder


@pytest.fixture
def jobs(monkeypatch):
    """Jobs that the command would run; only spconv can."""
    given = []

    def run_all(jobs):
        given.extend(jobs)
        times = {"network": {"p50": 1.0, "p95": 2.0, "p99": 3.0}}
        measured = {"points": 1, "voxels": 1, "milliseconds": times}
        return [
            replace(Row.of(job), **measured) if job.contender == "spconv" else Row.of(job, "no")
            for job in jobs
        ]

    monkeypatch.setattr(benchmark, "run_all", run_all)
    return given


def run(bundle, *words):
    parser = ArgumentParser()
    benchmark.add_arguments(parser)
    benchmark.run(parser.parse_args([*map(str, words), "--bundle", str(bundle)]))


def test_everyone_is_measured_on_two_sensors_where_nothing_is_named(bundle, jobs, capsys):
    run(bundle)
    pairs = [(job.source.beams, job.contender) for job in jobs]
    assert pairs == [(beams, name) for beams in (32, 64) for name in CONTENDERS]
    assert {(job.clouds, job.device, job.precision) for job in jobs} == {(100, "auto", "auto")}
    assert "generated, 64 beams: 1 points" in capsys.readouterr().out


@pytest.mark.parametrize(("clouds", "expected"), [("80", 8), ("5", 3)])
def test_sizes_take_a_tenth_of_the_clouds(bundle, jobs, clouds, expected):
    words = ("--points", "10", "200", "--engine", "spconv", "--clouds", clouds, "--threads", "3")
    run(bundle, *words)
    assert [(job.source.points, job.clouds, job.threads) for job in jobs] == [
        (10, expected, 3),
        (200, expected, 3),
    ]


def test_a_bag_and_sizes_exclude_each_other(bundle, jobs):
    with pytest.raises(ConfigError, match="leave the bag out"):
        run(bundle, "bag", "--points", "10")
    with pytest.raises(ConfigError, match="name the bag"):
        run(bundle, "--points-topic", "/points")


def test_what_cannot_be_measured_is_refused_before_anything_runs(bundle, jobs, tmp_path):
    with pytest.raises(BagError, match="no such bag"):
        run(bundle, tmp_path / "absent")
    with pytest.raises(EngineError, match="unknown engine 'abacus'"):
        run(bundle, "--engine", "abacus")
    with pytest.raises(EngineError, match="unknown device 'gpu'"):
        run(bundle, "--device", "gpu")
    assert not jobs


def test_it_is_an_error_when_nobody_could_be_measured(bundle, jobs, tmp_path, capsys):
    target = tmp_path / "out" / "b.json"
    with pytest.raises(EngineError, match="nothing could be measured"):
        run(bundle, "--engine", "tensorrt", "--json", target)
    assert "tensorrt: no" in capsys.readouterr().out
    assert [row["error"] for row in json.loads(target.read_text())["rows"]] == ["no", "no"]


def test_a_robot_without_torch_measures_what_it_has(bundle, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nsys.modules.update(dict.fromkeys(['torch', 'spconv', 'wsss_training']))\n"
    )
    path = os.pathsep.join([str(tmp_path), *sys.path])
    words = ["benchmark", "--points", "1500", "--clouds", "1", "--threads", "1"]
    words += ["--engine", "spconv", "onnxruntime", "torch-gather", "--bundle", str(bundle)]
    done = subprocess.run(
        [sys.executable, "-m", "wsss_perception", *words, "--json", str(tmp_path / "b.json")],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = {row["contender"]: row for row in json.loads((tmp_path / "b.json").read_text())["rows"]}
    assert rows["onnxruntime"]["milliseconds"]["total"]["p50"] > 0
    for name in ("spconv", "torch-gather"):
        assert "cannot run here" in rows[name]["error"]
        assert "torch" in rows[name]["error"]
    assert "generated, grown to 1,500: 1,500 points" in done.stdout
    assert "not measured:\n  spconv: engine 'spconv' cannot run here" in done.stdout


def test_the_command_is_listed(capsys):
    assert main("wsss_perception", COMMANDS, ["--help"]) == 0
    assert "  benchmark " in capsys.readouterr().out
