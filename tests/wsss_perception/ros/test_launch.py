"""What ``segment.launch.py`` does while it runs, on stand-ins for launch, which no wheel brings."""

import runpy
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: make install")

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import GetState
from node_process import ANSWER_TIMEOUT, START_TIMEOUT

SEGMENT = Path(__file__).parents[3] / "launch" / "segment.launch.py"
MODULES = (
    *("ament_index_python", "ament_index_python.packages", "launch", "launch.actions"),
    *("launch.conditions", "launch.events", "launch.events.process", "launch.substitutions"),
    *("launch_ros", "launch_ros.actions", "launch_ros.parameter_descriptions"),
    *("launch_ros.ros_adapters", "launch_ros.substitutions"),
)
BAG = object()


@pytest.fixture
def segment_launch(monkeypatch) -> dict[str, Any]:
    """The names of the launch file; its actions only keep what they are made of."""
    for name in MODULES:
        monkeypatch.setitem(sys.modules, name, MagicMock())
    actions = sys.modules["launch.actions"]
    actions.OpaqueFunction = actions.TimerAction = SimpleNamespace
    sys.modules["ament_index_python.packages"].get_package_share_directory.return_value = "share"
    return runpy.run_path(str(SEGMENT))


def run_timer(context: Any, actions: list[Any], node: Any) -> list[Any]:
    """Waits as a TimerAction does, while the client's callbacks run, then does what it says."""
    (timer,) = actions
    (again,) = timer.actions
    due = time.monotonic() + timer.period
    node.spin_until(lambda: time.monotonic() >= due, ANSWER_TIMEOUT)
    return again.function(context, *again.args)


def test_bag_is_played_when_the_node_is_active_and_not_before(segment_launch, nodes, bundle):
    node = nodes(f"model:={bundle.folder}", "device:=cpu", autostart=False)
    context = SimpleNamespace(is_shutdown=False)
    client = node.client.create_client(GetState, "segment/get_state")
    play_when_active = segment_launch["play_when_active"]
    actions = play_when_active(context, client, None, BAG)
    for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
        for _ in range(3):
            actions = run_timer(context, actions, node)
            assert actions != [BAG]
        assert node.change_state(transition)
    deadline = time.monotonic() + START_TIMEOUT
    while actions != [BAG]:  # its event of that is long gone
        assert time.monotonic() < deadline, node.log()
        actions = run_timer(context, actions, node)
    context.is_shutdown = True
    assert play_when_active(context, client, None, BAG) == []
