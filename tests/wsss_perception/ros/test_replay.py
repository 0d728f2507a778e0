"""A bag through player, node and recorder, and pictures of what was recorded."""

from pathlib import Path
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
from wsss_perception.ros.replay import segment_live
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


def test_the_live_node_labels_every_cloud_like_segment_bag(bag, bundle: Bundle, tmp_path):
    counts = segment_live(bag, bundle.folder, tmp_path / "live", rate=0.5)
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
