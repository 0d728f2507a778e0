import os
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
from made_networks import write_random

from wsss_perception.benchmark import suite
from wsss_perception.benchmark.inputs import Source
from wsss_perception.benchmark.measure import Job, Row
from wsss_perception.benchmark.suite import run, run_all

JOB = Job("onnxruntime", "bundle", Source(points=2000), "cpu", threads=1, clouds=2)


@pytest.fixture
def job(tmp_path):
    return replace(JOB, bundle=str(write_random(tmp_path / "bundle")[0].folder))


def test_a_job_runs_in_a_process_of_its_own(job):
    row = run(job)
    assert row.error is None
    assert (row.contender, row.is_peer, row.device, row.precision) == (
        *("onnxruntime", False, "cpu", "fp32"),
    )
    assert (row.points, row.clouds) == (2000, 2)
    assert 0 < row.voxels <= 2000
    assert row.milliseconds["total"]["p50"] > row.milliseconds["network"]["p50"] > 0
    assert 0 < row.loaded_memory <= row.peak_memory


def test_what_fails_there_is_told_in_the_row(job):
    row = run(replace(job, device="cuda"))
    assert "has no CUDA" in row.error
    assert (row.milliseconds, row.load_seconds, row.points) == ({}, None, 2000)
    row = run(replace(job, bundle="absent"))
    assert "absent: not a model bundle" in row.error


def test_a_cloud_beyond_an_engines_bound_is_a_row(job, tmp_path):
    """Whatever the engine says, in its words."""
    (tmp_path / "sitecustomize.py").write_text(
        "from wsss_perception.engines import limits\nlimits._MOST_VALUES = 10**5\n"
    )
    path = os.pathsep.join([str(tmp_path), *sys.path])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", path)
        row = run(job)
    assert "voxels are more than the" in row.error
    assert row.load_seconds is not None


@pytest.mark.parametrize(
    ("script", "reason"),
    [("kill -9 $$", "ended by SIGKILL, most likely for want of memory"), ("exit 7", "status 7")],
)
def test_a_process_that_dies_gives_a_row_too(tmp_path, monkeypatch, script, reason):
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(suite.sys, "executable", str(program))
    row = run(JOB)
    assert reason in row.error
    assert row.input == "generated, grown to 2,000"


def test_threads_reach_every_library(monkeypatch):
    seen = {}

    def spawn(words, env, **_):
        seen.update(env)
        return SimpleNamespace(returncode=1)

    monkeypatch.setattr(subprocess, "run", spawn)
    run(replace(JOB, threads=3))
    names = "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"
    assert [seen[name] for name in names] == ["3"] * 3
    assert seen["PATH"] == os.environ["PATH"]


def test_who_cannot_be_loaded_is_tried_once_but_whoever_fails_at_a_size_again(monkeypatch):
    tried = []

    def fail(job):
        tried.append((job.contender, job.source.points))
        known = {"points": 5, "load_seconds": None if job.contender == "tensorrt" else 0.1}
        if job.contender == "spconv":
            known = {"points": None}  # its process died
        return replace(Row.of(job, f"no {job.contender}"), **known)

    monkeypatch.setattr(suite, "run", fail)
    names = "tensorrt", "onnxruntime", "spconv"
    jobs = [replace(JOB, contender=n, source=Source(points=k)) for k in (1, 2) for n in names]
    rows = run_all(jobs)
    assert tried == [(n, k) for k in (1, 2) for n in names if (n, k) != ("tensorrt", 2)]
    assert [row.error for row in rows] == [f"no {name}" for name in names] * 2
    assert [row.input for row in rows] == ["generated, grown to 1"] * 3 + [
        "generated, grown to 2"
    ] * 3
