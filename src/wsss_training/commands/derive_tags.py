r"""Writes the scene tags of a labelled dataset: a class is tagged where it has enough points.

Scenes without labels stay untagged. --ontology and --mapping give tags of other classes than
the labels'.

Example:
  python -m wsss_training derive-tags tags.yaml --dataset semantic_kitti \
    --root ../shared/data/semantic_kitti --option sequences=00,31
"""

import argparse
from pathlib import Path

from wsss_perception.cli import positive_integer
from wsss_perception.errors import DatasetError, OntologyError
from wsss_perception.ontology import load_mapping, load_ontology
from wsss_perception.progress import tracked
from wsss_training.commands.dataset_arguments import add_dataset_arguments, open_named_dataset
from wsss_training.tags import write_tags
from wsss_training.tags.derive import MIN_POINTS, count_labels, derive_tags, map_counts
from wsss_training.tags.tags_file import check_new_file, refer_to_ontology


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command line."""
    parser.add_argument("output", type=Path, metavar="OUT", help="new file: .yaml, .yml or .csv")
    add_dataset_arguments(parser)
    parser.add_argument(
        "--min-points",
        type=positive_integer,
        default=MIN_POINTS,
        help=f"points of a class, over a scene's sweeps, that make a tag ({MIN_POINTS})",
    )
    parser.add_argument("--ontology", help="classes of the tags (default: the labels')")
    parser.add_argument("--mapping", help="how the labels' classes map to those of --ontology")


def run(arguments: argparse.Namespace) -> None:
    """Derives the tags.

    Raises:
        WsssError: the dataset has no labels or cannot be read, the ontologies do not fit, or the
            file exists or cannot be written.
    """
    check_new_file(arguments.output)
    dataset = open_named_dataset(arguments, images=False)
    by_hand = "has no labels; tag its scenes by hand: 'contact-sheet', then 'tag'"
    if dataset.ontology is None:
        raise DatasetError(f"{arguments.root}: dataset '{arguments.dataset}' {by_hand}")
    name = arguments.ontology or dataset.ontology.name
    ontology = load_ontology(name)
    if arguments.mapping is None and ontology.classes != dataset.ontology.classes:
        raise OntologyError(
            f"ontology '{name}' has other classes than the labels' '{dataset.ontology.name}'; "
            "--mapping says how they map"
        )
    samples = (dataset[index] for index in range(len(dataset)))
    counts = count_labels(tracked(samples, "sweeps", len(dataset)))
    if arguments.mapping is not None:
        table = load_mapping(arguments.mapping, dataset.ontology, ontology)
        counts = {scene: map_counts(of_scene, table) for scene, of_scene in counts.items()}
    tags = derive_tags(counts, ontology, arguments.min_points)
    if not tags.classes:
        raise DatasetError(f"{arguments.root}: {by_hand}")
    write_tags(arguments.output, tags, refer_to_ontology(arguments.output, name))
    left = len(counts) - len(tags.classes)
    untagged = f", {left} without labels left untagged" if left else ""
    print(f"{arguments.output}: {len(tags.classes)} scenes{untagged}")
