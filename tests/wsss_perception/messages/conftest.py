from importlib import import_module
from typing import Any

import pytest
from rosbags.typesys import Stores, get_typestore


class RclpyTypes(dict):
    """Message classes generated for rclpy, by their full names; imported when asked for."""

    def __missing__(self, name: str) -> Any:
        package, folder, message = name.split("/")
        return getattr(import_module(f"{package}.{folder}"), message)


@pytest.fixture(scope="session")
def rosbags_types():
    return get_typestore(Stores.ROS2_JAZZY).types


@pytest.fixture(scope="session")
def rclpy_types():
    pytest.importorskip("sensor_msgs.msg", reason="no rclpy messages: pip install ros-jazzy-...")
    return RclpyTypes()


@pytest.fixture(params=["rosbags", "rclpy"])
def types(request):
    """The message classes of both kinds in turn."""
    return request.getfixturevalue(f"{request.param}_types")
