r"""Writes synthetic furnished rooms, recorded by a hand-held RGB-D camera, in ScanNet's layout.

Every scene gets posed colour and depth images, and the fused mesh with NYU40's labels. Scenes of
the family 'final' are for scores that are reported once. An interrupted run goes on when it is
started again.

Example:
  python -m wsss_training make-rooms out/rooms --scenes 40 --jobs 2
  python -m wsss_training derive-tags out/rooms_tags.yaml --dataset scannet --root out/rooms
"""

import argparse
from pathlib import Path

from wsss_perception.cli import positive_integer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command line."""
    parser.add_argument("output", type=Path, metavar="OUT", help="folder to write to")
    parser.add_argument(
        "--family", default="development", help="development, validation or final (development)"
    )
    parser.add_argument("--first", type=int, default=0, help="number of the first scene (0)")
    parser.add_argument("--scenes", type=positive_integer, default=20, help="how many scenes (20)")
    parser.add_argument("--frames", type=positive_integer, default=24, help="frames of each (24)")
    parser.add_argument(
        "--size",
        type=positive_integer,
        nargs=2,
        default=(320, 240),
        metavar=("WIDTH", "HEIGHT"),
        help="of the images, pixels (320 240)",
    )
    parser.add_argument("--jobs", type=positive_integer, default=1, help="processes (1)")


def run(arguments: argparse.Namespace) -> None:
    """Writes the rooms."""
    import time

    from wsss_perception.errors import ConfigError
    from wsss_perception.progress import tracked
    from wsss_training.rooms.generate import RoomsPlan, write_rooms

    if arguments.first < 0:
        raise ConfigError("--first must not be negative")
    plan = RoomsPlan(
        arguments.family,
        arguments.first,
        arguments.scenes,
        arguments.frames,
        tuple(arguments.size),
    )
    start = time.monotonic()
    written = write_rooms(plan, arguments.output, arguments.jobs)
    scenes = sum(1 for _ in tracked(written, "scenes", plan.scenes))
    print(f"{arguments.output}: {scenes} scenes in {time.monotonic() - start:.0f} s")
