r"""Opens a dataset, reads samples of it, and says what there is and what is missing.

Of one sample it draws the points over its images, coloured by distance, and by class where there
are labels: edges of things in the image must be edges of distance. If they are not, the
calibration is wrong. Exits with 2 where a sample cannot be read.

Example:
  python -m wsss_training check-dataset --dataset nuscenes --root /data/nuscenes \
    --pictures out/check
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from wsss_perception.cli import positive_integer
from wsss_training.commands.dataset_arguments import add_dataset_arguments

if TYPE_CHECKING:
    from wsss_training.data import Dataset, Sample

_MAX_FAILURES = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command line."""
    add_dataset_arguments(parser)
    parser.add_argument("--tags", type=Path, help="file of scene tags to check with it")
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="folder for the pictures")
    parser.add_argument(
        "--samples", type=positive_integer, default=20, help="how many to read, evenly chosen (20)"
    )


def run(arguments: argparse.Namespace) -> None:
    """Checks."""
    from wsss_perception.errors import DatasetError
    from wsss_perception.progress import tracked
    from wsss_training.commands.dataset_arguments import open_named_dataset
    from wsss_training.dataset_check import check_dataset, describe, warnings
    from wsss_training.dataset_pictures import draw_sample, spread

    dataset = open_named_dataset(arguments, tags=arguments.tags)
    if not len(dataset):
        raise DatasetError(f"{arguments.root}: no samples; are the root and the options right?")
    indices = spread(range(len(dataset)), arguments.samples)
    check = check_dataset(dataset, tracked(indices, "samples", len(indices)))
    for line in describe(check, dataset):
        print(line)
    for line in warnings(check, dataset):
        print(f"warning: {line}")
    failed = {sample_id for sample_id, _ in check.failures}
    readable = [index for index in indices if dataset.sample_ids[index] not in failed]
    if arguments.pictures is not None and readable:
        sample = _most_telling(dataset, readable)
        for path in draw_sample(sample, dataset.ontology, arguments.pictures):
            print(f"written: {path}")
    for sample_id, reason in check.failures[:_MAX_FAILURES]:
        print(f"cannot be read: {sample_id}: {reason}")
    if check.failures:
        raise DatasetError(f"{len(check.failures)} of {len(indices)} samples cannot be read")


def _most_telling(dataset: "Dataset", indices: list[int]) -> "Sample":
    """A sample from the middle of those given, if possible one with images and labels."""
    middle = indices[len(indices) // 2 :] + indices[: len(indices) // 2]
    samples = (dataset[index] for index in middle)
    best = next(samples)
    for sample in samples:
        if best.images and (best.labels is not None or dataset.ontology is None):
            break
        if (bool(sample.images), sample.labels is not None) > (
            bool(best.images),
            best.labels is not None,
        ):
            best = sample
    return best
