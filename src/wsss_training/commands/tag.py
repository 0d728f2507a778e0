r"""Asks for the tags of a dataset's untagged scenes in the terminal: which classes occur?

Look at a scene's picture (contact-sheet draws them), type the numbers or names of what you see,
and press Enter. Every answer is written to the file at once; the same command goes on later.

Example:
  python -m wsss_training contact-sheet sheets --dataset kitti_raw --root /data/kitti_raw \
    --ontology semantic_kitti
  python -m wsss_training tag tags.yaml --dataset kitti_raw --root /data/kitti_raw \
    --ontology semantic_kitti --sheets sheets
"""

import argparse
from pathlib import Path

from wsss_perception.errors import TagsError
from wsss_perception.ontology import Ontology, load_ontology
from wsss_training.commands.dataset_arguments import add_dataset_arguments, open_named_dataset
from wsss_training.tags import SceneTags, read_tags, write_tags
from wsss_training.tags.scenes import samples_by_scene
from wsss_training.tags.sheet_note import describe_sheet, has_other_classes, sheet_path
from wsss_training.tags.suggestions import Suggestions, read_suggestions
from wsss_training.tags.tags_file import check_new_file, read_tags_file, refer_to_ontology
from wsss_training.tags.terminal import TaggingSession


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command line."""
    parser.add_argument("tags", type=Path, metavar="TAGS", help="the file: .yaml, .yml or .csv")
    add_dataset_arguments(parser)
    parser.add_argument(
        "--ontology", help="classes of a new file (default: those of the dataset's labels)"
    )
    parser.add_argument("--sheets", type=Path, help="folder that contact-sheet drew to")
    parser.add_argument(
        "--suggestions", type=Path, help="tags to confirm or change, such as suggest-tags wrote"
    )


def run(arguments: argparse.Namespace) -> None:
    """Asks and writes.

    Raises:
        WsssError: the dataset or the file cannot be used, or a picture to tag from numbers other
            classes.
    """
    dataset = open_named_dataset(arguments, labels=False, images=False)
    scenes = list(samples_by_scene(dataset))
    if arguments.tags.exists():
        tags, reference = _read_existing(arguments.tags, arguments.ontology)
    else:
        tags, reference = _begin(arguments.tags, arguments.ontology, dataset.ontology)

    suggestions = None
    if arguments.suggestions is not None:
        suggestions = _read_suggestions(arguments.suggestions, tags.ontology)
    if arguments.sheets is not None:
        untagged = [scene for scene in scenes if scene not in tags.classes]
        _check_sheets(arguments.sheets, untagged, tags.ontology)

    def describe(scene: str) -> str:
        if arguments.sheets is None:
            return scene
        return f"{scene}   {describe_sheet(sheet_path(arguments.sheets, scene), tags.ontology)}"

    def save(new: SceneTags) -> None:
        write_tags(arguments.tags, new, reference)

    session = TaggingSession(tags, scenes, save, describe=describe, suggestions=suggestions)
    try:
        session.run()
    finally:
        left = sum(scene not in session.tags.classes for scene in scenes)
        print(f"\n{arguments.tags}: tags of {session.answers} scenes written, {left} untagged")


def _read_suggestions(path: Path, ontology: Ontology) -> Suggestions:
    suggestions = read_suggestions(path)
    if suggestions.tags.ontology.classes != ontology.classes:
        raise TagsError(
            f"{path}: suggests classes of '{suggestions.tags.ontology.name}', the tags are of "
            f"'{ontology.name}'"
        )
    return suggestions


def _check_sheets(folder: Path, scenes: list[str], ontology: Ontology) -> None:
    for scene in scenes:
        path = sheet_path(folder, scene)
        if has_other_classes(path, ontology):
            raise TagsError(
                f"{path}: numbers other classes than the tags' ontology '{ontology.name}'; draw it "
                "anew by contact-sheet with that --ontology, or leave --sheets out"
            )


def _read_existing(path: Path, ontology: str | None) -> tuple[SceneTags, str]:
    """Reads the tags, and how their file refers to its ontology."""
    tags, reference = read_tags(path), read_tags_file(path).ontology
    if ontology is not None and load_ontology(ontology).classes != tags.ontology.classes:
        raise TagsError(
            f"{path}: has tags of ontology '{reference}', not '{ontology}'; leave --ontology out, "
            "or begin another file"
        )
    return tags, reference


def _begin(path: Path, ontology: str | None, own: Ontology | None) -> tuple[SceneTags, str]:
    """Makes empty tags, and how their file shall refer to its ontology."""
    check_new_file(path)
    if ontology is None and own is None:
        raise TagsError(f"{path}: the dataset has no classes of its own; name some with --ontology")
    name = own.name if ontology is None and own is not None else str(ontology)
    return SceneTags(load_ontology(name), {}), refer_to_ontology(path, name)
