"""What the commands on a ROS graph share: a node, signals that end them, message classes."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from rclpy.context import Context
from rclpy.node import Node

from wsss_perception.errors import RosError
from wsss_perception.messages.common import MessageTypes


@contextmanager
def ros_session(name: str) -> Iterator[tuple[Node, Callable[[], bool]]]:
    """Makes a node in a context of its own; yields it with a test whether to end.

    The test returns True after SIGINT or SIGTERM. Must be entered in the main thread.

    Args:
        name: of the node.

    Raises:
        RosError: the middleware cannot start.
    """
    received: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(n, lambda n, _frame: received.append(n)) for n in numbers]
    context = Context()
    try:
        try:
            context.init(args=[])
            node = Node(name, context=context, start_parameter_services=False)
        except RuntimeError as error:
            raise RosError(
                f"ROS 2 cannot start: {error}; check ROS_DOMAIN_ID and RMW_IMPLEMENTATION"
            ) from error
        yield node, lambda: bool(received)
        node.destroy_node()
    finally:
        context.try_shutdown()
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def import_message(msgtype: str) -> Any | None:
    """Returns rclpy's class of a message type such as ``std_msgs/msg/Header``.

    None where it is not installed.
    """
    module, _, name = msgtype.replace("/", ".").rpartition(".")
    try:
        return getattr(import_module(module), name, None)
    except (ImportError, ValueError):  # ValueError: a name without a package
        return None


class _MessageTypes(dict[str, Any]):
    """Imports the message classes that are asked for."""

    def __missing__(self, name: str) -> Any:
        cls = import_message(name)
        if cls is None:
            raise RosError(f"the message type {name} is not installed")
        self[name] = cls
        return cls


MESSAGE_TYPES: MessageTypes = _MessageTypes()
"""rclpy's message classes by their full names; one that is not installed raises RosError."""
