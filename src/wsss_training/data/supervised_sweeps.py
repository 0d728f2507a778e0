"""Sweeps with what supervises them: a 2D teacher's projected maps, or the dataset's 3D labels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset as TorchDataset

from wsss_perception.errors import DatasetError
from wsss_training.augment import random_sector, supervised_sector
from wsss_training.data.labelled_points import LabelledPoints
from wsss_training.data.sample import Dataset, Sample
from wsss_training.teachers.precomputed import PrecomputedTeacher
from wsss_training.teachers.projection import project_teacher

Supervision = Callable[[Sample], tuple[NDArray[np.uint8], NDArray[np.float32]]]
"""Tells each point's label uint8 [N] in the model's ontology and its reliability float32 [N]."""


@dataclass(frozen=True)
class TeacherSupervision:
    """Supervision by the projected labels of a 2D teacher.

    Attributes:
        teacher: reads the teacher's maps.
        mapping: from the teacher's labels to the model's, uint8 [256].
    """

    teacher: PrecomputedTeacher
    mapping: NDArray[np.uint8]

    def __call__(self, sample: Sample) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Returns the labels of the points that cameras see, and the teacher's confidence."""
        return project_teacher(sample, self.teacher, self.mapping)


def label_supervision(sample: Sample) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Supervision by the dataset's own 3D labels, which are fully relied on.

    Raises:
        DatasetError: the sweep has no labels.
    """
    if sample.labels is None:
        raise DatasetError(
            f"{sample.sample_id}: no 3D labels, which its source's 'supervision: labels' needs"
        )
    return sample.labels, np.ones(len(sample.labels), dtype=np.float32)


@dataclass(frozen=True)
class SupervisedSource:
    """Sweeps of one dataset that are supervised alike.

    Attributes:
        dataset: reads the sweeps.
        indices: which of them to take.
        supervision: tells their labels.
        has_teacher: whether a 2D teacher is that supervision, and not 3D labels.
    """

    dataset: Dataset
    indices: Sequence[int]
    supervision: Supervision
    has_teacher: bool


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
        source = self.sources[self.source[index]]
        sample = source.dataset[self._indices[index]]
        return LabelledPoints(sample.cloud, *source.supervision(sample))

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
