"""Dataset readers: every one yields the same Sample."""

import inspect
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

from wsss_perception.errors import DatasetError
from wsss_training.data.options import check_option, option_types, parse_option
from wsss_training.data.sample import Dataset, DepthSource, ImageSource, Sample, scene_of
from wsss_training.data.tagged_dataset import TaggedDataset
from wsss_training.data.weak_labels import WeaklyLabelled
from wsss_training.tags import read_tags

__all__ = [
    "DATASETS",
    "Dataset",
    "DepthSource",
    "ImageSource",
    "Sample",
    "open_dataset",
    "parse_options",
    "scene_of",
]

DATASETS = {
    "semantic_kitti": ("wsss_training.data.semantic_kitti", "SemanticKitti"),
    "kitti_raw": ("wsss_training.data.kitti_raw", "KittiRaw"),
    "kitti_object": ("wsss_training.data.kitti_object", "KittiObject"),
    "nuscenes": ("wsss_training.data.nuscenes", "NuScenes"),
    "recording": ("wsss_training.data.recording", "Recording"),
    "scannet": ("wsss_training.data.scannet", "ScanNet"),
}
"""Module and class of each reader; a class takes ``root`` and its own options."""


def open_dataset(
    name: str,
    root: str | Path,
    labels: bool = True,
    images: bool = True,
    tags: str | Path | None = None,
    weak_labels: str | Path | None = None,
    **options: Any,
) -> Dataset:
    """Opens a dataset by the name of its reader.

    Args:
        name: a key of ``DATASETS``.
        root: the dataset's folder.
        labels: read 3D labels where there are some; otherwise their files are not opened.
        images: describe the cameras' images; otherwise their files are not opened.
        tags: file of scene tags, see ``wsss_training.tags``; None leaves samples untagged.
        weak_labels: folder of ``wsss_training.data.weak_labels``, whose few labelled points
            stand for the dataset's own labels, which are not opened; None for those.
        options: what else the reader takes, such as ``sequences`` or ``cameras``.

    Raises:
        DatasetError: unknown reader or option, or the reader refuses the folder.
        WsssError: the tags or the weak labels cannot be used.
    """
    reader = _reader(name)
    kinds = option_types(reader)
    for option, value in options.items():
        check_option(f"dataset '{name}', option '{option}'", value, _kind(name, option, kinds))
    if "labels" in inspect.signature(reader).parameters:
        options["labels"] = labels and weak_labels is None
    if "cameras" in kinds and not images:
        options["cameras"] = []
    dataset: Dataset = reader(root, **options)
    if labels and weak_labels is not None:
        dataset = WeaklyLabelled(dataset, weak_labels)
    return dataset if tags is None else TaggedDataset(dataset, read_tags(tags))


def parse_options(name: str, words: Iterable[str]) -> dict[str, Any]:
    """Reads a reader's options from ``key=value`` words of a command line.

    Raises:
        DatasetError: unknown reader or option, or a value of the wrong type.
    """
    kinds = option_types(_reader(name))
    options = {}
    for word in words:
        option, equals, text = word.partition("=")
        if not equals:
            raise DatasetError(f"option '{word}' is not of the form key=value")
        where = f"dataset '{name}', option '{option}'"
        options[option] = parse_option(where, text, _kind(name, option, kinds))
    return options


def _reader(name: str) -> Any:
    if name not in DATASETS:
        raise DatasetError(f"unknown dataset '{name}'; known: {', '.join(DATASETS)}")
    module, class_name = DATASETS[name]
    return getattr(import_module(module), class_name)


def _kind(name: str, option: str, kinds: dict[str, type]) -> type:
    if option not in kinds:
        raise DatasetError(
            f"dataset '{name}' has no option '{option}'; it takes: {', '.join(kinds) or 'none'}"
        )
    return kinds[option]
