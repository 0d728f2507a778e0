"""The node as a process of its own, spoken to over DDS."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="rclpy is not installed: make install")

from node_process import START_TIMEOUT, NodeProcess  # noqa: E402
from rclpy.qos import ReliabilityPolicy  # noqa: E402
from sensor_msgs.msg import PointCloud2  # noqa: E402

from wsss_perception.bundle import Bundle, default_bundle, read_caution  # noqa: E402
from wsss_perception.engines import load_engine  # noqa: E402
from wsss_perception.frame import Frame, PointCloud  # noqa: E402
from wsss_perception.messages.point_cloud2 import decode, encode_cloud  # noqa: E402
from wsss_perception.ros.session import MESSAGE_TYPES as TYPES  # noqa: E402
from wsss_perception.segmenter import Segmenter  # noqa: E402


@pytest.fixture(scope="module")
def node(nodes: Callable[..., NodeProcess], bundle: Bundle) -> NodeProcess:
    return nodes(f"model:={bundle.folder}", "device:=cpu")


@pytest.fixture(scope="module")
def segmenter(bundle: Bundle) -> Segmenter:
    return Segmenter(bundle.spec, load_engine("spconv", bundle, "cpu"))


def check_answer(answer: PointCloud2, message: PointCloud2, segmenter: Segmenter) -> None:
    """The input's points in order, its header and fields, and the labels of the segmenter."""
    before, after = decode(message), decode(answer)
    assert answer.header == message.header
    assert (answer.height, answer.width) == (message.height, message.width)
    np.testing.assert_array_equal(after.xyz, before.xyz)
    np.testing.assert_array_equal(after.channels["intensity"], before.channels["intensity"])
    expected = segmenter(Frame(before))
    agreement = np.count_nonzero(after.channels["label"] == expected.labels)
    assert agreement >= 0.999 * len(before)
    assert set(after.channels) == {"intensity", "label", "confidence", "seen", "rgb"}


def test_node_answers_a_cloud_point_by_point(node, make_message, segmenter):
    message = make_message(TYPES)
    check_answer(node.segment(message), message, segmenter)


def test_node_answers_odd_clouds(node, make_message, odd_cloud, segmenter):
    message = make_message(TYPES)
    odd_cloud(message)
    check_answer(node.segment(message), message, segmenter)


def test_node_names_what_is_wrong_with_bad_clouds_and_goes_on(node, make_message, bad_clouds):
    for damage, reason in bad_clouds.values():
        message = make_message(TYPES)
        damage(message)
        node.publish_until_logged(message, reason)
    node.segment(make_message(TYPES))


def test_node_changes_min_confidence_while_it_runs(node, make_message):
    assert node.set_parameter("min_confidence", 1.0) == ""
    labels = decode(node.segment(make_message(TYPES))).channels["label"]
    assert (labels == 255).all()
    assert "out of range" in node.set_parameter("min_confidence", 1.5)
    assert node.set_parameter("min_confidence", 0.0) == ""


def test_node_logs_its_engine_and_why_it_is_no_better_one(node):
    assert "engine spconv, fp32 on cpu" in node.log()
    assert re.search(r"\[INFO\].*engine spconv is used instead: engine 'tensorrt'", node.log())


@pytest.mark.parametrize("name", ["engine", "precision"])
def test_node_refuses_another_engine_while_it_runs(node, name):
    assert "read-only" in node.set_parameter(name, "other")


def test_node_warns_once_of_a_foreign_intensity_scale(node, make_message):
    assert "intensity_scale" not in node.log()
    for _ in range(2):
        message = make_message(TYPES)
        np.frombuffer(message.data, np.float32).reshape(-1, 4)[:, 3] *= 255
        node.segment(message)
    assert node.log().count("set 'intensity_scale'") == 1


@pytest.mark.real_data
def test_node_answers_real_sweeps(node, data_root, segmenter):
    folder = data_root / "kitti_raw" / "2011_09_26"
    for path in sorted(folder.glob("*/velodyne_points/data/*.bin"))[:2]:
        points = np.fromfile(path, np.float32).reshape(-1, 4)
        cloud = PointCloud(points[:, :3], {"intensity": points[:, 3]}, 0, "velodyne")
        message = encode_cloud(cloud, TYPES)
        check_answer(node.segment(message), message, segmenter)


def test_node_takes_the_newest_of_a_burst(node, make_message):
    node.segment(make_message(TYPES))
    node.answers.clear()
    messages = [make_message(TYPES) for _ in range(30)]
    for message in messages:
        node.publish(message)
    node.answer_to(messages[-1])
    stamps = [(m.header.stamp.sec, m.header.stamp.nanosec) for m in node.answers]
    assert stamps == sorted(stamps)
    assert len(stamps) < len(messages)


def test_node_stops_on_sigterm_with_every_cloud_accounted_for(node):
    assert node.stop(signal.SIGTERM) == 0
    assert "Traceback" not in node.log()
    counts = node.counters()
    assert counts["received"] == counts["published"] + counts["dropped"] + counts["failed"]
    assert counts["published"] > 0
    assert counts["dropped"] > 0  # those of the burst
    assert counts["failed"] > 0


def test_node_hears_best_effort_publishers_and_stops_on_sigint(nodes, bundle, make_message):
    node = nodes(
        f"model:={bundle.folder}",
        "device:=cpu",
        "reliability:=best_effort",
        reliability=ReliabilityPolicy.BEST_EFFORT,
    )
    node.segment(make_message(TYPES))
    assert "is best-effort: so is the subscription now" in node.log()
    for _ in range(10):
        node.publish(make_message(TYPES))
    assert node.stop(signal.SIGINT) == 0
    counts = node.counters()
    assert counts["published"] >= 1
    assert counts["received"] == counts["published"] + counts["dropped"] + counts["failed"]
    assert "Traceback" not in node.log()


def test_node_without_a_model_runs_the_default_one_and_logs_its_caution(nodes, make_message):
    folder = default_bundle()
    node = nodes("device:=cpu")
    message = make_message(TYPES)
    assert len(decode(node.segment(message))) == len(decode(message))
    (line,) = re.findall(r"default model .*", node.log())
    assert str(folder) in line
    assert read_caution(folder) in line
    assert node.stop(signal.SIGTERM) == 0


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--ros-args", "-p", "model:=/nowhere"], "/nowhere: not a model bundle"),
        (["--ros-args", "-p", "min_confidence:=2.0"], "parameter 'min_confidence'"),
        (["--ros-args", "-p", "min_confidence:=1"], "write a DOUBLE with its point"),
        (["--ros-args", "-p", "reliability:=maybe"], "not one of reliable, best_effort"),
        (["--ros-args", "-p", "precision:=fp64"], "not one of auto, fp32, fp16"),
        (["--ros-args", "-p", "precision:=fp16", "-p", "engine:=spconv"], "fp32 alone on a CPU"),
        (["--ros-args", "-p", "model"], "ROS arguments --ros-args -p model"),
    ],
)
def test_node_that_cannot_start_says_why(words, reason, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "wsss_perception", "segment", *words],
        env={**os.environ, "ROS_LOG_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=START_TIMEOUT,
    )
    assert done.returncode == 2
    assert reason in done.stderr
    assert "Traceback" not in done.stderr
