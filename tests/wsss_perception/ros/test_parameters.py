"""Parameters as a node reads them from a file."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: make install")

from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter

from wsss_perception.ros.parameters import declare_parameters, read_parameter


@pytest.fixture
def make_node(tmp_path: Path) -> Iterator[Callable[[str], Node]]:
    """Makes a node of the lines of a parameter file."""
    context = Context()
    context.init(args=[], domain_id=6 + os.getpid() % 80)
    nodes: list[Node] = []

    def make(text: str) -> Node:
        path = tmp_path / "parameters.yaml"
        path.write_text(f"/**/segment: {{ros__parameters: {{{text}}}}}\n")
        words = ["--ros-args", "--params-file", str(path)]
        node = Node("segment", context=context, cli_args=words, start_parameter_services=False)
        nodes.append(node)
        declare_parameters(node)
        return node

    yield make
    for node in nodes:
        node.destroy_node()
    context.try_shutdown()


def test_lists_may_be_empty(make_node):
    node = make_node('image_topics: [], filter_classes: [], ground_classes: [""]')
    for name in ("image_topics", "filter_classes", "ground_classes"):
        assert read_parameter(node, name) == ()
    (result,) = node.set_parameters([Parameter("filter_classes", value=["car"])])
    assert result.successful, result.reason
    assert read_parameter(node, "filter_classes") == ("car",)


def test_home_may_be_written_as_in_a_shell(make_node, monkeypatch):
    monkeypatch.setenv("HOME", "/home/robot")
    node = make_node('model: "~/models/new", calibration_file: "/etc/~rig.yaml"')
    assert read_parameter(node, "model") == "/home/robot/models/new"
    assert read_parameter(node, "calibration_file") == "/etc/~rig.yaml"
    assert read_parameter(make_node('model: ""'), "model") == ""
