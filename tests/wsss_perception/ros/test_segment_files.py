"""The files beside the node, which must say what the node does."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from rosbags.typesys import Stores, get_typestore

from wsss_perception.frame import SemanticCloud
from wsss_perception.messages.point_cloud2 import decode, encode_semantic

ROOT = Path(__file__).parents[3]
TYPES = get_typestore(Stores.ROS2_JAZZY).types


@pytest.fixture
def displays() -> dict[str, dict]:
    text = (ROOT / "config" / "rviz" / "segment.rviz").read_text()
    displays = yaml.safe_load(text)["Visualization Manager"]["Displays"]
    return {display["Name"]: display for display in displays}


def test_rviz_shows_the_colors_the_node_publishes(displays, spec, make_message):
    display = displays["Semantic points"]
    assert display["Enabled"]
    assert display["Class"] == "rviz_default_plugins/PointCloud2"
    assert display["Topic"]["Value"] == "semantic_points"
    assert display["Color Transformer"] == "RGB8"  # takes the field named rgb
    message = make_message(TYPES)
    zeros = np.zeros(len(decode(message)), dtype=np.uint8)
    semantic = SemanticCloud(zeros, zeros.astype(np.float32), zeros)
    fields = encode_semantic(message, semantic, spec.ontology.palette()).fields
    assert "rgb" in [field.name for field in fields]


def test_rviz_can_show_the_input(displays, make_message):
    display = displays["Input points"]
    assert not display["Enabled"]
    assert display["Topic"]["Value"] == "points"
    fields = [field.name for field in make_message(TYPES).fields]
    assert display["Channel Name"] in fields


def test_parameter_file_lists_every_parameter_with_its_default():
    pytest.importorskip("rclpy", reason="rclpy is not installed: make install")
    from wsss_perception.ros.parameters import PARAMETERS

    data = yaml.safe_load((ROOT / "config" / "segment.yaml").read_text())
    values = data["/**/segment"]["ros__parameters"]
    assert values == {parameter.name: parameter.default for parameter in PARAMETERS}
    for parameter in PARAMETERS:  # ROS refuses an integer for a float
        assert type(values[parameter.name]) is type(parameter.default)


def test_launch_file_compiles():
    path = ROOT / "launch" / "segment.launch.py"
    compile(path.read_text(), str(path), "exec")
