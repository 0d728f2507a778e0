"""The arguments by which commands name a dataset, and opening what they name."""

import argparse
from pathlib import Path

from wsss_training.data import DATASETS, Dataset, open_dataset, parse_options


def add_dataset_arguments(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """Declares ``--dataset``, ``--root`` and ``--option``."""
    readers = sorted(DATASETS)
    parser.add_argument("--dataset", required=required, choices=readers, help="its reader")
    parser.add_argument("--root", type=Path, required=required, help="the dataset's folder")
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="what else the reader takes, such as sequences=00,01 (docs/datasets.md); repeatable",
    )


def open_named_dataset(
    arguments: argparse.Namespace,
    labels: bool = True,
    images: bool = True,
    tags: str | Path | None = None,
    weak_labels: str | Path | None = None,
) -> Dataset:
    """Opens the dataset that a command line names; arguments as of ``open_dataset``.

    Raises:
        WsssError: the dataset, an option, the tags or the weak labels cannot be used.
    """
    options = parse_options(arguments.dataset, arguments.option)
    return open_dataset(
        arguments.dataset, arguments.root, labels, images, tags, weak_labels, **options
    )
