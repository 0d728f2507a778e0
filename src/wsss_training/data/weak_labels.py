"""A few labelled points of each sample, stored as files, in place of a dataset's own labels.

A folder of weak labels holds ``weak_labels.yaml``, which tells how they came about, and for each
sample ``<sample_id>.npz`` with the arrays ``indices`` (uint32, ascending), ``labels`` (uint8, in
the dataset's ontology) and ``points`` (int64, how many points the sample has). Beside them
``unlabelled.txt`` may list, one a line, the ids of the samples whose files hold no label, so that
training can leave them out without opening all files.
"""

import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from wsss_perception.errors import DatasetError
from wsss_perception.frame import UNKNOWN
from wsss_perception.ontology import Ontology, load_ontology, ontology_from_dict
from wsss_training.data.sample import Dataset, Sample

INFO_FILE = "weak_labels.yaml"
UNLABELLED_FILE = "unlabelled.txt"
SCHEMA = 1

_DAMAGE = (
    *(OSError, EOFError, KeyError, TypeError, ValueError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error, struct.error),
)
"""What numpy and zipfile raise on damaged files."""


@dataclass(frozen=True)
class ChosenPoints:
    """The labelled points of a sample.

    Attributes:
        sample_id: of the sample.
        indices: uint32 [K], which of its points, ascending.
        labels: uint8 [K], their labels.
        points: how many points the sample has.
    """

    sample_id: str
    indices: NDArray[np.uint32]
    labels: NDArray[np.uint8]
    points: int


class WeaklyLabelled:
    """A dataset with a stored choice of labelled points.

    Args:
        dataset: read without its own labels.
        folder: what ``weak-labels`` wrote for it.

    Raises:
        DatasetError: the folder holds no weak labels, or labels that do not define their classes
            and are not in the dataset's.
        OntologyError: neither they nor the dataset define classes, and theirs are unknown.
    """

    def __init__(self, dataset: Dataset, folder: str | Path) -> None:
        self._dataset, self._folder = dataset, Path(folder)
        self.sample_ids: Sequence[str] = dataset.sample_ids
        info = read_info(self._folder)
        theirs = str(info.get("ontology"))
        defined = _defined_ontology(info, self._folder)
        self.ontology: Ontology | None = defined or dataset.ontology or load_ontology(theirs)
        if theirs != self.ontology.name:
            raise DatasetError(
                f"{self._folder / INFO_FILE}: the labels are of ontology '{theirs}', the dataset's "
                f"is '{self.ontology.name}'; draw them from this dataset, with the options it is "
                "opened with"
            )
        self._classes = len(self.ontology)

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> Sample:
        """Reads one sample, UNKNOWN where a point is not among the chosen ones.

        Raises:
            DatasetError: its file is missing, damaged, or of another sample; and what the dataset
                raises.
        """
        sample = self._dataset[index]
        path = self._folder / f"{sample.sample_id}.npz"
        chosen = read_chosen(path, sample.sample_id, self._classes)
        if chosen.points != len(sample.cloud):
            raise DatasetError(
                f"{path}: was drawn from {chosen.points} points, the sample has "
                f"{len(sample.cloud)}; draw it anew with the options that the dataset is opened "
                "with here"
            )
        labels = np.full(len(sample.cloud), UNKNOWN, dtype=np.uint8)
        labels[chosen.indices] = chosen.labels
        return replace(sample, labels=labels, files=(*sample.files, path))


def _defined_ontology(info: dict[str, Any], folder: Path) -> Ontology | None:
    """The ontology of the folder's ``definition``; None without one."""
    if "definition" not in info:
        return None
    return ontology_from_dict(info["definition"], str(folder / INFO_FILE))


def read_info(folder: Path) -> dict[str, Any]:
    """Reads how weak labels came about.

    Raises:
        DatasetError: there are none, or of another schema.
    """
    path = folder / INFO_FILE
    try:
        info = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DatasetError(
            f"{path}: cannot be read: {error}; 'weak_labels' takes what 'weak-labels' has written"
        ) from error
    if not isinstance(info, dict) or info.get("schema") != SCHEMA:
        raise DatasetError(f"{path}: not of schema {SCHEMA}; write it anew with 'weak-labels'")
    return info


def has_label(folder: str | Path, sample_ids: Sequence[str]) -> NDArray[np.bool_]:
    """Tells which samples have a labelled point, bool [S], from the folder's list of those without.

    A sample that the list does not name has one, as far as is known; in a folder without the list,
    such as one of pseudo-labels, all have.

    Raises:
        DatasetError: the list cannot be read.
    """
    path = Path(folder) / UNLABELLED_FILE
    try:
        without = set(path.read_text(encoding="utf-8").splitlines())
    except FileNotFoundError:
        without = set()
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: cannot be read: {error}; draw the labels anew") from error
    return np.array([sample_id not in without for sample_id in sample_ids], dtype=bool)


def read_chosen(path: Path, sample_id: str, classes: int) -> ChosenPoints:
    """Reads the labelled points of a sample.

    Args:
        path: of the file.
        sample_id: of the sample.
        classes: how many classes there are.

    Raises:
        DatasetError: the file is missing or damaged, or its indices or labels out of range.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            indices, labels = arrays["indices"], arrays["labels"]
            points = int(arrays["points"])
    except FileNotFoundError:
        raise DatasetError(
            f"{path}: no such file; draw weak labels for '{sample_id}' too, with the options that "
            "the dataset is opened with here"
        ) from None
    except _DAMAGE as error:
        raise DatasetError(
            f"{path}: not a file of weak labels, or damaged: {error}; draw them anew"
        ) from error
    fits = (
        (indices.dtype, labels.dtype, indices.ndim) == (np.uint32, np.uint8, 1)
        and indices.shape == labels.shape
        and (np.diff(indices.astype(np.int64)) > 0).all()
        and (indices < points).all()
        and (labels < classes).all()
    )
    if not fits:
        raise DatasetError(
            f"{path}: is not a choice among {points} points, each with one of {classes} classes; "
            "draw it anew"
        )
    return ChosenPoints(sample_id, indices, labels, points)


def write_weak_labels(
    folder: Path, choices: Iterable[ChosenPoints], ontology: Ontology, info: dict[str, Any]
) -> dict[str, Any]:
    """Writes a folder of weak labels, whole or not at all.

    Args:
        folder: must not exist.
        choices: the labelled points of each sample.
        ontology: of the labels.
        info: how they came about.

    Returns:
        The content of ``weak_labels.yaml``: schema, ontology, ``info``, and counts: samples,
        points of all, samples with a labelled point, labelled points, and those of each class.

    Raises:
        DatasetError: the folder exists or cannot be written, or no point at all is labelled.
    """
    if folder.exists():
        raise DatasetError(f"{folder}: exists; remove it, or choose another name")
    counts = np.zeros(len(ontology), dtype=np.int64)
    samples = points = 0
    unlabelled: list[str] = []
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
            new = Path(scratch) / "new"
            new.mkdir()
            for chosen in choices:
                write_chosen(new / f"{chosen.sample_id}.npz", chosen)
                counts += np.bincount(chosen.labels, minlength=len(ontology))
                samples, points = samples + 1, points + chosen.points
                if not len(chosen.labels):
                    unlabelled.append(chosen.sample_id)
            if not counts.any():
                raise DatasetError(
                    f"{folder}: not written: none of the {points:,d} points of {samples} samples "
                    "was drawn; draw more of them, or from logs with labels"
                )
            summary = {
                **{"schema": SCHEMA, "ontology": ontology.name},
                **info,
                **{"samples": samples, "points": points},
                "labelled_samples": samples - len(unlabelled),
                "labelled_points": int(counts.sum()),
                "labelled_points_of": dict(zip(ontology.classes, counts.tolist(), strict=True)),
            }
            text = yaml.safe_dump(summary, sort_keys=False)
            (new / INFO_FILE).write_text(text, encoding="utf-8")
            listed = "".join(f"{sample_id}\n" for sample_id in unlabelled)
            (new / UNLABELLED_FILE).write_text(listed, encoding="utf-8")
            new.rename(folder)
    except OSError as error:
        raise DatasetError(f"{folder}: cannot be written: {error}") from error
    return summary


def write_chosen(path: Path, chosen: ChosenPoints) -> None:
    """Writes the labelled points of a sample to an ``.npz`` file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    points = np.int64(chosen.points)
    np.savez(path, indices=chosen.indices, labels=chosen.labels, points=points)
