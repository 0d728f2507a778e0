"""What all codecs share: stamps, headers and byte buffers of either kind of message."""

import array
from collections.abc import Mapping
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
    if hasattr(message_class, "get_fields_and_field_types"):  # generated for rclpy
        container = array.array("B", [0]) * size
        return container, np.frombuffer(container or bytearray(), dtype=np.uint8)
    data = np.zeros(size, dtype=np.uint8)
    return data, data
