"""Records topics into a rosbag2 (mcap), where `ros2 bag record` is missing.

Waits for the topics to appear; stops on SIGINT or SIGTERM, or when their publishers have gone.
The bag appears under its name when it is whole. Messages are stored as they arrive; only message
types of ROS 2 itself can be recorded: topics of others are skipped and named.
"""

import argparse
from pathlib import Path

from wsss_perception.cli import positive_integer
from wsss_perception.ros.record_bag import run_recorder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("output", type=Path, metavar="OUT", help="folder of the new bag")
    parser.add_argument("topics", nargs="+", metavar="TOPIC", help="names of the topics")
    parser.add_argument("--count", type=positive_integer, help="stop after so many messages")


def run(arguments: argparse.Namespace) -> None:
    """Records and prints how many messages of each topic there are.

    Raises:
        WsssError: the bag cannot be written, not one topic can be recorded, or nothing arrived.
    """
    run_recorder(arguments.output, arguments.topics, arguments.count)
