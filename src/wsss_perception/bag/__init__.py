"""rosbag2 in, rosbag2 out, with no ROS: reading, writing whole bags, segmenting, cameras."""

from wsss_perception.bag.cameras import BagCameras, NearestImage
from wsss_perception.bag.damaged import BagUpToDamage, open_up_to_damage
from wsss_perception.bag.pages import Pages, RecordedCounts, draw_recorded
from wsss_perception.bag.reader import Bag, Message, open_bag
from wsss_perception.bag.segment import BagCounts, segment_bag
from wsss_perception.bag.transforms import BagTransforms
from wsss_perception.bag.writer import BagWriter

__all__ = [
    "Bag",
    "BagCameras",
    "BagCounts",
    "BagTransforms",
    "BagUpToDamage",
    "BagWriter",
    "Message",
    "NearestImage",
    "Pages",
    "RecordedCounts",
    "draw_recorded",
    "open_bag",
    "open_up_to_damage",
    "segment_bag",
]
