"""Ontology -> vision_msgs/LabelInfo, for messages of rclpy and of rosbags alike."""

from typing import Any

from wsss_perception.frame import UNKNOWN
from wsss_perception.messages.common import MessageTypes, make_header
from wsss_perception.ontology import Ontology

UNLABELED = "UNLABELED"
"""Name that LabelInfo gives to the largest label, which is our UNKNOWN."""


def encode(
    ontology: Ontology, min_confidence: float, stamp: int, frame_id: str, types: MessageTypes
) -> Any:
    """Encodes the classes of a semantic cloud's labels as a LabelInfo.

    Args:
        ontology: the classes.
        min_confidence: below it a label is unknown.
        stamp: time in nanoseconds.
        frame_id: frame of the clouds; empty where it is not known.
        types: the message classes, those of vision_msgs among them.
    """
    vision_class = types["vision_msgs/msg/VisionClass"]
    names = [*enumerate(ontology.classes), (UNKNOWN, UNLABELED)]
    return types["vision_msgs/msg/LabelInfo"](
        header=make_header(stamp, frame_id, types),
        class_map=[vision_class(class_id=label, class_name=name) for label, name in names],
        threshold=float(min_confidence),
    )
