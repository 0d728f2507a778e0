r"""Writes the pseudo-labels of a WSegPC run, finished or stopped: what its averaged network says.

Labels the run's own logs, as 'train' does, or those that --dataset names: these by network,
regions and --tags alone, without a 2D teacher. Several processes share the work under torchrun;
what was killed goes on when the same command is given again. A training config names the folder
as a source's 'weak_labels'.

Example:
  python -m wsss_training pseudo-label runs/kitti_wsegpc --output out/drive5 \
    --dataset kitti_raw --root ../shared/data/kitti_raw --option drives=2011_09_26_drive_0005_sync
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsss_training.commands.dataset_arguments import add_dataset_arguments
from wsss_training.data import parse_options

if TYPE_CHECKING:
    from wsss_training.config import SourceConfig


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command line."""
    parser.add_argument("run", type=Path, metavar="RUN", help="output folder of the training")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="OUT",
        help="folder to write (default, for own logs of finished stages: RUN/pseudo_labels)",
    )
    add_dataset_arguments(parser, required=False)
    parser.add_argument("--tags", type=Path, help="file of that dataset's scene tags")


def run(arguments: argparse.Namespace) -> None:
    """Labels.

    Raises:
        WsssError: RUN is no WSegPC run or has no checkpoint, the dataset cannot be opened or has
            other classes, or OUT is missing or has other labels.
    """
    from wsss_perception.errors import ConfigError
    from wsss_perception.ontology import load_ontology
    from wsss_training.labelling import (
        describe,
        label_scenes,
        label_sources,
        labelled_sources,
        open_labeller,
        open_unlabelled,
    )
    from wsss_training.processes import place
    from wsss_training.stages import PSEUDO_LABELS, newest_checkpoint, open_run, open_scenes
    from wsss_training.workload import open_workload

    other = _other_dataset(arguments)
    config = open_run(arguments.run)
    checkpoint, finished = newest_checkpoint(config)
    output = arguments.output
    if output is None:
        if other is not None or not finished:
            why = "of a run whose stages are not finished" if other is None else "of other logs"
            raise ConfigError(f"labels {why} need a folder; give --output")
        output = arguments.run / PSEUDO_LABELS
    here = place()
    here.say(f"network: {checkpoint}")
    if other is None:
        workload = open_workload(config)
        scenes = open_scenes(config, workload.sweeps.sources)
        counts = label_sources(config, workload, scenes, checkpoint, output)
        folders = [output / str(number) for number in labelled_sources(config)]
    else:
        scenes = open_scenes(config, [open_unlabelled(config, other)])
        info = {**describe(config, checkpoint), **_origin(other)}
        labeller = open_labeller(config, checkpoint)
        counts, folders = label_scenes(labeller, scenes, range(len(scenes)), output, info), [output]
    for name, count in zip(load_ontology(config.ontology).classes, counts.tolist(), strict=False):
        here.say(f"{name:<24}{count:>12,d}")
    here.say(
        f"{counts[:-1].sum():,d} of {counts.sum():,d} points of {len(scenes)} sweeps are labelled"
    )
    for folder in folders:
        here.say(f"pseudo-labels: {folder}")


def _other_dataset(arguments: argparse.Namespace) -> "SourceConfig | None":
    """The dataset that the command line names; None for the run's own logs."""
    from wsss_perception.errors import ConfigError
    from wsss_training.config import SourceConfig

    if (arguments.dataset is None) != (arguments.root is None):
        raise ConfigError("--dataset and --root name another dataset together; give both or none")
    if arguments.dataset is None:
        if arguments.option or arguments.tags is not None:
            raise ConfigError("--option and --tags are of another dataset, which --dataset names")
        return None
    return SourceConfig(
        arguments.dataset,
        str(arguments.root),
        options=parse_options(arguments.dataset, arguments.option),
        supervision="tags",
        tags=None if arguments.tags is None else str(arguments.tags),
    )


def _origin(source: "SourceConfig") -> dict[str, Any]:
    """What tells a dataset's labels from those of another, or of other tags."""
    from wsss_training.files import digest_files
    from wsss_training.run_folder import describe_source

    tags = None if source.tags is None else digest_files([Path(source.tags)])
    return {**describe_source(source), "tags": tags}
