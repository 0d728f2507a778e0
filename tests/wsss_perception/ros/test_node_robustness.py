"""What a robot's day does to the node: crashes, neighbours, new models, damaged messages."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: make install")

from node_process import ANSWER_TIMEOUT, START_TIMEOUT, NodeProcess
from rosgraph_msgs.msg import Clock
from std_srvs.srv import Trigger

from wsss_perception.bag.reader import open_bag
from wsss_perception.bundle import Bundle, ModelSpec, write_bundle
from wsss_perception.engines import load_engine
from wsss_perception.frame import Frame
from wsss_perception.messages.point_cloud2 import decode
from wsss_perception.ontology import load_ontology
from wsss_perception.ros.session import MESSAGE_TYPES as TYPES
from wsss_perception.segmenter import Segmenter

ROOT = Path(__file__).parents[3]
SHARED_MEMORY = Path("/dev/shm")
CLOUDS = 10
SWAPS = 20
BENCHMARK_TIMEOUT = 900.0


@pytest.fixture(scope="module")
def other_bundle(spec: ModelSpec, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle of other classes and weights."""
    import torch
    from safetensors.torch import save

    from wsss_perception.networks.minkunet import MinkUNet

    other = replace(spec, ontology=load_ontology("nuscenes"))
    torch.manual_seed(1)
    network = MinkUNet(other.network, len(other.features), len(other.ontology))
    folder = tmp_path_factory.mktemp("models") / "other"
    return write_bundle(folder, other, {"weights.safetensors": save(network.state_dict())})


@pytest.fixture(scope="module")
def node(nodes: Callable[..., NodeProcess], bundle: Bundle) -> NodeProcess:
    return nodes(f"model:={bundle.folder}", "device:=cpu")


def expected_labels(bundle: Bundle, message: Any) -> np.ndarray:
    segmenter = Segmenter(bundle.spec, load_engine("spconv", bundle, "cpu"))
    return segmenter(Frame(decode(message))).labels


def labels_of(answer: Any) -> np.ndarray:
    return decode(answer, ["label"]).channels["label"].astype(np.uint8)


def agree(labels: np.ndarray, expected: np.ndarray) -> bool:
    return bool(np.count_nonzero(labels == expected) >= 0.99 * len(expected))


def shared_memory_of(pid: int) -> set[Path]:
    """Shared memory that a process of Fast DDS has made: it holds the lock of each segment."""
    opened = {Path(os.path.realpath(path)) for path in Path(f"/proc/{pid}/fd").iterdir()}
    locks = {path.name for path in opened if path.parent == SHARED_MEMORY}
    segments = {name.removesuffix("_el") for name in locks if "_port" not in name}
    return {SHARED_MEMORY / name for name in segments}


def segment_anew(node: NodeProcess, message: Any) -> None:
    """Publishes clouds until one is answered: the first ones may be earlier than the discovery."""
    before, deadline = len(node.answers), time.monotonic() + ANSWER_TIMEOUT
    while len(node.answers) == before:
        assert time.monotonic() < deadline, node.log()
        node.publish(message)
        node.spin_until(lambda: len(node.answers) > before, 0.5, fail=False)


def stamp_of(message: Any) -> tuple[int, int]:
    return message.header.stamp.sec, message.header.stamp.nanosec


def recorded_bytes(folder: Path) -> int:
    """What a recorder has written so far: whole chunks of about 100 clouds."""
    return sum(path.stat().st_size for path in folder.rglob("*.mcap"))


def segment_until_recorded(node: NodeProcess, message: Any, folder: Path) -> set[tuple[int, int]]:
    """Publishes clouds until a recorder has written some; returns the stamps of the answers."""
    before = recorded_bytes(folder)
    answers = node.segment_until(message, lambda: recorded_bytes(folder) > before)
    return {stamp_of(answer) for answer in answers}


def test_killed_node_serves_the_same_clients_again_and_leaves_nothing(node, make_message, tmp_path):
    message = make_message(TYPES)
    words = [sys.executable, "-m", "wsss_perception", "record-bag", str(tmp_path / "bag")]
    environment = {**os.environ, "ROS_DOMAIN_ID": str(node.domain)}
    node.client.create_publisher(Clock, "clock", 1)  # a recorder ends with the last publisher
    recorder = subprocess.Popen([*words, "/semantic_points", "/clock"], env=environment)
    try:
        lives = [segment_until_recorded(node, message, tmp_path)]
        own = shared_memory_of(node.process.pid)
        for _ in range(CLOUDS):  # they are being worked on
            node.publish(message)
        node.process.kill()
        node.process.wait()
        node.restart()
        node.wait_until_active()
        segment_anew(node, message)
        lives.append(segment_until_recorded(node, message, tmp_path))
        assert own
        # Those who read from the dead node look every 5 s whether it still holds its locks.
        node.spin_until(lambda: not any(path.exists() for path in own), ANSWER_TIMEOUT)
    finally:
        recorder.send_signal(signal.SIGINT)
        assert recorder.wait(START_TIMEOUT) == 0
    with open_bag(tmp_path / "bag") as bag:
        recorded = [stamp_of(bag.deserialize(message)) for message in bag.messages()]
    assert recorded == sorted(set(recorded))
    assert all(life.intersection(recorded) for life in lives)


def test_model_swaps_under_load_lose_no_cloud(nodes, make_message, bundle, other_bundle):
    node = nodes(f"model:={bundle.folder}", "device:=cpu")
    message = make_message(TYPES)
    expected = [expected_labels(each, message) for each in (bundle, other_bundle)]
    assert not agree(*expected)
    client = node.client.create_client(Trigger, "segment/load_model")
    node.spin_until(client.service_is_ready, ANSWER_TIMEOUT)
    answers = []
    for swap in range(SWAPS):
        after = (swap + 1) % 2
        node.set_parameter("model", str((bundle, other_bundle)[after].folder))
        loaded = client.call_async(Trigger.Request())
        answers += node.segment_until(message, loaded.done)
        assert loaded.result().success, loaded.result().message
        answers.append(node.segment(message))
        assert agree(labels_of(answers[-1]), expected[after])
    assert node.answers == answers
    assert all(any(agree(labels_of(a), each) for each in expected) for a in answers)
    assert node.stop(signal.SIGTERM) == 0
    counts = node.counters()
    assert (counts["dropped"], counts["failed"], counts["lost"]) == (0, 0, 0)
    assert counts["received"] == counts["published"] == len(answers)


def test_two_nodes_in_one_domain_do_not_mix(nodes, make_message, bundle, other_bundle):
    both = (bundle, other_bundle)
    first = nodes(f"model:={bundle.folder}", "device:=cpu", namespace="first")
    second = nodes(
        f"model:={other_bundle.folder}", "device:=cpu", namespace="second", domain=first.domain
    )
    pair = (first, second)
    message = make_message(TYPES)
    expected = [expected_labels(each, message) for each in both]
    for _ in range(CLOUDS):
        for node, name, labels in zip(pair, ("first", "second"), expected, strict=True):
            message.header.frame_id = name
            assert agree(labels_of(node.segment(message)), labels)
    for node, name in zip(pair, ("first", "second"), strict=True):
        assert {answer.header.frame_id for answer in node.answers} == {name}
        assert len(node.answers) == CLOUDS
    for node in pair:
        assert node.stop(signal.SIGTERM) == 0
        assert node.counters()["received"] == CLOUDS


def run_benchmark(name: str, target: Path, *options: str) -> tuple[int, dict[str, Any], str]:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests' / 'helpers'}"}
    words = [sys.executable, str(ROOT / "benchmarks" / name), "--json", str(target), *options]
    process = subprocess.Popen(
        words,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=BENCHMARK_TIMEOUT)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)  # its node and its cameras, too
        process.communicate()
        raise
    assert target.exists(), out + err
    return process.returncode, json.loads(target.read_text()), out


def test_damaged_messages_neither_end_the_node_nor_change_a_cloud(tmp_path):
    options = ("--messages", "120", "--pause", "0.1")
    status, result, printed = run_benchmark("node_fuzz.py", tmp_path / "fuzz.json", *options)
    assert status == 0, printed
    assert result["live"]["counts"]["failed"] > 0
    assert result["live"]["counts"]["answered"] > 5
    assert {name.split()[0] for name in result["directly"]["counts"]} == {
        *("cloud", "image", "compressed", "info", "transforms", "calibration")
    }


def test_camera_that_dies_and_returns_costs_no_cloud(tmp_path):
    _, result, printed = run_benchmark(
        "node_soak.py", tmp_path / "soak.json", "--frames", "150", "--points", "1000"
    )
    kept = result["bounds"]
    for name in (
        "received = published + dropped + failed",
        "none failed",
        "the camera was used, lost, and used again",
        "the node ended well",
    ):
        assert kept[name], printed  # a run of seconds says nothing of memory and threads
    assert result["values"]["clouds published"] >= 30  # ten answers in each third
    assert result["values"]["messages of overlay"] > 0
