"""Writes a model bundle from a training run, finished or interrupted.

Example:
  python -m wsss_training export runs/kitti models/kitti
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command line."""
    parser.add_argument("run", type=Path, metavar="RUN", help="output folder of the training")
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="folder to write")


def run(arguments: argparse.Namespace) -> None:
    """Exports."""
    from wsss_training.runs import export_run

    bundle = export_run(arguments.run, arguments.bundle)
    print(f"model bundle: {bundle.folder}")
