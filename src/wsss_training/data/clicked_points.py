"""Labels of points that a person clicked, from a table of places and classes.

CSV with the columns ``sample``, ``x``, ``y``, ``z`` and ``class``, in any order and among others.
Places are in the frame of the sample's cloud, in metres, as viewers of point clouds tell them.
"""

import csv
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from wsss_perception.errors import DatasetError
from wsss_perception.ontology import Ontology
from wsss_perception.progress import tracked
from wsss_training.data.sample import Dataset
from wsss_training.data.weak_labels import ChosenPoints
from wsss_training.tags.scene_tags import nearest_name

COLUMNS = ("sample", "x", "y", "z", "class")

REACH = 0.5
"""How far from the place that was clicked its point may be, metres."""


@dataclass(frozen=True)
class Click:
    """A place that a person gave a class.

    Attributes:
        xyz: in the frame of the sample's cloud, metres.
        label: of the point there.
        where: file and line, for messages.
    """

    xyz: tuple[float, float, float]
    label: int
    where: str


def read_clicks(path: Path, ontology: Ontology) -> dict[str, list[Click]]:
    """Reads a table of clicks.

    Args:
        path: of the CSV file.
        ontology: of the classes.

    Returns:
        The clicks of each sample, by its id.

    Raises:
        DatasetError: the file cannot be read, lacks a column, has no line below its first, or one
            with more or fewer columns, with something else than numbers, or with an unknown class.
    """
    clicks: dict[str, list[Click]] = defaultdict(list)
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.reader(stream, skipinitialspace=True)
            names = next(rows, [])
            _check_columns(path, names)
            for values in rows:
                if not any(value.strip() for value in values):
                    continue
                where = f"{path}, line {rows.line_num}"
                if len(values) != len(names):
                    raise DatasetError(f"{where} has {len(values)} columns, not {len(names)}")
                row = dict(zip(names, values, strict=True))
                clicks[row["sample"]].append(_parse(row, ontology, where))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path}: cannot be read: {error}") from error
    if not clicks:
        raise DatasetError(f"{path}: has no click, a line below the one that names the columns")
    return dict(clicks)


def _check_columns(path: Path, names: list[str]) -> None:
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise DatasetError(
            f"{path}: its first line names no column {', '.join(missing)}; found: "
            f"{', '.join(names) or 'nothing'}; it must have {','.join(COLUMNS)}, separated by "
            "commas, in lower case"
        )


def _parse(row: dict[str, str], ontology: Ontology, where: str) -> Click:
    name = row["class"]
    if name not in ontology.classes:
        near = nearest_name(name, ontology.classes)
        hint = (
            f"known: {', '.join(ontology.classes)}" if near is None else f"did you mean '{near}'?"
        )
        raise DatasetError(f"{where}: ontology '{ontology.name}' has no class '{name}'; {hint}")
    try:
        x, y, z = (float(row[axis]) for axis in "xyz")
    except ValueError:
        x = y = z = np.nan
    if not np.isfinite([x, y, z]).all():
        raise DatasetError(
            f"{where}: x, y, z are {row['x']}, {row['y']}, {row['z']}, not finite numbers"
        )
    return Click((x, y, z), ontology.classes.index(name), where)


def choose_clicked(dataset: Dataset, clicks: dict[str, list[Click]]) -> Iterator[ChosenPoints]:
    """Labels the nearest point of each click.

    Args:
        dataset: whose samples were clicked on; its own labels are not looked at.
        clicks: by the samples' ids, such as of ``read_clicks``.

    Raises:
        DatasetError: there is no such sample, no point within REACH of a click, or two classes for
            one point.
    """
    for sample_id, mine in clicks.items():
        if sample_id not in dataset.sample_ids:
            near = nearest_name(sample_id, dataset.sample_ids) or dataset.sample_ids[0]
            raise DatasetError(
                f"{mine[0].where}: the dataset has no sample '{sample_id}'; ids are such as "
                f"'{near}', and depend on the options it is opened with"
            )
    for number in tracked(range(len(dataset)), "sweeps", len(dataset)):
        sample = dataset[number]
        mine = clicks.get(sample.sample_id, [])
        yield ChosenPoints(
            sample.sample_id, *_nearest_points(sample.cloud.xyz, mine), len(sample.cloud)
        )


def _nearest_points(
    xyz: NDArray[np.float32], clicks: list[Click]
) -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
    """Indices, ascending, and labels of the points nearest to clicks."""
    if not clicks:
        return np.zeros(0, dtype=np.uint32), np.zeros(0, dtype=np.uint8)
    finite = np.flatnonzero(np.isfinite(xyz).all(axis=1))
    distance, nearest = KDTree(xyz[finite]).query([click.xyz for click in clicks])
    chosen: dict[int, Click] = {}
    for click, far, place in zip(clicks, distance, nearest, strict=True):
        if not far <= REACH:
            raise DatasetError(
                f"{click.where}: the nearest point is {far:.2f} m away; places must be in the "
                "frame of the sample's cloud, in metres"
            )
        known = chosen.setdefault(int(finite[place]), click)
        if known.label != click.label:
            raise DatasetError(f"{click.where}: another class for the point of {known.where}")
    indices = np.array(sorted(chosen), dtype=np.uint32)
    return indices, np.array([chosen[int(k)].label for k in indices], dtype=np.uint8)
