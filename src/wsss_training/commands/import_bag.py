"""Imports rosbag2 bags as training logs: plain points and images, cut into scenes.

Takes the clouds of one topic and, of each camera, the image nearest to each cloud. Cameras are
placed by /tf, or by a calibration file, whose extrinsics hold as they are. Poses are those of
/tf, or of an Odometry topic. What is there already is kept: a killed import goes on when its
command is given again, and bags may be added later.

Example:
  python -m wsss_training import-bag drive_01 drive_02 logs/mine
  python -m wsss_training check-dataset --dataset recording --root logs/mine
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from wsss_perception.cli import positive_number
from wsss_perception.errors import BagError

if TYPE_CHECKING:
    from wsss_training.recording import ImportCounts

_LOOKED_AT = 5
"""Sweeps whose intensities are looked at when all is imported."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "bags", type=Path, nargs="+", metavar="BAG", help="bags: folders, .mcap or .db3 files"
    )
    parser.add_argument("output", type=Path, metavar="OUT", help="folder of the recording")
    parser.add_argument("--points", metavar="TOPIC", help="topic of the clouds, of several")
    parser.add_argument(
        "--calibration", type=Path, metavar="FILE", help="calibration of the cameras, not TF"
    )
    parser.add_argument(
        "--intensity-scale",
        type=positive_number,
        default=1.0,
        metavar="S",
        help="factor that brings the intensities to 0..1, such as 0.0039 for 0..255 (default: 1)",
    )
    cuts = parser.add_mutually_exclusive_group()
    cuts.add_argument(
        "--scene-seconds",
        type=positive_number,
        default=20.0,
        metavar="S",
        help="a scene is shorter than this (default: 20)",
    )
    cuts.add_argument(
        "--scene-metres",
        type=positive_number,
        metavar="M",
        help="cut scenes by the distance travelled instead",
    )
    parser.add_argument(
        "--min-interval",
        type=positive_number,
        default=0.0,
        metavar="S",
        help="seconds between two kept clouds at least (default: keep all)",
    )


def run(arguments: argparse.Namespace) -> None:
    """Imports the bags and prints what became of each.

    Raises:
        WsssError: of the bags, the calibration file, or a folder made otherwise; of a damaged bag
            after all that precedes the damage has been imported.
    """
    from wsss_training.recording import ImportSettings, import_bags

    settings = ImportSettings(
        arguments.points,
        arguments.calibration,
        arguments.intensity_scale,
        arguments.scene_seconds,
        arguments.scene_metres,
        arguments.min_interval,
    )
    damages, scenes = [], 0
    for name, counts in import_bags(arguments.bags, arguments.output, settings):
        print(f"{name}: {_describe(counts)}", flush=True)
        scenes += len(counts.scenes)
        if counts.damage is not None:
            damages.append(counts.damage)
    print(f"{arguments.output}: read it with --dataset recording --root {arguments.output}")
    if scenes:
        for doubt in _doubts(arguments.output):
            print(f"{doubt}: remove {arguments.output} and import again with --intensity-scale")
    if damages:
        raise BagError(f"what precedes the damage was imported and kept; {'; '.join(damages)}")


def _doubts(root: Path) -> list[str]:
    """What is strange about the intensities of a few of a recording's sweeps."""
    import numpy as np

    from wsss_training.data import open_dataset
    from wsss_training.dataset_check import check_dataset, intensity_doubts

    dataset = open_dataset("recording", root, images=False)
    some = np.unique(np.linspace(0, len(dataset) - 1, _LOOKED_AT).astype(int))
    return intensity_doubts(check_dataset(dataset, some.tolist()))


def _describe(counts: "ImportCounts") -> str:
    parts = []
    if counts.scenes:
        images = [f"{count} images of {camera}" for camera, count in sorted(counts.images.items())]
        written = f"{counts.sweeps} sweeps in {len(counts.scenes)} scenes, {counts.points} points"
        parts = [written, *(images or ["no images"])]
    if counts.present:
        parts.append(f"{len(counts.present)} scenes were there already and are left as they are")
    left_out = {
        "invalid points": counts.invalid_points,
        "damaged or unlike clouds": counts.damaged_clouds,
        "clouds without a valid point": counts.empty_clouds,
        "damaged images": counts.damaged_images,
    }
    parts += [f"{count} {what} left out" for what, count in left_out.items() if count]
    return ", ".join(parts)
