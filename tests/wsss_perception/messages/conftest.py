from collections.abc import Mapping
from importlib import import_module
from typing import Any

import pytest
from rosbags.typesys import Stores, get_typestore


class RclpyTypes(Mapping):
    """Message classes generated for rclpy, by their full names."""

    def __getitem__(self, name: str) -> Any:
        package, folder, message = name.split("/")
        return getattr(import_module(f"{package}.{folder}"), message)

    def __iter__(self):
        raise NotImplementedError

    def __len__(self):
        raise NotImplementedError


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
