"""ScanNet's labels of a mesh: NYU40 ids, coloured into a mesh or as groups of segments."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsss_perception.errors import DatasetError
from wsss_training.data.ply import read_ply

LABEL_MAP = "scannetv2-labels.combined.tsv"

_STRAY_IDS = {"scene0270_00": 50, "scene0270_02": 50, "scene0384_00": 149}
"""Ids beyond NYU40 in the published label meshes: a known error, these vertices have no label."""
_ADVICE = "is the file cut short? copy it again"


def read_nyu40(
    folder: Path, vertices: int, label_map: Path
) -> tuple[NDArray[np.int64], tuple[Path, ...]] | None:
    """Reads the labels of a scene's mesh.

    Args:
        folder: of the scene; ``<scene>_vh_clean_2.labels.ply`` is taken where it is there,
            otherwise ``.segs.json`` and ``.aggregation.json``.
        vertices: of the mesh.
        label_map: table of raw category names and their NYU40 ids, read for the latter.

    Returns:
        NYU40 id of each vertex [vertices], 0 where unlabelled, and the files they were read
        from; None where the scene has no labels.

    Raises:
        DatasetError: a file is missing, damaged or not of the mesh, or a category is unknown.
    """
    mesh = folder / f"{folder.name}_vh_clean_2.labels.ply"
    segments = folder / f"{folder.name}_vh_clean_2.0.010000.segs.json"
    groups = folder / f"{folder.name}.aggregation.json"
    if mesh.exists():
        labels, files = read_ply(mesh, ("label",)).vertices["label"].astype(np.int64), (mesh,)
        _check_count(len(labels), vertices, mesh)
        labels[labels == _STRAY_IDS.get(folder.name, 0)] = 0
        return labels, files
    if not segments.exists() and not groups.exists():
        return None
    return (
        _label_segments(_read_segments(segments, vertices), segments, groups, label_map),
        (segments, groups, label_map),
    )


def read_label_map(path: Path) -> dict[str, int]:
    """Reads the NYU40 ids of raw category names from ScanNet's table of tab-separated values.

    Raises:
        DatasetError: the file is missing, or is not such a table.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        return {row["raw_category"]: int(row["nyu40id"]) for row in rows}
    except OSError as error:
        raise DatasetError(
            f"{path}: cannot be read: {error.strerror}; the labels of segments need ScanNet's "
            "table: put it there, or name it with the option 'label_map'"
        ) from error
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise DatasetError(
            f"{path}: not ScanNet's table with 'raw_category' and 'nyu40id' ({error}); {_ADVICE}"
        ) from error


def _label_segments(
    of_vertex: NDArray[np.int64], segments: Path, groups: Path, label_map: Path
) -> NDArray[np.int64]:
    """Gives the vertices of each group's segments the id of its category; later groups win."""
    nyu40 = read_label_map(label_map)
    names, segment = np.unique(of_vertex, return_inverse=True)
    ids = np.zeros(len(names), dtype=np.int64)
    for category, members in _read_groups(groups):
        if category not in nyu40:
            raise DatasetError(f"{groups}: category '{category}' is not in {label_map}")
        place = np.searchsorted(names, members).clip(max=len(names) - 1)
        strange = members[names[place] != members]
        if len(strange):
            raise DatasetError(
                f"{groups}: segment {strange[0]} of '{category}' is not in {segments}; the two "
                "files do not belong together"
            )
        ids[place] = nyu40[category]
    return ids[segment]


def _read_segments(path: Path, vertices: int) -> NDArray[np.int64]:
    data = _read_json(path)
    try:
        of_vertex = _integers(data["segIndices"])
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{path}: no list of numbers in 'segIndices'; {_ADVICE}") from error
    _check_count(len(of_vertex), vertices, path)
    return of_vertex


def _read_groups(path: Path) -> list[tuple[str, NDArray[np.int64]]]:
    data = _read_json(path)
    try:
        return [(str(group["label"]), _integers(group["segments"])) for group in data["segGroups"]]
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(
            f"{path}: 'segGroups' is no list of groups with 'label' and 'segments'; {_ADVICE}"
        ) from error


def _integers(values: Any) -> NDArray[np.int64]:
    numbers = np.array(values)
    if numbers.ndim != 1 or (numbers.size and numbers.dtype.kind != "i"):
        raise ValueError(values)
    return numbers.astype(np.int64)


def _check_count(labels: int, vertices: int, path: Path) -> None:
    if labels != vertices:
        raise DatasetError(
            f"{path}: labels of {labels} vertices for a mesh of {vertices}; the two files do not "
            "belong together"
        )


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}; copy it again") from error
    except ValueError as error:
        raise DatasetError(f"{path}: not readable JSON: {error}; {_ADVICE}") from error
