"""Plays a rosbag2 on the ROS graph in real time, where `ros2 bag play` is missing.

Messages are published as they are stored, by receive time, with the QoS they were recorded with.
Topics whose message type is not installed are skipped and named. Playing starts when somebody
listens to the clouds, or after 5 s. A player that cannot keep up drops nothing; it says how late
it was.
"""

import argparse
from pathlib import Path

from wsss_perception.cli import positive_number
from wsss_perception.ros.play_bag import run_player

_CLOCK_RATE = 40.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("bag", type=Path, metavar="BAG", help="the bag: a folder, .mcap or .db3")
    parser.add_argument(
        "--rate",
        type=positive_number,
        default=1.0,
        help="seconds of the bag to play in a second (default: 1)",
    )
    parser.add_argument("--loop", action="store_true", help="begin anew at the end")
    parser.add_argument(
        "--clock",
        type=positive_number,
        nargs="?",
        const=_CLOCK_RATE,
        metavar="HZ",
        help="publish the bag's time on /clock, so many times a second "
        f"({_CLOCK_RATE:.0f} where HZ is not given); it jumps back when a loop begins anew",
    )


def run(arguments: argparse.Namespace) -> None:
    """Plays the bag until its end, SIGINT or SIGTERM, and prints what was played.

    Raises:
        WsssError: the bag cannot be played, or is damaged: what precedes the damage was played.
    """
    run_player(arguments.bag, arguments.rate, arguments.loop, arguments.clock)
