"""Draws and batches of MSDKT: few labels, pseudo-labels, and the places of points in images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset as TorchDataset

from wsss_perception.bundle import ModelSpec
from wsss_perception.frame import UNKNOWN
from wsss_perception.segmenter import voxel_features
from wsss_training.augment import Augmentation
from wsss_training.data.draw_order import DrawGroup, DrawOrder
from wsss_training.data.labelled_points import LabelledPoints
from wsss_training.data.placeholder import fill_empty
from wsss_training.data.scene_draws import INDEX
from wsss_training.data.transfer_sweeps import CONFIDENCE, PSEUDO_LABEL, Pairs, TransferSweeps

_UNLABELLED_STREAM = 1 << 20
"""Added to a group's stream for that of its sweeps without a label."""


@dataclass(frozen=True)
class TransferDraw:
    """An augmented cloud and what images say of it.

    Attributes:
        points: N points, with the attributes PSEUDO_LABEL and CONFIDENCE.
        pairs: of the points and the views.
        maps: of each view float32 [D, h, w].
        tags: bool [C]; None for an untagged scene.
    """

    points: LabelledPoints
    pairs: Pairs
    maps: tuple[NDArray[np.float32], ...]
    tags: NDArray[np.bool_] | None


class TransferDraws(TorchDataset[TransferDraw]):
    """An endless-looking set: draw k is a function of the seed and k alone.

    Args:
        sweeps: to draw from.
        order: which of them each draw takes.
        augmentation: applied to each draw; points that it drops lose their pairs.
        points: most points of a draw that images teach, see ``limit_seen``.
        seed: of all that is chosen.
    """

    def __init__(
        self,
        sweeps: TransferSweeps,
        order: DrawOrder,
        augmentation: Augmentation,
        points: int,
        seed: int,
    ) -> None:
        self._sweeps, self._order, self._augmentation = sweeps, order, augmentation
        self._most, self._seed = points, seed

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, draw: int) -> TransferDraw:
        rng = np.random.default_rng([self._seed, 1, draw])
        scene = self._sweeps.read(self._order[draw], rng)
        points = self._augmentation(scene.points, rng)
        pairs = scene.pairs.select_points(points.attributes[INDEX], scene.size)
        return TransferDraw(*limit_seen(points, pairs, self._most, rng), scene.maps, scene.tags)


def limit_seen(
    points: LabelledPoints, pairs: Pairs, most: int, rng: np.random.Generator
) -> tuple[LabelledPoints, Pairs]:
    """Leaves at most so many points that images teach: those of pairs, labelled ones first.

    The others lose their pairs and pseudo-labels, as do points that no chosen view sees.
    """
    seen = np.unique(pairs.point)
    if len(seen) > most:
        later = points.labels[seen] == UNKNOWN
        seen = seen[np.argsort(rng.random(len(seen)) + later)[:most]]
    taught = np.zeros(len(points), dtype=bool)
    taught[seen] = True
    pseudo = np.where(taught, points.attributes[PSEUDO_LABEL], np.uint8(UNKNOWN))
    changed = replace(points, attributes={**points.attributes, PSEUDO_LABEL: pseudo})
    return changed, pairs.select(taught[pairs.point])


def favour_labelled(groups: Sequence[DrawGroup], labelled: NDArray[np.bool_]) -> list[DrawGroup]:
    """Gives the sweeps with a label at least half of each group's draws.

    Args:
        groups: of sweeps.
        labelled: bool [S], which sweeps have a labelled point.

    Returns:
        The groups; one whose sweeps are mostly without labels becomes two of half its share.
    """
    favoured = []
    for group in groups:
        has_label = labelled[group.indices]
        if has_label.mean() >= 0.5 or not has_label.any():
            favoured.append(group)
            continue
        half, stream = group.share / 2, group.stream + _UNLABELLED_STREAM
        favoured.append(DrawGroup(group.indices[has_label], half, group.stream))
        favoured.append(DrawGroup(group.indices[~has_label], half, stream))
    return favoured


@dataclass(frozen=True)
class TransferBatch:
    """Voxels of S clouds, their N points in and out of them, and their views.

    Attributes:
        coords: int32 [V, 4] of (batch, x, y, z).
        features: float32 [V, F].
        of_point: int64 [N], the point's voxel; -1 for a point that is in none.
        scene: int64 [N], the point's cloud.
        labels: int64 [N]; UNKNOWN for none.
        pseudo_labels: int64 [N], of points without a label; UNKNOWN for none.
        confidence: float32 [N], of the pseudo-labels.
        maps: of each view float32 [D, h, w]; sizes may differ.
        pair_point: int64 [P], all in some voxel.
        pair_view: int64 [P].
        pair_uv: float32 [P, 2], see ``Pairs``.
        tags: bool [S, C].
        tagged: bool [S], which clouds have tags.
    """

    coords: torch.Tensor
    features: torch.Tensor
    of_point: torch.Tensor
    scene: torch.Tensor
    labels: torch.Tensor
    pseudo_labels: torch.Tensor
    confidence: torch.Tensor
    maps: tuple[torch.Tensor, ...]
    pair_point: torch.Tensor
    pair_view: torch.Tensor
    pair_uv: torch.Tensor
    tags: torch.Tensor
    tagged: torch.Tensor

    def to(self, device: torch.device) -> "TransferBatch":
        """Returns the batch on another device."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> "TransferBatch":
        """Returns the batch in page-locked memory."""
        return self._each(lambda tensor: tensor.pin_memory())

    def _each(self, function: Callable[[torch.Tensor], torch.Tensor]) -> "TransferBatch":
        moved: dict[str, Any] = {
            name: tuple(map(function, part)) if isinstance(part, tuple) else function(part)
            for name, part in vars(self).items()
        }
        return TransferBatch(**moved)


class TransferCollator:
    """Makes a TransferBatch of draws; points out of range lose their pairs.

    Args:
        spec: the model's voxels and input features.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec

    def __call__(self, draws: Sequence[TransferDraw]) -> TransferBatch:
        """Collates draws."""
        coords, values, of_point, pairs = [], [], [], []
        voxels = points = views = 0
        for number, draw in enumerate(draws):
            grid, features = voxel_features(draw.points.cloud, self._spec)
            inside = grid.point_voxel >= 0
            coords.append(np.pad(grid.coords, ((0, 0), (1, 0)), constant_values=number))
            values.append(features)
            of_point.append(np.where(inside, grid.point_voxel.astype(np.int64) + voxels, -1))
            kept = draw.pairs.select(inside[draw.pairs.point])
            pairs.append((kept.point + points, kept.view + views, kept.uv))
            voxels, points = voxels + len(features), points + len(inside)
            views += len(draw.maps)
        nothing = np.zeros(len(self._spec.ontology), dtype=bool)
        tags = [nothing if draw.tags is None else draw.tags for draw in draws]
        clouds = [draw.points for draw in draws]
        cells, inputs = fill_empty(np.concatenate(coords), np.concatenate(values))
        pair_point, pair_view, pair_uv = zip(*pairs, strict=True)
        return TransferBatch(
            coords=torch.from_numpy(cells),
            features=torch.from_numpy(inputs),
            of_point=_joined(of_point),
            scene=torch.from_numpy(np.repeat(np.arange(len(clouds)), [len(c) for c in clouds])),
            labels=_joined([cloud.labels for cloud in clouds]).long(),
            pseudo_labels=_joined([cloud.attributes[PSEUDO_LABEL] for cloud in clouds]).long(),
            confidence=_joined([cloud.attributes[CONFIDENCE] for cloud in clouds]),
            maps=tuple(torch.from_numpy(one) for draw in draws for one in draw.maps),
            pair_point=_joined(pair_point),
            pair_view=_joined(pair_view),
            pair_uv=_joined(pair_uv),
            tags=torch.from_numpy(np.stack(tags)),
            tagged=torch.tensor([draw.tags is not None for draw in draws]),
        )


def _joined(parts: Sequence[NDArray]) -> torch.Tensor:
    return torch.from_numpy(np.concatenate(parts))
