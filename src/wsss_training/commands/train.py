"""Learns a segmenter from logs and a 2D teacher or 3D labels, as a config file describes.

A run that was interrupted goes on from its last checkpoint when the same command is given
again. The finished run holds the bundle that 'evaluate', 'segment-bag' and the node take.

Example:
  python -m wsss_training train config/train/kitti.yaml seed=1 optimization.steps=2000
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command line."""
    parser.add_argument("config", type=Path, help="YAML file, such as those of config/train")
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="values that replace the file's"
    )


def run(arguments: argparse.Namespace) -> None:
    """Trains and, in the first of several processes, exports."""
    from wsss_training.config import load_config
    from wsss_training.runs import export_run, train_run
    from wsss_training.workload import REFERENCES

    config = load_config(arguments.config, arguments.overrides)
    output = Path(config.output)
    if not train_run(config):
        return
    bundle = export_run(output, output / "bundle")
    print(f"model bundle: {bundle.folder}")
    for reference in REFERENCES:
        agreement = bundle.spec.provenance.get(f"held_back_agreement_with_{reference}")
        if agreement is not None:
            print(f"agreement with the {reference} on held-back sweeps: {100 * agreement:.1f} %")
    print(f"curves: tensorboard --logdir {output}")
