"""Fused embeddings with pseudo-labels, some points of a sample at a time and without its cloud."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset as TorchDataset

from wsss_training.data.draw_order import DrawOrder
from wsss_training.data.embedded_draws import EmbeddedSweeps
from wsss_training.data.fused_store import draw_some, rows_of
from wsss_training.data.weak_labels import read_chosen

Rows = tuple[NDArray[np.float32], NDArray[np.int64]]
"""Embeddings [n, D] and labels [n] of points."""


class LabelledRows(TorchDataset[Rows]):
    """Draws of labelled points: draw k is a function of the seed and k alone.

    Args:
        sweeps: with their stores of embeddings.
        folders: of the pseudo-labels of each source.
        classes: how many there are.
        order: the sweep of each draw; None for one without points.
        points: most points of a draw.
        seed: of the choice.
    """

    def __init__(
        self,
        sweeps: EmbeddedSweeps,
        folders: Sequence[Path],
        classes: int,
        order: Sequence[int | None] | DrawOrder,
        points: int,
        seed: int,
    ) -> None:
        self._sweeps, self._folders, self._classes = sweeps, folders, classes
        self._order, self._most, self._seed = order, points, seed

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, draw: int) -> Rows:
        index = self._order[draw]
        sweep, most = (0, 0) if index is None else (index, self._most)
        name, store = self._sweeps.sample_id(sweep), self._sweeps.store(sweep)
        path = self._folders[self._sweeps.source[sweep]] / f"{name}.npz"
        labelled = read_chosen(path, name, self._classes)
        rng = np.random.default_rng([self._seed, 2, draw])
        chosen = draw_some(np.arange(len(labelled.labels)), most, rng)
        rows = rows_of(store.seen(name))[labelled.indices[chosen]]
        return store.read(name, rows), labelled.labels[chosen].astype(np.int64)


def collate_rows(draws: Sequence[Rows]) -> tuple[torch.Tensor, torch.Tensor]:
    """Joins draws to one batch of embeddings [N, D] and labels [N]."""
    embeddings, labels = zip(*draws, strict=True)
    return torch.from_numpy(np.concatenate(embeddings)), torch.from_numpy(np.concatenate(labels))
