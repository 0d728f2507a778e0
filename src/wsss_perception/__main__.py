"""``python -m wsss_perception <command>``."""

import sys

from wsss_perception.cli import Command, main

COMMANDS = (
    Command(
        "segment",
        "ROS 2 node: clouds in, semantic clouds out",
        "wsss_perception.commands.segment",
        passes_ros_arguments=True,
    ),
    Command(
        "segment-bag",
        "rosbag2 in, rosbag2 with semantic clouds out (no ROS needed)",
        "wsss_perception.commands.segment_bag",
    ),
)

if __name__ == "__main__":
    sys.exit(main("wsss_perception", COMMANDS))
