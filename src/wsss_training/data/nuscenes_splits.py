"""The official splits of nuScenes' scenes."""

from functools import cache
from importlib import resources

import yaml

from wsss_perception.errors import DatasetError


def version_of_split(split: str) -> str:
    """Returns the folder of tables that holds a split's scenes, such as ``v1.0-mini``.

    Raises:
        DatasetError: unknown split.
    """
    for version, splits in _read().items():
        if split in splits:
            return version
    known = ", ".join(split for splits in _read().values() for split in splits)
    raise DatasetError(f"unknown split '{split}' of nuScenes; known: {known}")


def is_official(version: str) -> bool:
    """Whether a folder of tables is one that nuScenes publishes."""
    return version in _read()


def scenes_of_split(split: str) -> list[str]:
    """Returns the names of a split's scenes, such as ``scene-0061``, ascending.

    Raises:
        DatasetError: unknown split.
    """
    numbers: list[int] = []
    for entry in _read()[version_of_split(split)][split]:
        first, _, last = str(entry).partition("-")
        numbers.extend(range(int(first), int(last or first) + 1))
    return [f"scene-{number:04}" for number in numbers]


@cache
def _read() -> dict[str, dict[str, list[int | str]]]:
    source = resources.files("wsss_training") / "data/nuscenes_splits.yaml"
    return yaml.safe_load(source.read_text(encoding="utf-8"))
