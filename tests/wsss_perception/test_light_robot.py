"""A robot without torch and spconv, as many embedded ones are."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from made_networks import write_answering, write_random
from rosbags.typesys import Stores, get_typestore

from wsss_perception.bag import BagWriter, open_bag
from wsss_perception.bundle import Bundle, read_bundle
from wsss_perception.engines import load_engine
from wsss_perception.frame import Frame, PointCloud
from wsss_perception.messages import point_cloud2
from wsss_perception.segmenter import Segmenter

LIGHT_ROBOT = Path(__file__).parents[1] / "helpers" / "light_robot.py"


def write_other_classes(folder: Path) -> tuple[Bundle, None]:
    """A bundle of a random network that answers texts, with classes set without torch."""
    bundle = write_answering(folder.with_name("answering"))[0]
    words = ["set-classes", bundle.folder, folder, "--classes", *bundle.spec.ontology.classes[::2]]
    run_light(*words)
    return read_bundle(folder), None


@pytest.mark.parametrize("write", [write_random, write_other_classes])
def test_segment_bag_gives_the_same_labels_without_torch_and_spconv(tmp_path, write):
    store = get_typestore(Stores.ROS2_JAZZY)
    bundle, _ = write(tmp_path / "bundle")
    with BagWriter(tmp_path / "in", "mcap", store) as writer:
        topic = writer.add_topic("/points", "sensor_msgs/msg/PointCloud2")
        writer.write(topic, 1, point_cloud2.encode_cloud(made_cloud(), store.types))
    run_light("segment-bag", tmp_path / "in", tmp_path / "out", "--bundle", bundle.folder)
    check(labels_of(tmp_path / "out"), bundle)


def test_node_gives_the_same_labels_without_torch_and_spconv(tmp_path, monkeypatch):
    pytest.importorskip("rclpy", reason="rclpy is not installed: make install")
    from node_process import NodeProcess

    from wsss_perception.ros.session import MESSAGE_TYPES

    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    bundle, _ = write_random(tmp_path / "bundle")
    message = point_cloud2.encode_cloud(made_cloud(), MESSAGE_TYPES)
    node = NodeProcess(tmp_path, f"model:={bundle.folder}", program=[str(LIGHT_ROBOT)])
    try:
        found = point_cloud2.decode(node.segment(message)).channels["label"]
        assert "engine onnxruntime, fp32 on cpu" in node.log()
        assert "engine onnxruntime is used instead: engine 'spconv' cannot run" in node.log()
        assert node.stop(signal.SIGTERM) == 0
    finally:
        node.close()
    check(found, bundle)


def run_light(*words: object) -> None:
    done = subprocess.run(
        [sys.executable, LIGHT_ROBOT, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def made_cloud() -> PointCloud:
    return PointCloud(np.random.default_rng(0).normal(0, 8, (4000, 3)).astype(np.float32))


def check(labels: np.ndarray, bundle: Bundle) -> None:
    """Compares labels of the made cloud to those of the trained network."""
    engine = load_engine("spconv", bundle, "cpu")
    expected = Segmenter(bundle.spec, engine)(Frame(made_cloud())).labels
    assert len(np.unique(expected)) > 3
    assert (labels == expected).mean() >= 0.999


def labels_of(path: Path) -> np.ndarray:
    with open_bag(path) as bag:
        (message,) = bag.messages(bag.on_topic("/semantic_points"))
        return point_cloud2.decode(bag.deserialize(message)).channels["label"]
