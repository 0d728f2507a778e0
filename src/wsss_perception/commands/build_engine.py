"""Builds a bundle's engine for this GPU ahead of its first use, which would take minutes.

The engine is kept in the user's cache folder, for this GPU, these libraries and this bundle; the
node and the other commands load it there.
"""

import argparse
from pathlib import Path

from wsss_perception.bundle import choose_bundle
from wsss_perception.engines import BUILT
from wsss_perception.engines.building import build_engine
from wsss_perception.engines.options import PRECISIONS
from wsss_perception.signals import end_at_once


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "--bundle", type=Path, help="folder of the model bundle (default: the package's model)"
    )
    parser.add_argument(
        "--engine", choices=BUILT, default=BUILT[0], help=f"what to build (default: {BUILT[0]})"
    )
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="auto",
        help="in which the network computes (default: auto, fp16)",
    )
    parser.add_argument(
        "--device", default="auto", help="the GPU: cuda, cuda:<n> (default: auto, the first)"
    )


def run(arguments: argparse.Namespace) -> None:
    """Builds the engine and prints where it lies.

    Raises:
        WsssError: of the bundle or the engine.
    """
    bundle = choose_bundle(arguments.bundle, print)
    with end_at_once():
        build_engine(bundle, arguments.engine, arguments.device, arguments.precision, print)
