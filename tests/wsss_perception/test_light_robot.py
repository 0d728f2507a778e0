"""A robot without torch and spconv, as many embedded ones are."""

import subprocess
import sys
from pathlib import Path

import numpy as np
from made_networks import write_random
from rosbags.typesys import Stores, get_typestore

from wsss_perception.bag import BagWriter, open_bag
from wsss_perception.engines import load_engine
from wsss_perception.frame import Frame, PointCloud
from wsss_perception.messages import point_cloud2
from wsss_perception.segmenter import Segmenter

BLOCKED = """
import sys
for name in ("torch", "spconv", "spconv.pytorch", "cumm", "wsss_training"):
    sys.modules[name] = None  # an import of it fails
from wsss_perception.__main__ import COMMANDS
from wsss_perception.cli import main
sys.exit(main("wsss_perception", COMMANDS, sys.argv[1:]))
"""


def test_segment_bag_gives_the_same_labels_without_torch_and_spconv(tmp_path):
    store = get_typestore(Stores.ROS2_JAZZY)
    bundle, _ = write_random(tmp_path / "bundle")
    xyz = np.random.default_rng(0).normal(0, 8, (4000, 3)).astype(np.float32)
    cloud = PointCloud(xyz)
    with BagWriter(tmp_path / "in", "mcap", store) as writer:
        topic = writer.add_topic("/points", "sensor_msgs/msg/PointCloud2")
        writer.write(topic, 1, point_cloud2.encode_cloud(cloud, store.types))
    words = ["segment-bag", tmp_path / "in", tmp_path / "out", "--bundle", bundle.folder]
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = labels_of(tmp_path / "out")
    expected = Segmenter(bundle.spec, load_engine("spconv", bundle, "cpu"))(Frame(cloud)).labels
    assert len(np.unique(expected)) > 3
    assert (found == expected).mean() >= 0.999


def labels_of(path: Path) -> np.ndarray:
    with open_bag(path) as bag:
        (message,) = bag.messages(bag.on_topic("/semantic_points"))
        return point_cloud2.decode(bag.deserialize(message)).channels["label"]
