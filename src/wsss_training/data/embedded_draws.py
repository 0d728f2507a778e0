"""Draws for 3DSS-VLG: points with the fused embeddings of those that cameras see."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset as TorchDataset

from wsss_perception.bundle import ModelSpec
from wsss_perception.segmenter import voxel_features
from wsss_training.augment import Augmentation
from wsss_training.data.draw_order import DrawOrder
from wsss_training.data.fused_store import FusedStore, draw_some, rows_of
from wsss_training.data.labelled_points import LabelledPoints
from wsss_training.data.placeholder import fill_empty
from wsss_training.data.scene_draws import REGION
from wsss_training.data.supervised_sweeps import SupervisedSource, SupervisedSweeps
from wsss_training.regions.cached import CachedRegions

ROW = "row"
"""Attribute of points: their row among a sample's seen points, -1 for unseen ones."""


class EmbeddedSweeps(SupervisedSweeps):
    """Pseudo-labelled sweeps whose points know their rows in a store of fused embeddings.

    Args:
        sources: where the sweeps are from.
        stores: of the embeddings of each source.
        regions: of the points; None where none count.
    """

    def __init__(
        self,
        sources: Sequence[SupervisedSource],
        stores: Sequence[FusedStore],
        regions: CachedRegions | None = None,
    ) -> None:
        super().__init__(sources)
        self._stores, self._regions = stores, regions

    def __getitem__(self, index: int) -> LabelledPoints:
        points, name = super().__getitem__(index), self.sample_id(index)
        known = {ROW: rows_of(self.store(index).seen(name))}
        if self._regions is not None:
            known[REGION] = self._regions(name, points.cloud).astype(np.int64)
        return replace(points, attributes={**points.attributes, **known})

    def store(self, index: int) -> FusedStore:
        """The store of a sweep's embeddings."""
        return self._stores[self.source[index]]

    def sample_id(self, index: int) -> str:
        """The id of a sweep's sample, without reading it."""
        return self.sources[self.source[index]].dataset.sample_ids[self._indices[index]]


@dataclass(frozen=True)
class EmbeddedPoints:
    """A cloud and the embeddings of some of its points.

    Attributes:
        points: the cloud.
        chosen: int64 [n], the points with embeddings.
        embeddings: float32 [n, D].
        region: int64 [n], their regions; -1 for none.
    """

    points: LabelledPoints
    chosen: NDArray[np.int64]
    embeddings: NDArray[np.float32]
    region: NDArray[np.int64]


class EmbeddedDraws(TorchDataset[EmbeddedPoints]):
    """Augmented draws with embeddings: draw k is a function of the seed and k alone.

    Args:
        sweeps: with their stores.
        order: which of them each draw takes.
        augmentation: applied to each draw.
        sector_margin: see ``AugmentedDraws``.
        points: most points with embeddings in a draw, chosen at random among the seen ones.
        seed: of the augmentation and the choice.
    """

    def __init__(
        self,
        sweeps: EmbeddedSweeps,
        order: DrawOrder,
        augmentation: Augmentation,
        sector_margin: float | None,
        points: int,
        seed: int,
    ) -> None:
        self._sweeps, self._order, self._augmentation = sweeps, order, augmentation
        self._margin, self._most, self._seed = sector_margin, points, seed

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, draw: int) -> EmbeddedPoints:
        rng, index = np.random.default_rng([self._seed, 1, draw]), self._order[draw]
        points = self._augmentation(self._sweeps.sector(index, self._margin, rng), rng)
        rows = points.attributes[ROW]
        chosen = draw_some(np.flatnonzero(rows >= 0), self._most, rng)
        read, name = self._sweeps.store(index).read, self._sweeps.sample_id(index)
        region = points.attributes.get(REGION, np.full(len(rows), -1))[chosen]
        return EmbeddedPoints(points, chosen, read(name, rows[chosen]), region)


@dataclass(frozen=True)
class EmbeddedBatch:
    """Voxels of several clouds and the embeddings of some points in them.

    Attributes:
        coords: int32 [V, 4] of (batch, x, y, z).
        features: float32 [V, F].
        voxels: int64 [P], voxel of each point with an embedding.
        embeddings: float32 [P, D].
        region: int64 [P], unique over the batch; -1 for none.
        labels: int64 [P], their pseudo-labels, UNKNOWN for none.
    """

    coords: torch.Tensor
    features: torch.Tensor
    voxels: torch.Tensor
    embeddings: torch.Tensor
    region: torch.Tensor
    labels: torch.Tensor

    def to(self, device: torch.device) -> "EmbeddedBatch":
        """Returns the batch on another device."""
        moved = {name: value.to(device, non_blocking=True) for name, value in vars(self).items()}
        return EmbeddedBatch(**moved)

    def pin_memory(self) -> "EmbeddedBatch":
        """Returns the batch in page-locked memory."""
        return EmbeddedBatch(**{name: value.pin_memory() for name, value in vars(self).items()})


class EmbeddedCollator:
    """Collates clouds into network input; points out of range lose their embeddings.

    Args:
        spec: the model's voxels and input features.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec

    def __call__(self, clouds: Sequence[EmbeddedPoints]) -> EmbeddedBatch:
        """Collates clouds; see ``Voxelizer``."""
        parts: list[tuple[NDArray, ...]] = []
        offset, regions = 0, 0
        for number, cloud in enumerate(clouds):
            grid, features = voxel_features(cloud.points.cloud, self._spec)
            coords = np.pad(grid.coords, ((0, 0), (1, 0)), constant_values=number)
            voxels = grid.point_voxel[cloud.chosen].astype(np.int64)
            inside = voxels >= 0
            region = np.where(cloud.region >= 0, cloud.region + regions, -1)
            labels = cloud.points.labels[cloud.chosen].astype(np.int64)
            embedded = (voxels + offset, cloud.embeddings, region, labels)
            parts.append((coords, features, *(column[inside] for column in embedded)))
            offset += len(coords)
            regions += int(cloud.region.max(initial=-1)) + 1
        coords, features, *others = (np.concatenate(column) for column in zip(*parts, strict=True))
        columns = (*fill_empty(coords, features), *others)
        return EmbeddedBatch(*(torch.from_numpy(column) for column in columns))
