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


def make_message(message_class: Any, size: int, **values: Any) -> tuple[Any, NDArray[np.uint8]]:
    """Makes a message with a field ``data`` of zeros, to be filled in place.

    rclpy's messages copy, or check element by element, whatever is given to the constructor or
    assigned; the array that a new one holds can grow without either.

    Args:
        message_class: of rclpy or rosbags.
        size: bytes of ``data``.
        values: the other fields.

    Returns:
        The message, and its ``data`` as a writable array uint8 [size].
    """
    if not _of_rclpy(message_class):
        data = np.zeros(size, dtype=np.uint8)
        return message_class(data=data, **values), data
    message = message_class(**values)
    container = message.data
    container.append(0)
    container *= size
    return message, np.frombuffer(container or bytearray(), dtype=np.uint8)


def float_sequence(message_class: Any, values: Iterable[float]) -> Any:
    """Makes a sequence of float64 in the container its message class wants."""
    numbers = array.array("d", values)
    return numbers if _of_rclpy(message_class) else np.array(numbers, dtype=np.float64)


def _of_rclpy(message_class: Any) -> bool:
    return hasattr(message_class, "get_fields_and_field_types")
