"""ROS 2 node: clouds on ``points`` in, semantic clouds on ``semantic_points`` out."""

import argparse

from wsss_perception.ros.parameters import describe_parameters
from wsss_perception.ros.segment_node import run_node


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the help on ROS arguments; the node has parameters instead of options."""
    parser.usage = f"{parser.prog} [-h] [--ros-args [-p model:=<bundle>] [-p <name>:=<value> ...]]"
    parser.epilog = f"parameters, with their defaults:\n{describe_parameters()}"


def run(arguments: argparse.Namespace) -> None:
    """Runs the node until SIGINT or SIGTERM."""
    run_node(arguments.ros_arguments)
