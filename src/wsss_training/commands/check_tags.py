r"""Checks a file of scene tags: its names, its scenes, and what it can teach.

Ends with status 2 where the file must be mended; all else is worth knowing only. Classes that are
always tagged together cannot be told apart by their tags.

Example:
  python -m wsss_training check-tags tags.yaml --dataset kitti_raw --root ../shared/data/kitti_raw
"""

import argparse
from pathlib import Path

from wsss_perception.errors import DatasetError, TagsError
from wsss_training.commands.dataset_arguments import add_dataset_arguments, open_named_dataset
from wsss_training.tags.check import check_tags, format_report
from wsss_training.tags.scenes import samples_by_scene
from wsss_training.tags.tags_file import load_ontology_of, read_tags_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command line."""
    parser.add_argument("tags", type=Path, metavar="TAGS", help="the file: .yaml, .yml or .csv")
    add_dataset_arguments(parser, required=False)
    parser.add_argument("--json", type=Path, metavar="OUT", help="file to write the findings to")


def run(arguments: argparse.Namespace) -> None:
    """Checks the tags.

    Raises:
        TagsError: the file cannot be read or must be mended.
        WsssError: the dataset cannot be opened.
    """
    file = read_tags_file(arguments.tags)
    ontology = load_ontology_of(arguments.tags, file.ontology)
    scenes = None
    if (arguments.dataset is None) != (arguments.root is None):
        raise DatasetError("a dataset is named by both --dataset and --root")
    if arguments.option and arguments.dataset is None:
        raise DatasetError("--option is of a dataset, which --dataset and --root name")
    if arguments.dataset is not None:
        scenes = list(samples_by_scene(open_named_dataset(arguments, labels=False, images=False)))
    report = check_tags(file, ontology, scenes)
    print(format_report(report))
    if arguments.json is not None:
        from wsss_training.report import write_json

        write_json(arguments.json, report.to_dict())
        print(f"written: {arguments.json}")
    problems = report.must_mend()
    if problems:
        raise TagsError(f"{arguments.tags}: to be mended: {', '.join(problems)}")
