"""The files beside the node, which must say what the node does."""

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from rosbags.typesys import Stores, get_typestore

from wsss_perception.camera_topics import camera_namespace
from wsss_perception.engines import load_engine
from wsss_perception.errors import EngineError
from wsss_perception.frame import SemanticCloud
from wsss_perception.messages.point_cloud2 import decode, encode_semantic

ROOT = Path(__file__).parents[3]
CONFIG = ROOT / "config"
NODE_DOC = (ROOT / "docs" / "node.md").read_text()
TYPES = get_typestore(Stores.ROS2_JAZZY).types
PARAMETER_FILES = sorted(path.name for path in CONFIG.glob("*.yaml"))
LAYOUTS = sorted(path.name for path in (CONFIG / "rviz").glob("*.rviz"))


def read_layout(name: str) -> dict[str, Any]:
    return yaml.safe_load((CONFIG / "rviz" / name).read_text())


def read_displays(layout: str) -> dict[str, dict]:
    displays = read_layout(layout)["Visualization Manager"]["Displays"]
    return {display["Name"]: display for display in displays}


def images(layout: str) -> dict[str, dict]:
    return {
        name: display
        for name, display in read_displays(layout).items()
        if display["Class"] == "rviz_default_plugins/Image"
    }


def read_parameters(file: str) -> dict[str, Any]:
    """What a file gives the node; an empty list is written as one empty string."""
    values = yaml.safe_load((CONFIG / file).read_text())["/**/segment"]["ros__parameters"]
    return {name: [] if value == [""] else value for name, value in values.items()}


def doc_table(heading: str) -> list[list[str]]:
    """The rows of the first table below a heading of docs/node.md."""
    text = NODE_DOC.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    table = text[text.index("\n|") :].split("\n\n")[0].strip().splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]


@pytest.fixture
def declared() -> dict[str, Any]:
    pytest.importorskip("rclpy", reason="rclpy is not installed: make install")
    from wsss_perception.ros.parameters import PARAMETERS

    return {parameter.name: parameter for parameter in PARAMETERS}


def default(parameter: Any) -> Any:
    is_list = isinstance(parameter.default, tuple)
    return list(parameter.default) if is_list else parameter.default


def test_rviz_shows_the_colors_the_node_publishes(spec, make_message):
    displays = read_displays("segment.rviz")
    assert displays["Semantic points"]["Enabled"]
    for name in ("Semantic points", "Filtered points", "Ground points"):
        assert displays[name]["Class"] == "rviz_default_plugins/PointCloud2"
        assert displays[name]["Color Transformer"] == "RGB8"  # takes the field named rgb
    message = make_message(TYPES)
    zeros = np.zeros(len(decode(message)), dtype=np.uint8)
    semantic = SemanticCloud(zeros, zeros.astype(np.float32), zeros)
    fields = encode_semantic(message, semantic, spec.ontology.palette()).fields
    assert "rgb" in [field.name for field in fields]


def test_rviz_can_show_the_input(make_message):
    display = read_displays("segment.rviz")["Input points"]
    assert not display["Enabled"]
    assert display["Topic"]["Value"] == "points"
    fields = [field.name for field in make_message(TYPES).fields]
    assert display["Channel Name"] in fields


def test_rviz_keeps_the_node_from_computing_what_is_not_looked_at():
    displays = read_displays("segment.rviz")
    for name in ("Filtered points", "Ground points"):
        assert not displays[name]["Enabled"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rviz_gets_the_legend_though_it_starts_late(layout):
    topic = images(layout)["Legend"]["Topic"]
    assert topic["Value"] == "legend"
    assert topic["Durability Policy"] == "Transient Local"
    assert topic["Reliability Policy"] == "Reliable"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rviz_topics_are_those_of_the_node(layout):
    documented = {name for row in doc_table("Topics") for name in re.findall(r"`(.+?)`", row[0])}
    for name, display in read_displays(layout).items():
        if "Topic" in display:
            topic = display["Topic"]["Value"]
            assert re.sub("^overlay/.*", "overlay/<camera>", topic) in documented, name


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rviz_window_holds_every_image(layout):
    window = read_layout(layout)["Window Geometry"]["QMainWindow State"]
    for name in images(layout):  # Qt finds a pane again by its name, in UTF-16
        assert name.encode("utf-16-be").hex() in window


def test_rviz_layouts_differ_in_their_images_alone():
    one, six = (
        {k: v for k, v in read_displays(f"{name}.rviz").items() if k not in images(f"{name}.rviz")}
        for name in ("segment", "nuscenes")
    )
    assert one == six


def test_rviz_shows_the_overlays_of_the_cameras_of_nuscenes():
    topics = read_parameters("nuscenes.yaml")["image_topics"]
    cameras = {f"overlay/{camera_namespace(topic).lstrip('/')}" for topic in topics}
    shown = {display["Topic"]["Value"] for display in images("nuscenes.rviz").values()}
    assert shown == cameras | {"legend"}
    assert len(cameras) == 6


def test_parameter_file_lists_every_parameter_with_its_default(declared):
    values = read_parameters("segment.yaml")
    assert values == {name: default(parameter) for name, parameter in declared.items()}


@pytest.mark.parametrize("file", PARAMETER_FILES)
def test_parameter_files_fit_what_the_node_declares(declared, file):
    for name, value in read_parameters(file).items():
        assert name in declared
        parameter = declared[name]
        assert type(value) is type(default(parameter)), name  # ROS refuses 1 for 1.0
        assert not parameter.choices or value in parameter.choices
        if parameter.limits is not None:
            assert parameter.limits[0] <= value <= parameter.limits[1]


@pytest.mark.parametrize("file", PARAMETER_FILES)
def test_ros_reads_the_parameter_files_as_they_are_written(declared, file):
    from rclpy.context import Context
    from rclpy.node import Node

    from wsss_perception.ros.parameters import declare_parameters

    context = Context()
    context.init(args=[], domain_id=5 + os.getpid() % 80)
    try:
        words = ["--ros-args", "--params-file", str(CONFIG / file)]
        node = Node("segment", context=context, cli_args=words, start_parameter_services=False)
        declare_parameters(node)
        values = {name: node.get_parameter(name).value for name in declared}
        node.destroy_node()
    finally:
        context.try_shutdown()
    wanted = {name: default(parameter) for name, parameter in declared.items()}
    for name, value in (wanted | read_parameters(file)).items():
        assert values[name] == ([""] if value == [] else value)


def test_engine_may_be_each_that_there_is(declared):
    with pytest.raises(EngineError, match="known: ") as refused:
        load_engine("no engine", None)
    known = str(refused.value).partition("known: ")[2].split(", ")
    assert list(declared["engine"].choices) == known
    for name in known:
        assert name in declared["engine"].description
        assert f"`{name}`" in NODE_DOC


def test_document_tells_every_parameter_its_default_and_whether_it_can_change(declared):
    rows = {row[0].strip("`"): row for row in doc_table("Parameters")}
    assert list(rows) == list(declared)
    for name, (_, value, live, meaning) in rows.items():
        assert yaml.safe_load(value.strip("`")) == default(declared[name]), name
        assert live == ("" if declared[name].read_only else "live"), name
        assert meaning


def test_document_names_every_parameter_file_and_layout():
    for name in (*PARAMETER_FILES, *LAYOUTS):
        assert f"`{name}`" in NODE_DOC or f"/{name}`" in NODE_DOC


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "launch").glob("*.py")))
def test_launch_files_compile_and_are_documented(name):
    path = ROOT / "launch" / name
    compile(path.read_text(), str(path), "exec")
    assert name in NODE_DOC
