"""Training clouds from supervised sweeps, in a reproducible endless order."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Sampler
from torch.utils.data import Dataset as TorchDataset

from wsss_perception.bundle import ModelSpec
from wsss_perception.frame import UNKNOWN
from wsss_perception.segmenter import voxel_features
from wsss_training.augment import Augmentation
from wsss_training.data.draw_order import DrawGroup, DrawOrder
from wsss_training.data.labelled_points import LabelledPoints
from wsss_training.data.placeholder import fill_empty
from wsss_training.data.supervised_sweeps import SupervisedSweeps


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
        """Collates clouds; a cloud without points in range adds nothing, see ``fill_empty``."""
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
        coords, features, *others = (np.concatenate(column) for column in zip(*parts, strict=True))
        columns = (*fill_empty(coords, features), *others)
        return Batch(*(torch.from_numpy(column) for column in columns))


class AugmentedDraws(TorchDataset[LabelledPoints]):
    """An endless-looking set: draw k is a function of the seed and k alone.

    Since a draw depends on nothing else, a resumed run sees the very clouds it would have seen.

    Args:
        sweeps: labelled sweeps.
        order: which of them each draw takes.
        augmentation: applied to each draw.
        sector_margin: context kept around the supervised sector, radians; None keeps all.
        seed: of the augmentation.
    """

    def __init__(
        self,
        sweeps: SupervisedSweeps,
        order: DrawOrder,
        augmentation: Augmentation,
        sector_margin: float | None,
        seed: int,
    ) -> None:
        self._sweeps, self._order = sweeps, order
        self._augmentation, self._margin, self._seed = augmentation, sector_margin, seed

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, draw: int) -> LabelledPoints:
        rng = np.random.default_rng([self._seed, 1, draw])
        return self._augmentation(self._sweeps.sector(self._order[draw], self._margin, rng), rng)


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


def resuming_loader(
    draws: TorchDataset,
    batch_size: int,
    position: Callable[[], tuple[int, int, int]],
    collate: Callable[[list], Any],
    workers: int,
) -> DataLoader:
    """Loads the draws of a run, in their order, from where it stands.

    Args:
        draws: of the whole run, of all processes; their number is their length.
        batch_size: draws a step and process.
        position: see ``ResumingSampler``.
        collate: makes a batch of draws.
        workers: processes that draw; 0 draws in this one.
    """
    return DataLoader(
        draws,
        batch_size=batch_size,
        sampler=ResumingSampler(len(draws), position),  # type: ignore[arg-type]
        collate_fn=collate,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
    )


def count_classes(
    sweeps: SupervisedSweeps,
    groups: Sequence[DrawGroup],
    sector_margin: float | None,
    classes: int,
) -> NDArray[np.float64]:
    """Sums the labels' reliability per class [C] as draws of the groups will see them.

    Args:
        sweeps: labelled sweeps.
        groups: of sweeps to train on; at most 200 of each are read, evenly chosen.
        sector_margin: as for ``AugmentedDraws``.
        classes: C.
    """
    counts = np.zeros(classes)
    for group in groups:
        chosen = evenly(group.indices, 200)
        scale = group.share / len(chosen) if len(groups) > 1 else 1.0
        for index in chosen:
            points = sweeps.sector(int(index), sector_margin, np.random.default_rng(index))
            known = points.labels != UNKNOWN
            weights = scale * points.weights[known]
            counts += np.bincount(points.labels[known], weights, minlength=classes)
    return counts


def evenly(indices: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Chooses at most so many indices, evenly spaced."""
    return indices[:: max(1, -(-len(indices) // most))]


def choose_held_back(candidates: NDArray[np.int64], share: float, seed: int) -> NDArray[np.int64]:
    """Chooses sweep indices to keep from training, at random, in ascending order.

    Args:
        candidates: indices of at least two sweeps.
        share: share to hold back; at least one sweep is, and at least one is not.
        seed: of the choice.
    """
    count = len(candidates)
    order = np.random.default_rng(seed).permutation(count)
    held = min(max(1, round(share * count)), count - 1)
    return np.sort(candidates[order[:held]])
