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
}
"""Module and class of each reader; a class takes ``root`` and its own options."""


def open_dataset(name: str, root: str | Path, **options: Any) -> Dataset:
    """Opens a dataset by the name of its reader.

    Args:
        name: a key of ``DATASETS``.
        root: the dataset's folder.
        options: what else the reader takes, such as ``sequences`` or ``cameras``.

    Raises:
        DatasetError: unknown reader or option, or the reader refuses the folder.
    """
    if name not in DATASETS:
        raise DatasetError(f"unknown dataset '{name}'; known: {', '.join(DATASETS)}")
    module, class_name = DATASETS[name]
    reader = getattr(import_module(module), class_name)
    known = [option for option in inspect.signature(reader).parameters if option != "root"]
    unknown = [option for option in options if option not in known]
    if unknown:
        raise DatasetError(
            f"dataset '{name}' has no option {', '.join(unknown)}; it takes: "
            f"{', '.join(known) or 'none'}"
        )
    return reader(root, **options)
