import hashlib
import json

import pytest
from made_networks import write_random

from wsss_perception.benchmark import machine
from wsss_perception.benchmark.measure import Row
from wsss_perception.benchmark.report import describe_run, format_report, write_json


def times(p50):
    return {"p50": p50, "p95": p50 + 1, "p99": p50 + 2}


ROWS = [
    Row("spconv", False, "here", "cpu", "fp32", 9, 1200, 800, 2, 0.5, {}, 1_000_000, 7_000_000),
    Row("bare-spconv", True, "here", "cpu", "fp32", 9, 1200, 800, 2, 0.5, {"network": times(5.5)}),
    Row("tensorrt", False, "here", error="no GPU"),
    Row("tensorrt", False, "there", error="no GPU"),
    Row("spconv", False, "there", error="too large"),
]
ROWS[0].milliseconds = {"decode": times(1.25), "network": times(6.5), "total": times(9.75)}


@pytest.fixture
def description(tmp_path):
    bundle, _ = write_random(tmp_path / "bundle")
    return describe_run(bundle, 2)


def test_the_table_has_a_column_for_each_stage_that_was_measured(description):
    lines = format_report(description, ROWS).splitlines()
    start = lines.index("here: 1,200 points, 800 voxels a cloud, 2 views")
    assert lines[start + 1].split() == [
        *("ms", "decode", "network", "total", "loaded", "MB", "peak", "MB"),
    ]
    who, values = lines[start + 2].split(" p50 ")
    assert who.strip() == "spconv, fp32 on cpu"
    assert values.split() == ["1.25", "6.50", "9.75", "1", "7"]
    assert lines[start + 4].split() == ["p99", "3.25", "8.50", "11.75"]
    column = lines[start + 1].index("network") + len("network")
    assert lines[start + 5][column - 4 : column] == "5.50"
    assert lines[start + 5].endswith("5.50")


def test_who_could_not_be_measured_is_listed_with_the_reason(description):
    text = format_report(description, ROWS)
    assert "there: nothing was measured" in text
    assert text.split("not measured:\n")[1].splitlines() == [
        *("  tensorrt: no GPU", "  spconv on there: too large"),
    ]
    assert "not measured" not in format_report(description, ROWS[:2])


def test_the_head_tells_machine_model_and_threads(description):
    text = format_report(description, ROWS)
    assert f"{machine.usable_cores()} cores" in text
    assert "small, width 0.5, voxels of 0.2 m; 2 threads" in text


def test_the_json_holds_all_that_a_figure_depends_on(description, tmp_path):
    write_json(tmp_path / "b.json", description, ROWS)
    found = json.loads((tmp_path / "b.json").read_text())
    model = (tmp_path / "bundle" / "model.yaml").read_bytes()
    assert found["bundle"]["sha256"] == hashlib.sha256(model).hexdigest()
    assert found["threads"] == 2
    assert {"numpy", "python", "torch", "onnxruntime"} <= set(found["libraries"])
    assert found["machine"]["cpu"]
    assert found["date"].startswith("20")
    assert [Row(**row) for row in found["rows"]] == ROWS


def test_a_json_that_cannot_be_written_leaves_the_old_one(description, tmp_path, monkeypatch):
    path = tmp_path / "b.json"
    path.write_text("old")

    def fail(self, target):
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(OSError, match="No space left"):
        write_json(path, description, ROWS)
    assert path.read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b.json", "bundle"]


@pytest.fixture
def nvidia_smi(tmp_path, monkeypatch):
    """A driver's program that tells of two GPUs, which CUDA counts the other way round."""
    program = tmp_path / "nvidia-smi"
    program.write_text(
        '#!/bin/sh\ncase "$1$3" in *=name) echo "Made-up A"; echo "Made-up B";; '
        "*=memory.used--id=0000:01:00.0) echo 250;; *=memory.used--id=0000:02:00.0) echo 100;; "
        '*=memory.used--id=*) echo "[N/A]";; *) exit 6;; esac\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    places = {0: "0000:02:00.0", 1: "0000:01:00.0", 3: "0000:03:00.0"}
    monkeypatch.setattr(machine, "pci_address", places.get)
    return program


def test_gpus_and_their_memory_are_those_of_the_driver(nvidia_smi):
    assert machine.describe_machine()["gpus"] == ["Made-up A", "Made-up B"]
    assert machine.gpu_memory("cuda:1") == 250 * 2**20
    assert machine.gpu_memory("cuda") == 100 * 2**20
    assert machine.gpu_memory("cuda:2") is None
    assert machine.gpu_memory("cuda:3") is None  # [N/A], as of a Jetson
    assert machine.gpu_memory("cpu") is None
    nvidia_smi.write_text("#!/bin/sh\nexit 9\n")
    assert machine.gpu_memory("cuda:1") is None
    assert machine.describe_machine()["gpus"] == []


def test_percentiles_that_no_row_has_take_no_line(description):
    row = Row("spconv", False, "here", "cpu", "fp32", 9, 1200, 800)
    row.milliseconds = {"total": {"p50": 1.0, "max": 2.5}}
    lines = format_report(description, [row]).splitlines()
    assert [line.split()[-2:] for line in lines[-2:]] == [["p50", "1.00"], ["max", "2.50"]]
    assert not any("p95" in line or "p99" in line for line in lines)


def test_cores_are_no_more_than_a_containers_quota(monkeypatch):
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda process: set(range(8)))
    for quota, expected in ((None, 8), (2.5, 3), (0.5, 1), (16.0, 8)):
        monkeypatch.setattr(machine.cgroup, "cores", lambda quota=quota: quota)
        assert machine.usable_cores() == expected


def test_a_board_without_a_model_name_of_its_cpu_is_named_by_its_maker(tmp_path, monkeypatch):
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nBogoMIPS\t: 62\n")
    (tmp_path / "model").write_bytes(b"NVIDIA Jetson AGX Orin\0")
    monkeypatch.setattr(machine, "_CPU_FILE", tmp_path / "cpuinfo")
    monkeypatch.setattr(machine, "_BOARD_FILE", tmp_path / "model")
    assert machine.describe_machine()["cpu"] == "NVIDIA Jetson AGX Orin"
    monkeypatch.setattr(machine, "_BOARD_FILE", tmp_path / "absent")
    assert machine.describe_machine()["cpu"]
