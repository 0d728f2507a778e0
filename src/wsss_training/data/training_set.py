"""Training clouds from unlabelled logs and a 2D teacher, in a reproducible endless order."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import Sampler

from wsss_perception.bundle import ModelSpec
from wsss_perception.frame import UNKNOWN
from wsss_perception.segmenter import voxel_features
from wsss_training.augment import Augmentation, supervised_sector
from wsss_training.data.labelled_points import LabelledPoints
from wsss_training.data.sample import Dataset
from wsss_training.teachers.precomputed import PrecomputedTeacher
from wsss_training.teachers.projection import project_teacher


class TeacherLabelledSweeps(TorchDataset[LabelledPoints]):
    """Sweeps with the projected labels of a 2D teacher.

    Args:
        samples: the sweeps to take: dataset and index in it.
        teacher: reads the teacher's maps.
        mapping: from the teacher's labels to the model's, uint8 [256].
    """

    def __init__(
        self,
        samples: Sequence[tuple[Dataset, int]],
        teacher: PrecomputedTeacher,
        mapping: NDArray[np.uint8],
    ) -> None:
        self._samples = list(samples)
        self.teacher, self.mapping = teacher, mapping

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> LabelledPoints:
        dataset, i = self._samples[index]
        sample = dataset[i]
        labels, confidence = project_teacher(sample, self.teacher, self.mapping)
        return LabelledPoints(sample.cloud, labels, confidence)


@dataclass(frozen=True)
class Batch:
    """Voxels of several sweeps and the labelled points in them.

    Attributes:
        coords: int32 [V, 4] of (batch, x, y, z).
        features: float32 [V, F].
        voxels: int64 [P], voxel of each labelled point.
        labels: int64 [P].
        weights: float32 [P], reliability of each label.
    """

    coords: torch.Tensor
    features: torch.Tensor
    voxels: torch.Tensor
    labels: torch.Tensor
    weights: torch.Tensor

    def to(self, device: torch.device) -> "Batch":
        """Returns the batch on another device."""
        moved = {name: value.to(device, non_blocking=True) for name, value in vars(self).items()}
        return Batch(**moved)

    def pin_memory(self) -> "Batch":
        """Returns the batch in page-locked memory."""
        return Batch(**{name: value.pin_memory() for name, value in vars(self).items()})


class Voxelizer:
    """Turns labelled points into network input; collates several clouds into a Batch.

    Args:
        spec: the model's voxels and input features.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec

    def __call__(self, clouds: Sequence[LabelledPoints]) -> Batch:
        """Collates clouds; a cloud without points in range adds nothing."""
        parts: list[tuple[NDArray, ...]] = []
        offset = 0
        for number, points in enumerate(clouds):
            grid, features = voxel_features(points.cloud, self._spec)
            used = np.flatnonzero((points.labels != UNKNOWN) & (grid.point_voxel >= 0))
            coords = np.pad(grid.coords, ((0, 0), (1, 0)), constant_values=number)
            voxels = grid.point_voxel[used].astype(np.int64) + offset
            labels = points.labels[used].astype(np.int64)
            parts.append((coords, features, voxels, labels, points.weights[used]))
            offset += len(coords)
        columns = zip(*parts, strict=True)
        return Batch(*(torch.from_numpy(np.concatenate(column)) for column in columns))


class AugmentedDraws(TorchDataset[LabelledPoints]):
    """An endless-looking set: draw k is a function of the seed and k alone.

    Every sweep is drawn once before any is drawn again. Since a draw depends on nothing else,
    a resumed run sees the very clouds it would have seen.

    Args:
        sweeps: labelled sweeps.
        indices: which of them to draw from.
        augmentation: applied to each draw.
        sector_margin: context kept around the supervised sector, radians; None keeps all.
        seed: of order and augmentation.
        draws: the length.
    """

    def __init__(
        self,
        sweeps: TeacherLabelledSweeps,
        indices: NDArray[np.int64],
        augmentation: Augmentation,
        sector_margin: float | None,
        seed: int,
        draws: int,
    ) -> None:
        self._sweeps, self._indices = sweeps, indices
        self._augmentation, self._margin = augmentation, sector_margin
        self._seed, self._draws = seed, draws

    def __len__(self) -> int:
        return self._draws

    def __getitem__(self, draw: int) -> LabelledPoints:
        turn, place = divmod(draw, len(self._indices))
        order = np.random.default_rng([self._seed, 0, turn]).permutation(self._indices)
        points = self._sweeps[int(order[place])]
        if self._margin is not None:
            points = supervised_sector(points, self._margin)
        return self._augmentation(points, np.random.default_rng([self._seed, 1, draw]))


class ResumingSampler(Sampler[int]):
    """Counts through draws from where a resumed run stands, dealing them out to its processes.

    Args:
        draws: number of draws of the whole run, of all processes.
        position: returns the first draw still to come, this process's rank, and the number of
            processes.
    """

    def __init__(self, draws: int, position: Callable[[], tuple[int, int, int]]) -> None:
        self._draws, self._position = draws, position

    def __len__(self) -> int:
        return self._draws // self._position()[2]

    def __iter__(self) -> Iterator[int]:
        first, rank, processes = self._position()
        return iter(range(first + rank, self._draws, processes))


def count_classes(
    sweeps: TeacherLabelledSweeps, indices: NDArray[np.int64], classes: int
) -> NDArray[np.float64]:
    """Sums the labels' reliability per class [C] over at most 200 sweeps, evenly chosen."""
    counts = np.zeros(classes)
    for index in evenly(indices, 200):
        points = sweeps[int(index)]
        known = points.labels != UNKNOWN
        counts += np.bincount(points.labels[known], points.weights[known], minlength=classes)
    return counts


def evenly(indices: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Chooses at most so many indices, evenly spaced."""
    return indices[:: max(1, -(-len(indices) // most))]


def split_held_back(
    count: int, share: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Splits sweep indices into those to train on and those held back, at random.

    Args:
        count: number of sweeps.
        share: share to hold back; at least one sweep is, and at least one is trained on.
        seed: of the choice.
    """
    order = np.random.default_rng(seed).permutation(count)
    held = min(max(1, round(share * count)), count - 1)
    return np.sort(order[held:]), np.sort(order[:held])
