"""Dataset readers: every one yields the same Sample."""

import inspect
from importlib import import_module
from pathlib import Path
from typing import Any

from wsss_perception.errors import DatasetError
from wsss_training.data.sample import Dataset, ImageSource, Sample

__all__ = ["DATASETS", "Dataset", "ImageSource", "Sample", "open_dataset"]

DATASETS = {
    "semantic_kitti": ("wsss_training.data.semantic_kitti", "SemanticKitti"),
    "kitti_raw": ("wsss_training.data.kitti_raw", "KittiRaw"),
    "kitti_object": ("wsss_training.data.kitti_object", "KittiObject"),
    "nuscenes": ("wsss_training.data.nuscenes", "NuScenes"),
}
"""Module and class of each reader; a class takes ``root`` and its own options."""


def open_dataset(
    name: str, root: str | Path, labels: bool = True, images: bool = True, **options: Any
) -> Dataset:
    """Opens a dataset by the name of its reader.

    Args:
        name: a key of ``DATASETS``.
        root: the dataset's folder.
        labels: read 3D labels where there are some; otherwise their files are not opened.
        images: describe the cameras' images; otherwise their files are not opened.
        options: what else the reader takes, such as ``sequences`` or ``cameras``.

    Raises:
        DatasetError: unknown reader or option, or the reader refuses the folder.
    """
    if name not in DATASETS:
        raise DatasetError(f"unknown dataset '{name}'; known: {', '.join(DATASETS)}")
    module, class_name = DATASETS[name]
    reader = getattr(import_module(module), class_name)
    takes = inspect.signature(reader).parameters
    known = [option for option in takes if option not in ("root", "labels")]
    for option, value in options.items():
        if option not in known:
            raise DatasetError(
                f"dataset '{name}' has no option '{option}'; it takes: {', '.join(known) or 'none'}"
            )
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            raise DatasetError(
                f"dataset '{name}', option '{option}': {value!r} is not a list of quoted names, "
                'such as ["00"]'
            )
    if "labels" in takes:
        options["labels"] = labels
    if "cameras" in takes and not images:
        options["cameras"] = []
    return reader(root, **options)
