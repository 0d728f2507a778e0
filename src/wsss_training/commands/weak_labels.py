r"""Draws a few labelled points from a labelled dataset, to train on in place of all its labels.

Writes a folder that a training config names as a source's 'weak_labels'. Points are drawn at
random, per class and scene or as a share of each sweep's labelled points; scribbles are simulated.
For SemanticKITTI's real scribbles see ScribbleKITTI and the reader's option label_folder=scribbles.

Example:
  python -m wsss_training weak-labels out/five_points --dataset semantic_kitti \
    --root ../shared/data/semantic_kitti --option sequences=00 --points-per-class 5
"""

import argparse
import math
from pathlib import Path

from wsss_perception.cli import positive_integer
from wsss_training.commands.dataset_arguments import add_dataset_arguments, open_named_dataset
from wsss_training.data import parse_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command line."""
    parser.add_argument("output", type=Path, metavar="OUT", help="folder to write")
    add_dataset_arguments(parser)
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument(
        "--points-per-class", type=positive_integer, metavar="K", help="of each class and scene"
    )
    kind.add_argument(
        "--share", type=_share, metavar="S", help="of each sweep's labelled points, 0..1"
    )
    kind.add_argument(
        "--scribbles", type=positive_integer, metavar="N", help="strokes of each class and scene"
    )
    parser.add_argument("--seed", type=_seed, default=0, help="of the draw (0)")


def run(arguments: argparse.Namespace) -> None:
    """Draws and writes.

    Raises:
        DatasetError: the dataset cannot be read or has no labels, OUT exists, or no point would be
            labelled.
    """
    from wsss_perception.errors import DatasetError
    from wsss_training.data.sparse_labels import draw_per_class, draw_scribbles, draw_share
    from wsss_training.data.weak_labels import write_weak_labels

    dataset, seed = open_named_dataset(arguments, images=False), arguments.seed
    if dataset.ontology is None:
        raise DatasetError(f"{arguments.root}: '{arguments.dataset}' has no labels to draw from")
    if arguments.share is not None:
        kind, amount = "share", arguments.share
        choices = draw_share(dataset, amount, seed)
    elif arguments.scribbles is not None:
        kind, amount = "scribbles", arguments.scribbles
        choices = draw_scribbles(dataset, amount, seed)
    else:
        kind, amount = "points_per_class", arguments.points_per_class
        choices = draw_per_class(dataset, amount, seed)
    info = {
        "dataset": arguments.dataset,
        "options": parse_options(arguments.dataset, arguments.option),
        "kind": kind,
        "parameters": {kind: amount},
        "seed": seed,
    }
    summary = write_weak_labels(arguments.output, choices, dataset.ontology, info)
    for name, count in summary["labelled_points_of"].items():
        print(f"{name:<24}{count:>10,d}")
    print(
        f"{arguments.output}: {summary['labelled_points']:,d} of {summary['points']:,d} points of "
        f"{summary['samples']} sweeps are labelled"
    )
    unlabelled = summary["samples"] - summary["labelled_samples"]
    if unlabelled:
        print(f"{unlabelled} sweeps have no labelled point; training on labels leaves them out")


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number above 0 and at most 1")
    return value


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number, 0 or more")
    return int(text)
