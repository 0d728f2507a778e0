"""A bag through player, node and recorder, and pictures of what was recorded."""

import os
import signal
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rosbags.typesys import Stores, get_typestore

pytest.importorskip("rclpy", reason="rclpy is not installed: make install")

from wsss_perception.bag import BagWriter, draw_recorded, open_bag, segment_bag
from wsss_perception.bundle import Bundle
from wsss_perception.engines import load_engine
from wsss_perception.errors import BagError, RosError
from wsss_perception.messages.point_cloud2 import decode
from wsss_perception.ros import replay
from wsss_perception.ros.replay import find_warnings, segment_live
from wsss_perception.ros.status import REPORT_PERIOD
from wsss_perception.segmenter import Segmenter

STORE = get_typestore(Stores.ROS2_JAZZY)
CLOUDS, PERIOD, START = 4, 200_000_000, 1_700_000_000_000_000_000


@pytest.fixture
def bag(tmp_path: Path, make_message: Any) -> Path:
    with BagWriter(tmp_path / "bag", "mcap", STORE) as writer:
        points = writer.add_topic("/lidar/points", "sensor_msgs/msg/PointCloud2")
        for number in range(CLOUDS):
            stamp = START + number * PERIOD
            writer.write(points, stamp, make_message(STORE.types, stamp))
    return tmp_path / "bag"


def labels(path: Path) -> list[np.ndarray]:
    with open_bag(path) as bag:
        messages = bag.messages(bag.on_topic("/lidar/semantic_points"))
        return [decode(bag.deserialize(message)).channels["label"] for message in messages]


def test_warnings_of_a_node_are_found_each_once():
    output = (
        "[INFO] [1700000000.1] [segment]: publishing on /points\n"
        "[WARN] [1700000000.2] [segment]: the median intensity is 70: scale it\n"
        "[ERROR] [1700000000.3] [segment.rclpy]: a cloud failed\n"
        "[WARN] [1700000000.4] [segment]: the median intensity is 70: scale it\n"
        "a line of a library [WARN] in its own words\n"
    )
    found = find_warnings(output)
    assert found == ("the median intensity is 70: scale it", "a cloud failed")


def test_the_live_node_labels_every_cloud_like_segment_bag(bag, bundle: Bundle, tmp_path):
    counts = segment_live(bag, bundle.folder, tmp_path / "live", rate=0.1)
    assert (counts.played, counts.recorded) == (CLOUDS, CLOUDS)
    assert counts.node_summary.startswith(f"{CLOUDS} received, {CLOUDS} published, 0 dropped")
    assert {path.name for path in tmp_path.iterdir()} == {"bag", "live"}
    segmenter = Segmenter(bundle.spec, load_engine("spconv", bundle, "cpu"))
    segment_bag(bag, tmp_path / "plain", segmenter)
    expected = np.concatenate(labels(tmp_path / "plain"))
    assert np.count_nonzero(np.concatenate(labels(tmp_path / "live")) != expected) <= 1
    drawn = draw_recorded(bag, tmp_path / "live", tmp_path / "pages", bundle.spec.ontology, 2)
    assert (drawn.clouds, drawn.joined, drawn.foreign, drawn.drawn) == (CLOUDS, CLOUDS, 0, 2)
    with Image.open(tmp_path / "pages" / "000002.png") as page:
        assert page.size[0] == 1600


def test_a_node_that_cannot_start_is_quoted_and_nothing_is_left(bag, tmp_path):
    with pytest.raises(RosError, match=r"'segment' ended early(.|\n)*absent: not a model bundle"):
        segment_live(bag, tmp_path / "absent", tmp_path / "live")
    assert [path.name for path in tmp_path.iterdir()] == ["bag"]


def test_an_output_that_exists_is_kept(bag, tmp_path):
    (tmp_path / "live").write_text("mine")
    with pytest.raises(BagError, match="live: exists"):
        segment_live(bag, tmp_path / "absent", tmp_path / "live")
    assert (tmp_path / "live").read_text() == "mine"


def test_a_bag_without_clouds_is_refused(tmp_path):
    with BagWriter(tmp_path / "bag", "mcap", STORE) as writer:
        writer.add_topic("/lidar/points", "sensor_msgs/msg/PointCloud2")
    with pytest.raises(BagError, match="bag: has no clouds on /lidar/points"):
        segment_live(tmp_path / "bag", tmp_path / "absent", tmp_path / "live")


@pytest.fixture
def sleepers(tmp_path_factory, monkeypatch) -> list[subprocess.Popen]:
    """Stands in for Python, so that what segment_live starts only sleeps; returns it."""
    sleeper = tmp_path_factory.mktemp("bin") / "python"
    sleeper.write_text("#!/bin/sh\nexec sleep 60\n")
    sleeper.chmod(0o755)
    started: list[subprocess.Popen] = []
    popen = subprocess.Popen

    def start(*words: Any, **options: Any) -> subprocess.Popen:
        started.append(popen(*words, **options))
        return started[-1]

    monkeypatch.setattr(replay.sys, "executable", str(sleeper))
    monkeypatch.setattr(replay.subprocess, "Popen", start)
    return started


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_other_processes_and_leaves_nothing(
    bag, sleepers, tmp_path, monkeypatch, number
):
    def fail(number: int, _frame: object) -> None:
        raise AssertionError(f"signal {number} was not caught")

    def send(_seconds: float) -> None:
        os.kill(os.getpid(), number)

    monkeypatch.setattr(replay, "time", SimpleNamespace(monotonic=time.monotonic, sleep=send))
    before = signal.signal(number, fail)
    try:
        with pytest.raises(SystemExit) as stop:
            segment_live(bag, tmp_path / "absent", tmp_path / "live")
        assert signal.getsignal(number) is fail
    finally:
        signal.signal(number, before)
    assert stop.value.code == 128 + number
    assert [process.returncode for process in sleepers] == [-signal.SIGKILL] * 2
    assert [path.name for path in tmp_path.iterdir()] == ["bag"]


def test_a_hangup_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with replay._exit_on_signals():
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("own", [None, "1", "42", "100", "101"])
def test_the_domain_is_never_the_users(own, tmp_path, monkeypatch):
    monkeypatch.delenv("ROS_DOMAIN_ID", raising=False)
    monkeypatch.setenv("ROS_STATIC_PEERS", "10.0.0.7")
    if own is not None:
        monkeypatch.setenv("ROS_DOMAIN_ID", own)
    domains = set()
    for pid in range(1000, 1101):
        monkeypatch.setattr(replay.os, "getpid", lambda pid=pid: pid)
        environment = replay._environment(tmp_path)
        assert "ROS_STATIC_PEERS" not in environment
        domains.add(environment["ROS_DOMAIN_ID"])
    assert domains == {str(n) for n in range(1, 102)} - {own}


BUSY, IDLE = "0.2 clouds/s in, 0.2 out\n", "no cloud on /points in the last 5 s\n"


@pytest.mark.parametrize(
    ("log", "seconds"),
    [
        (
            [(0, BUSY), (0, IDLE), (3, BUSY), (8, IDLE)],
            8,
        ),  # the last cloud came after the idle line
        ([(0, BUSY), (2, BUSY), (7, IDLE), (7, "a warning\n")], 7),
        ([(0, BUSY), (0, IDLE)], 2 * REPORT_PERIOD),  # the bag goes on without clouds
        ([(0, BUSY)], replay.DRAIN_TIMEOUT),
    ],
)
def test_the_node_may_finish_the_clouds_that_are_under_way(log, seconds, monkeypatch):
    now = [100.0]

    def sleep(duration: float) -> None:
        now[0] += duration

    def output() -> str:
        return "".join(line for second, line in log if now[0] >= 100 + second)

    monkeypatch.setattr(replay, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=sleep))
    node = SimpleNamespace(check_alive=lambda: None, output=output)
    replay._drain(node, SimpleNamespace(has_ended=lambda: False))
    assert now[0] - 100 == pytest.approx(seconds, abs=0.2)
