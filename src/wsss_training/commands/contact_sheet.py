r"""Draws one picture per scene to tag it from: images, the scene from above, the classes.

Pictures that are there already stay, but for those that list other classes or show labels other
than wanted, which are drawn anew; remove others that shall be drawn anew.

Example:
  python -m wsss_training contact-sheet sheets --dataset kitti_raw --root /data/kitti_raw \
    --ontology semantic_kitti
"""

import argparse
from pathlib import Path

from wsss_perception.errors import DatasetError
from wsss_perception.ontology import load_ontology
from wsss_perception.progress import tracked
from wsss_training.commands.dataset_arguments import add_dataset_arguments, open_named_dataset
from wsss_training.tags.contact_sheet import draw_sheets
from wsss_training.tags.scenes import samples_by_scene


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command line."""
    parser.add_argument("output", type=Path, metavar="OUT", help="folder for the pictures")
    add_dataset_arguments(parser)
    parser.add_argument("--scenes", nargs="+", metavar="SCENE", help="only these (default: all)")
    parser.add_argument("--ontology", help="classes to list (default: the dataset's own)")
    parser.add_argument(
        "--labels",
        action="store_true",
        help="draw the dataset's labels; not for pictures to tag from, for they tell the answers",
    )


def run(arguments: argparse.Namespace) -> None:
    """Draws the pictures.

    Raises:
        WsssError: the dataset cannot be read or has no labels to draw, a scene or the ontology is
            unknown, or a picture cannot be written.
    """
    dataset = open_named_dataset(arguments, labels=arguments.labels)
    if arguments.labels and dataset.ontology is None:
        where = f"{arguments.root}: dataset '{arguments.dataset}'"
        raise DatasetError(f"{where} has no labels to draw; leave out --labels")
    ontology = dataset.ontology
    if arguments.ontology is not None:
        ontology = load_ontology(arguments.ontology)
    total = len(arguments.scenes or samples_by_scene(dataset))
    there = 0
    pictures = draw_sheets(dataset, arguments.output, arguments.scenes, ontology, arguments.labels)
    for path, is_new in tracked(pictures, "scenes", total):
        there += not is_new
        if is_new:
            print(path)
    note = f"; {there} were there already and stay" if there else ""
    print(f"{arguments.output}: {total - there} pictures drawn{note}")
