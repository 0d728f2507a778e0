r"""Writes scenes of the synthetic driving world, with ground truth and an imperfect 2D teacher.

With the rig 'kitti' (64 beams, one camera) the folder gets SemanticKITTI's layout, with 'nuscenes'
(32 beams, six cameras) nuScenes'. The maps of the imitated teacher are in OUT/teacher, laid out
like the images. Scenes of the family 'final' are for scores that are reported once.

Example:
  python -m wsss_training make-world out/world --scenes 40 --jobs 2
  python -m wsss_training train config/train/world.yaml data_root=out/world
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command line."""
    parser.add_argument("output", type=Path, metavar="OUT", help="folder to write to")
    parser.add_argument("--rig", default="kitti", help="kitti or nuscenes (default: kitti)")
    parser.add_argument(
        "--family", default="development", help="development, validation or final (development)"
    )
    parser.add_argument("--first", type=int, default=0, help="number of the first scene (0)")
    parser.add_argument("--scenes", type=int, default=20, help="how many scenes (20)")
    parser.add_argument("--sweeps", type=int, default=5, help="sweeps of each (5)")
    parser.add_argument(
        "--interval", type=float, help="seconds between sweeps (default: the rig's)"
    )
    parser.add_argument("--jobs", type=int, default=1, help="processes, kitti only (1)")


def run(arguments: argparse.Namespace) -> None:
    """Writes the world."""
    import time

    from wsss_perception.errors import ConfigError
    from wsss_perception.progress import tracked
    from wsss_training.world.generate import WorldPlan, write_world

    counts = (arguments.scenes, arguments.sweeps, arguments.jobs)
    if min(counts) < 1 or arguments.first < 0:
        raise ConfigError("--scenes, --sweeps and --jobs must be positive, --first not negative")
    plan = WorldPlan(
        arguments.rig,
        arguments.family,
        arguments.first,
        arguments.scenes,
        arguments.sweeps,
        arguments.interval,
    )
    start = time.monotonic()
    scenes = write_world(plan, arguments.output, arguments.jobs)
    frames = plan.sweeps * sum(1 for _ in tracked(scenes, "scenes", plan.scenes))
    seconds = time.monotonic() - start
    print(f"{arguments.output}: {plan.scenes} scenes, {frames} sweeps in {seconds:.0f} s")
