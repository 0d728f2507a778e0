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
    Command(
        "segment-live",
        "plays a rosbag2 to the live node and records its semantic clouds",
        "wsss_perception.commands.segment_live",
    ),
    Command(
        "set-classes",
        "makes a bundle for other classes of a model that answers texts",
        "wsss_perception.commands.set_classes",
    ),
    Command(
        "build-engine",
        "builds a bundle's engine for this GPU ahead of its first use",
        "wsss_perception.commands.build_engine",
    ),
    Command(
        "benchmark",
        "times a model on this machine, stage by stage, in every engine (no ROS needed)",
        "wsss_perception.commands.benchmark",
    ),
    Command(
        "play-bag",
        "publishes a rosbag2 on the ROS graph in real time",
        "wsss_perception.commands.play_bag",
    ),
    Command(
        "record-bag",
        "records topics of the ROS graph into a rosbag2",
        "wsss_perception.commands.record_bag",
    ),
)

if __name__ == "__main__":
    sys.exit(main("wsss_perception", COMMANDS))
