"""The arguments of commands that show a dataset's images to a teacher."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from wsss_training.commands.dataset_arguments import add_dataset_arguments, open_named_dataset

if TYPE_CHECKING:
    from wsss_training.teachers.images import ImageFile


def add_image_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares which images there are, and the folder to write to."""
    add_dataset_arguments(parser)
    parser.add_argument(
        "--images-root",
        type=Path,
        help="folder that the images' paths are relative to (default: --root)",
    )
    parser.add_argument("--output", type=Path, required=True, metavar="OUT", help="folder to write")


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares ``--model`` and ``--pretrained``."""
    parser.add_argument(
        "--model",
        required=True,
        help="a name of open_clip's, such as ViT-B-16; or local-dir:FOLDER or hf-hub:REPOSITORY",
    )
    parser.add_argument(
        "--pretrained",
        help="a tag of its weights, such as laion2b_s34b_b88k, or a checkpoint's path",
    )


def named_images(arguments: argparse.Namespace) -> list["ImageFile"]:
    """Lists the images of the dataset that a command line names.

    Raises:
        WsssError: the dataset cannot be opened, or an image is missing.
    """
    from wsss_training.processes import place
    from wsss_training.teachers.images import list_images

    here, dataset = place(), open_named_dataset(arguments, labels=False)
    root = arguments.images_root or arguments.root
    return list_images(dataset, root, lambda n: here.tracked(n, "samples looked at", len(n)))
