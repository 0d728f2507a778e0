"""Sweeps with what supervises them: a 2D teacher's projected maps, or the dataset's 3D labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset as TorchDataset

from wsss_perception.errors import DatasetError
from wsss_perception.frame import UNKNOWN
from wsss_training.augment import random_sector, supervised_sector
from wsss_training.data.camera_colors import painted, read_colors
from wsss_training.data.labelled_points import LabelledPoints
from wsss_training.data.sample import Dataset, Sample
from wsss_training.data.sweep_cache import SweepCache
from wsss_training.data.weak_labels import has_label
from wsss_training.teachers.precomputed import PrecomputedTeacher
from wsss_training.teachers.projection import project_probabilities, project_teacher


class Supervision(Protocol):
    """Tells the labels that a sweep is trained on."""

    @property
    def version(self) -> str:
        """All settings that the labels depend on, beside the sample and the files."""

    def __call__(self, sample: Sample) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Returns labels uint8 [N] in the model's ontology and their reliability float32 [N]."""

    def files(self, sample: Sample) -> list[Path]:
        """The files that the labels are read from, beside the sample's own."""


@dataclass(frozen=True)
class TeacherSupervision:
    """Supervision by the projected labels of a 2D teacher.

    Attributes:
        teacher: reads the teacher's maps.
        mapping: from the teacher's labels to the model's, uint8 [256].
    """

    teacher: PrecomputedTeacher
    mapping: NDArray[np.uint8]

    @property
    def version(self) -> str:
        """The teacher's folders and classes, and their mapping."""
        return repr((self.teacher.folders, self.teacher.ontology, self.mapping.tolist()))

    def __call__(self, sample: Sample) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Returns the labels of the points that cameras see, and the teacher's confidence."""
        return project_teacher(sample, self.teacher, self.mapping)

    def probabilities(self, sample: Sample, classes: int) -> NDArray[np.float32]:
        """Returns the teacher's probabilities float32 [N, classes]; see project_probabilities."""
        return project_probabilities(sample, self.teacher.probabilities, self.mapping, classes)

    def files(self, sample: Sample) -> list[Path]:
        """The teacher's maps and the depth images of the sample."""
        maps = [path for image in sample.images for path in self.teacher.files(image.path)]
        return maps + [image.depth.path for image in sample.images if image.depth is not None]


class LabelSupervision:
    """Supervision by the dataset's own 3D labels, which are fully relied on."""

    version = "labels"

    def __call__(self, sample: Sample) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Returns the sample's labels.

        Raises:
            DatasetError: the sweep has no labels.
        """
        if sample.labels is None:
            raise DatasetError(
                f"{sample.sample_id}: no 3D labels, which its source's 'supervision: labels' needs"
            )
        return sample.labels, np.ones(len(sample.labels), dtype=np.float32)

    def files(self, sample: Sample) -> list[Path]:
        """None beside the sample's own."""
        return []


class NoSupervision:
    """No labels of points: a method has scene tags alone."""

    version = "tags"

    def __call__(self, sample: Sample) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Returns UNKNOWN for every point."""
        points = len(sample.cloud)
        return np.full(points, UNKNOWN, dtype=np.uint8), np.zeros(points, dtype=np.float32)

    def files(self, sample: Sample) -> list[Path]:
        """None beside the sample's own."""
        return []


@dataclass(frozen=True)
class SupervisedSource:
    """Sweeps of one dataset that are supervised alike.

    Attributes:
        dataset: reads the sweeps.
        indices: which of them to take.
        supervision: tells their labels.
        has_teacher: whether a 2D teacher is that supervision, and not 3D labels.
        cache: keeps the sweeps with their labels; None reads them anew each time.
        painted: whether the points are painted, with all cameras, see ``data.camera_colors``; their
            images are not opened otherwise.
        weak_labels: folder of the few labelled points that the labels are; None where they are not.
    """

    dataset: Dataset
    indices: Sequence[int]
    supervision: Supervision
    has_teacher: bool
    cache: SweepCache | None = None
    painted: bool = False
    weak_labels: str | None = None

    def are_labelled(self) -> NDArray[np.bool_]:
        """Which of ``indices`` have a labelled point, as far as is known, bool [S].

        Raises:
            DatasetError: see ``has_label``.
        """
        if self.weak_labels is None:
            return np.ones(len(self.indices), dtype=bool)
        return has_label(self.weak_labels, [self.dataset.sample_ids[k] for k in self.indices])

    def read(self, index: int) -> LabelledPoints:
        """Reads a sweep of the dataset with its labels.

        Raises:
            DatasetError: a file of the sweep or of its supervision is missing or damaged.
        """
        if self.cache is None:
            points = self._compute(index)[0]
        else:
            name = self.dataset.sample_ids[index]
            points = self.cache.get(name, lambda: self._compute(index))
        return painted(points) if self.painted else points

    def _compute(self, index: int) -> tuple[LabelledPoints, list[Path]]:
        sample = self.dataset[index]
        attributes = read_colors(sample) if self.painted else {}
        points = LabelledPoints(sample.cloud, *self.supervision(sample), attributes)
        files = [*sample.files, *self.supervision.files(sample)]
        if self.painted:
            files += [path for image in sample.images for path in image.files()]
        return points, files


class SupervisedSweeps(TorchDataset[LabelledPoints]):
    """The sweeps of several sources in one row, each with its labels.

    Args:
        sources: where the sweeps are from.

    Attributes:
        sources: as given.
        source: int64 [S], the number of each sweep's source.
        has_teacher: bool [S], whether a 2D teacher supervises the sweep.
    """

    def __init__(self, sources: Sequence[SupervisedSource]) -> None:
        self.sources = list(sources)
        self._indices = [index for source in sources for index in source.indices]
        lengths = [len(source.indices) for source in sources]
        self.source = np.repeat(np.arange(len(sources)), lengths)
        self.has_teacher = np.repeat([source.has_teacher for source in sources], lengths)

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> LabelledPoints:
        return self.sources[self.source[index]].read(self._indices[index])

    def are_labelled(self) -> NDArray[np.bool_]:
        """Which sweeps have a labelled point; see ``SupervisedSource``."""
        return np.concatenate([source.are_labelled() for source in self.sources])

    def sector(self, index: int, margin: float | None, rng: np.random.Generator) -> LabelledPoints:
        """Reads the part of a sweep to train on: what a camera sees, or about as much.

        Args:
            index: of the sweep.
            margin: unlabelled context to both sides in radians; None for the whole sweep.
            rng: chooses the part of a sweep that 3D labels supervise.
        """
        points = self[index]
        if margin is None:
            return points
        if not self.has_teacher[index]:
            points = random_sector(points, rng)
        return supervised_sector(points, margin)
