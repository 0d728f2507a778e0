r"""Labels a few points: those that a person clicked, or some drawn from a labelled dataset.

Writes a folder that a training config names as a source's 'weak_labels'. Clicked points come as a
CSV with the columns sample,x,y,z,class, in the frame of the sample's cloud, metres; the nearest
point gets the label. From a labelled dataset, to study how few are enough, points are drawn at
random, per class and scene or as a share of each sweep's labelled points; scribbles are simulated.
For SemanticKITTI's real scribbles see ScribbleKITTI and the reader's option label_folder=scribbles.

Example:
  python -m wsss_training weak-labels out/clicked --clicked clicks.csv --ontology semantic_kitti \
    --dataset kitti_raw --root /data/kitti_raw
  python -m wsss_training weak-labels out/five_points --dataset semantic_kitti \
    --root ../shared/data/semantic_kitti --option sequences=00 --points-per-class 5
"""

import argparse
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsss_perception.cli import positive_integer
from wsss_training.commands.dataset_arguments import add_dataset_arguments, open_named_dataset
from wsss_training.data import parse_options

if TYPE_CHECKING:
    from wsss_perception.ontology import Ontology
    from wsss_training.data.weak_labels import ChosenPoints


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command line."""
    parser.add_argument("output", type=Path, metavar="OUT", help="folder to write")
    add_dataset_arguments(parser)
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--clicked", type=Path, metavar="CSV", help="places and classes")
    kind.add_argument(
        "--points-per-class", type=positive_integer, metavar="K", help="of each class and scene"
    )
    kind.add_argument(
        "--share", type=_share, metavar="S", help="of each sweep's labelled points, 0..1"
    )
    kind.add_argument(
        "--scribbles", type=positive_integer, metavar="N", help="strokes of each class and scene"
    )
    parser.add_argument("--seed", type=_seed, help="of the draw (0)")
    parser.add_argument(
        "--ontology", help="classes of --clicked: a name or a YAML file (default: the dataset's)"
    )


def run(arguments: argparse.Namespace) -> None:
    """Draws and writes.

    Raises:
        WsssError: the dataset or the clicks cannot be read, there are no labels to draw from, OUT
            exists, or no point would be labelled.
    """
    from wsss_training.data.weak_labels import write_weak_labels

    ontology, choices, made = (_clicked if arguments.clicked else _drawn)(arguments)
    options = parse_options(arguments.dataset, arguments.option)
    info = {"dataset": arguments.dataset, "options": options, **made}
    summary = write_weak_labels(arguments.output, choices, ontology, info)
    for name, count in summary["labelled_points_of"].items():
        print(f"{name:<24}{count:>10,d}")
    print(
        f"{arguments.output}: {summary['labelled_points']:,d} of {summary['points']:,d} points of "
        f"{summary['samples']} sweeps are labelled"
    )
    unlabelled = summary["samples"] - summary["labelled_samples"]
    if unlabelled:
        print(
            f"{unlabelled} sweeps have no labelled point; training on labels alone leaves them out"
        )


_Choice = tuple["Ontology", Iterator["ChosenPoints"], dict[str, Any]]
"""Classes, labelled points of each sample, and how they came about."""


def _clicked(arguments: argparse.Namespace) -> _Choice:
    from wsss_perception.errors import DatasetError
    from wsss_perception.ontology import load_ontology
    from wsss_training.data.clicked_points import choose_clicked, read_clicks

    if arguments.seed is not None:
        raise DatasetError("--seed is of a draw; clicked points are not drawn")
    dataset = open_named_dataset(arguments, labels=False, images=False)
    named = None if arguments.ontology is None else load_ontology(arguments.ontology)
    ontology = dataset.ontology or named
    if ontology is None:
        raise DatasetError(
            f"{arguments.root}: '{arguments.dataset}' has no classes of its own; say --ontology"
        )
    if named is not None and named.classes != ontology.classes:
        raise DatasetError(
            f"--ontology {arguments.ontology}: '{arguments.dataset}' has classes of its own, those "
            f"of '{ontology.name}'; weak labels need the same"
        )
    choices = choose_clicked(dataset, read_clicks(arguments.clicked, ontology))
    made = {"kind": "clicked", "parameters": {"clicked": arguments.clicked.name}}
    return ontology, choices, {"definition": ontology.to_dict(), **made}


def _drawn(arguments: argparse.Namespace) -> _Choice:
    from wsss_perception.errors import DatasetError
    from wsss_training.data.sparse_labels import draw_per_class, draw_scribbles, draw_share

    dataset, seed = open_named_dataset(arguments, images=False), arguments.seed or 0
    if dataset.ontology is None:
        raise DatasetError(f"{arguments.root}: '{arguments.dataset}' has no labels to draw from")
    if arguments.ontology is not None:
        raise DatasetError("--ontology is of --clicked; drawn labels are in the dataset's classes")
    if arguments.share is not None:
        kind, amount = "share", arguments.share
        choices = draw_share(dataset, amount, seed)
    elif arguments.scribbles is not None:
        kind, amount = "scribbles", arguments.scribbles
        choices = draw_scribbles(dataset, amount, seed)
    else:
        kind, amount = "points_per_class", arguments.points_per_class
        choices = draw_per_class(dataset, amount, seed)
    made = {"kind": kind, "parameters": {kind: amount}, "seed": seed}
    return dataset.ontology, choices, made


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
