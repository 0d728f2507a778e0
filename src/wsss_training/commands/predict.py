r"""Labels a folder of KITTI sweeps (.bin).

Writes one file a sweep: a .label file with the dataset's official raw ids, as SemanticKITTI's
benchmark takes them (sequences/NN/predictions), or a PLY cloud in class colours.

Example:
  python -m wsss_training predict kitti/sequences/08/velodyne out/sequences/08/predictions \
    --bundle models/kitti
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command line."""
    parser.add_argument("sweeps", type=Path, metavar="SWEEPS", help="folder of .bin files")
    parser.add_argument("output", type=Path, metavar="OUT", help="folder to write to")
    parser.add_argument("--bundle", type=Path, help="model bundle (default: the package's model)")
    parser.add_argument(
        "--format", choices=("label", "ply"), default="label", help="what to write (label)"
    )
    parser.add_argument("--device", default="auto", help="cpu, cuda... (default: auto)")


def run(arguments: argparse.Namespace) -> None:
    """Predicts."""
    from wsss_perception.bundle import choose_bundle
    from wsss_perception.engines import load_engine
    from wsss_perception.errors import DatasetError
    from wsss_perception.progress import tracked
    from wsss_perception.segmenter import Segmenter
    from wsss_training.predict import predict_sweeps

    paths = sorted(arguments.sweeps.glob("*.bin"))
    if not paths:
        raise DatasetError(f"{arguments.sweeps}: no .bin files there")
    bundle = choose_bundle(arguments.bundle, print)
    segmenter = Segmenter(bundle.spec, load_engine("spconv", bundle, arguments.device, "fp32"))
    sweeps = tracked(paths, "sweeps", len(paths))
    predict_sweeps(segmenter, sweeps, arguments.output, arguments.format)
    print(f"written: {len(paths)} files to {arguments.output}")
