"""Assessment -> diagnostic_msgs/DiagnosticArray, for messages of rclpy and of rosbags alike."""

from typing import Any

from wsss_perception.diagnostics import Assessment
from wsss_perception.messages.common import MessageTypes, make_header


def encode(
    assessment: Assessment, name: str, hardware_id: str, stamp: int, types: MessageTypes
) -> Any:
    """Encodes an assessment as a DiagnosticArray of one status.

    Args:
        assessment: level, message and values.
        name: of the component, such as ``segment: clouds``.
        hardware_id: what it runs on or listens to.
        stamp: time in nanoseconds.
        types: the message classes.
    """
    status = types["diagnostic_msgs/msg/DiagnosticStatus"]
    pair = types["diagnostic_msgs/msg/KeyValue"]
    entry = status(
        # a byte is of type bytes in rclpy, an int in rosbags; the constants are as the field is
        level=getattr(status, assessment.level.name),
        name=name,
        message=assessment.message,
        hardware_id=hardware_id,
        values=[pair(key=key, value=value) for key, value in assessment.values.items()],
    )
    cls = types["diagnostic_msgs/msg/DiagnosticArray"]
    return cls(header=make_header(stamp, "", types), status=[entry])
