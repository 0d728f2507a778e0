"""Plays a rosbag2 to the live node over DDS and records the semantic clouds it publishes.

Runs the node, the player and the recorder as processes of their own, in a ROS domain of this host
that is not yours: a rehearsal of the robot. 'segment-bag' does the same job faster and without ROS.
"""

import argparse
from pathlib import Path

from wsss_perception.bag import draw_recorded
from wsss_perception.bundle import choose_bundle
from wsss_perception.cli import positive_integer, positive_number
from wsss_perception.ros.replay import segment_live


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("input", type=Path, metavar="IN", help="the bag: a folder, .mcap or .db3")
    parser.add_argument("output", type=Path, metavar="OUT", help="folder of the new bag")
    parser.add_argument("--bundle", type=Path, help="model bundle (default: the package's model)")
    parser.add_argument("--points-topic", help="topic of the clouds, where the bag has several")
    parser.add_argument(
        "--rate",
        type=positive_number,
        default=1.0,
        help="seconds of the bag to play in a second (default: 1)",
    )
    parser.add_argument("--pictures", type=Path, help="folder to draw pictures of the clouds into")
    parser.add_argument(
        "--every",
        type=positive_integer,
        default=10,
        help="draw every so many clouds (default: 10)",
    )


def run(arguments: argparse.Namespace) -> None:
    """Plays, records, and draws what was recorded.

    Raises:
        WsssError: of the bundle, the bag, or one of the processes.
    """
    bundle = choose_bundle(arguments.bundle, print)
    counts = segment_live(
        arguments.input, bundle.folder, arguments.output, arguments.rate, arguments.points_topic
    )
    print(f"{arguments.output}: {counts.recorded} of {counts.played} clouds")
    print(f"the node: {counts.node_summary}")
    for warning in counts.warnings:
        print(f"the node warned: {warning}")
    if arguments.pictures is not None:
        recorded = draw_recorded(
            arguments.input,
            arguments.output,
            arguments.pictures,
            bundle.spec.ontology,
            arguments.every,
            arguments.points_topic,
        )
        print(f"{arguments.pictures}: {recorded.drawn} pictures")
        if recorded.foreign:
            print(f"semantic clouds: {recorded.joined} of the bag's, {recorded.foreign} of others")
