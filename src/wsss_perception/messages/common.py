"""What all codecs share: stamps, headers and byte buffers of either kind of message."""

import array
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

MessageTypes = Mapping[str, Any]
"""Message classes by their full names, such as ``sensor_msgs/msg/Image``.

The ``types`` of a rosbags typestore is one; for rclpy, a dict of the imported classes.
"""


def stamp_to_ns(stamp: Any) -> int:
    """Converts a builtin_interfaces/Time to integer nanoseconds."""
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def make_header(stamp: int, frame_id: str, types: MessageTypes) -> Any:
    """Makes a std_msgs/Header of a stamp in nanoseconds."""
    seconds, nanoseconds = divmod(int(stamp), 1_000_000_000)
    time = types["builtin_interfaces/msg/Time"](sec=seconds, nanosec=nanoseconds)
    return types["std_msgs/msg/Header"](stamp=time, frame_id=frame_id)


def allocate(message_class: Any, size: int) -> tuple[Any, NDArray[np.uint8]]:
    """Allocates a ``data`` field of ``size`` zero bytes in the container its message class wants.

    rclpy checks every element of anything but an ``array.array``; rosbags serialises arrays.

    Returns:
        The container, and its content as a writable array uint8 [size].
    """
    if _of_rclpy(message_class):
        container = array.array("B", [0]) * size
        return container, np.frombuffer(container or bytearray(), dtype=np.uint8)
    data = np.zeros(size, dtype=np.uint8)
    return data, data


def float_sequence(message_class: Any, values: Iterable[float]) -> Any:
    """Makes a sequence of float64 in the container its message class wants."""
    numbers = array.array("d", values)
    return numbers if _of_rclpy(message_class) else np.array(numbers, dtype=np.float64)


def _of_rclpy(message_class: Any) -> bool:
    return hasattr(message_class, "get_fields_and_field_types")
