"""Writes pseudo-labels, such as a trained WSegPC teacher's, any number of processes together."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import torch
import yaml
from numpy.typing import NDArray

from wsss_perception.bundle import ModelSpec
from wsss_perception.errors import DatasetError
from wsss_perception.frame import UNKNOWN
from wsss_perception.networks.minkunet import MinkUNet
from wsss_perception.segmenter import voxel_features
from wsss_training.config_wsegpc import PoolConfig
from wsss_training.data.sample import Sample
from wsss_training.data.supervised_scenes import SupervisedScenes
from wsss_training.data.weak_labels import (
    INFO_FILE,
    SCHEMA,
    ChosenPoints,
    read_chosen,
    write_chosen,
)
from wsss_training.losses.consistency import region_means
from wsss_training.losses.tag_mask import center, tag_probabilities

_SILENCE = 0.05
"""A prior whose probabilities sum to less says nothing of a point: it takes it for a class that the
ontology lacks, such as sky."""
_FLOOR = 1e-3
"""Added to a prior's probabilities: its maps are rounded, and 0 would outvote every network."""
_LEAST = 1e-6
"""Least probability of a class in a network's opinion, for the same reason."""


class PseudoLabeller:
    """Labels whole samples: averaged network, tag mask, region means, argmax (WSegPC, 3.3).

    Outdoors the 2D teacher's opinion may be pooled with the network's, see ``pool_opinions``.

    Args:
        network: the averaged 3D branch, in eval mode.
        spec: its voxels, features and classes.
        pool: how much each opinion counts.
        centers: the network's logits in samples with tags and no prior, see ``center``.
    """

    def __init__(
        self, network: MinkUNet, spec: ModelSpec, pool: PoolConfig, centers: bool = False
    ) -> None:
        self._network, self._spec, self._pool = network, spec, pool
        self._centers = centers
        self._device = next(network.parameters()).device

    @property
    def classes(self) -> int:
        """Number of classes C."""
        return len(self._spec.ontology)

    @property
    def needs_prior(self) -> bool:
        """Whether the prior counts."""
        return self._pool.prior > 0

    @torch.inference_mode()
    def __call__(
        self, sample: Sample, region: NDArray[np.int32], prior: NDArray[np.float32] | None
    ) -> NDArray[np.uint8]:
        """Returns a label for each point, uint8 [N].

        Points in no voxel are UNKNOWN; so are, where the prior is pooled, those it is silent on:
        regions' means are then over the points that it speaks of.

        Args:
            sample: the sample; its tags, where it has some, say which classes can be.
            region: region of each point [N], -1 for none.
            prior: the 2D teacher's probabilities [N, C]; None where none is pooled.
        """
        labels = np.full(len(sample.cloud), UNKNOWN, dtype=np.uint8)
        grid, features = voxel_features(sample.cloud, self._spec)
        inside = np.flatnonzero(grid.point_voxel >= 0)
        if not len(inside):
            return labels
        if prior is not None:  # what gets no label has no say in others' labels
            silent = prior.sum(axis=1) < _SILENCE
            region = np.where(silent, -1, region)
        coords = np.pad(grid.coords, ((0, 0), (1, 0)))
        logits = self._network(self._tensor(coords), self._tensor(features))
        logits = logits[self._tensor(grid.point_voxel[inside].astype(np.int64))]
        if self._centers and prior is None and sample.tags is not None:
            logits = center(logits, torch.zeros_like(logits[:, 0], dtype=torch.int64), 1)
        pooled = pool_opinions(
            self._of_sample(logits, sample),
            None
            if prior is None
            else self._of_sample(log_prior(self._tensor(prior[inside])), sample),
            self._tensor(region[inside].astype(np.int64)),
            self._pool,
        )
        labels[inside] = pooled.argmax(dim=1).cpu().numpy()
        if prior is not None:
            labels[silent] = UNKNOWN
        return labels

    def _of_sample(self, logits: torch.Tensor, sample: Sample) -> torch.Tensor:
        """Probabilities among the sample's tags, where it has some."""
        tags = np.zeros(self.classes, bool) if sample.tags is None else sample.tags
        scene = torch.zeros(len(logits), dtype=torch.int64, device=self._device)
        tagged = torch.tensor([sample.tags is not None], device=self._device)
        return tag_probabilities(logits, self._tensor(tags)[None], scene, tagged)

    def _tensor(self, values: NDArray) -> torch.Tensor:
        return torch.from_numpy(values).to(self._device)


def log_prior(prior: torch.Tensor) -> torch.Tensor:
    """Logarithms of a prior's probabilities [N, C], none of them of 0; silent rows are equal."""
    return (prior + _FLOOR).log()


def pool_opinions(
    network: torch.Tensor, prior: torch.Tensor | None, region: torch.Tensor, pool: PoolConfig
) -> torch.Tensor:
    """Pools what is thought of each point: a product of probabilities, each with its exponent.

    ``own = network^a * prior^b``, normalised; ``pooled = own^(1 - r) * mean_region(own)^r``. With
    a = r = 1 and b = 0 it is WSegPC's region mean (eqs. 2 and 3); the rest is ours.

    Args:
        network: the network's probabilities [N, C].
        prior: the 2D teacher's, none of them 0 [N, C]; None for none.
        region: int64 [N], -1 for rows in no region, which keep their own.
        pool: the exponents a (``network``), b (``prior``) and r (``regions``).

    Returns:
        Probabilities up to a factor a row, float32 [N, C].
    """
    opinion = pool.network * network.clamp_min(_LEAST).log()
    if prior is not None:
        opinion = opinion + pool.prior * prior.log()
    own = opinion.softmax(dim=1)
    voted = region_means(own, region)
    return own ** (1 - pool.regions) * voted**pool.regions


def write_pseudo_labels(
    folder: Path,
    scenes: SupervisedScenes,
    indices: Iterable[int],
    labeller: PseudoLabeller,
    info: dict[str, Any],
) -> NDArray[np.int64]:
    """Writes the labels of some samples as weak labels, a file a sample, whole or not at all.

    Samples that are there are left as they are, so that a killed process goes on where it was,
    and several processes may share the folder, each with its own samples.

    Args:
        folder: of the labels; made if absent.
        scenes: the samples.
        indices: which of them to label.
        labeller: labels a sample.
        info: what the labels are of, to tell them from others; has ``ontology``.

    Returns:
        int64 [C + 1], labelled points of each class, and at last points without a label.

    Raises:
        DatasetError: the folder has labels of something else, or a sample cannot be read.
    """

    def label(index: int, sample: Sample) -> NDArray[np.uint8]:
        prior = scenes.prior_of(index, sample, labeller.classes) if labeller.needs_prior else None
        return labeller(sample, scenes.region_of(sample), prior)

    return write_labels(folder, scenes.sample, indices, label, labeller.classes, info)


def write_labels(
    folder: Path,
    read: Callable[[int], Sample],
    indices: Iterable[int],
    label: Callable[[int, Sample], NDArray[np.uint8]],
    classes: int,
    info: dict[str, Any],
) -> NDArray[np.int64]:
    """Writes the labels that a function gives samples; see ``write_pseudo_labels``.

    Args:
        folder: of the labels; made if absent.
        read: reads a sample.
        indices: of those to label.
        label: labels the points of a sample, uint8 [N], UNKNOWN for none.
        classes: how many there are, C.
        info: what the labels are of, to tell them from others; has ``ontology``.
    """
    claim_folder(folder, info)
    counts = np.zeros(classes + 1, dtype=np.int64)
    for index in indices:
        sample = read(index)
        path = folder / f"{sample.sample_id}.npz"
        chosen = _finished(path, sample, classes)
        if chosen is None:
            labels = label(index, sample)
            known = np.flatnonzero(labels != UNKNOWN)
            numbers = known.astype(np.uint32)
            chosen = ChosenPoints(sample.sample_id, numbers, labels[known], len(labels))
            _write(path, chosen)
        counts[:-1] += np.bincount(chosen.labels, minlength=classes)
        counts[-1] += chosen.points - len(chosen.labels)
    return counts


def claim_folder(folder: Path, info: dict[str, Any]) -> None:
    """Makes a folder for labels, or checks that one is for the same.

    Raises:
        DatasetError: it has labels of something else.
    """
    text = yaml.safe_dump({"schema": SCHEMA, **info}, sort_keys=False)
    path = folder / INFO_FILE
    folder.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        scratch = path.with_name(f".{path.name}.{uuid4().hex}")
        scratch.write_text(text, encoding="utf-8")
        scratch.replace(path)
    if path.read_text(encoding="utf-8") != text:
        raise DatasetError(
            f"{folder}: has labels of another network, or of other logs, of other tags, texts or "
            "embeddings, of another pool or other regions; remove it to write it anew, or choose "
            "another folder"
        )


def _write(path: Path, chosen: ChosenPoints) -> None:
    scratch = path.with_name(f".{path.stem}.{uuid4().hex}.npz")
    try:
        write_chosen(scratch, chosen)
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def _finished(path: Path, sample: Sample, classes: int) -> ChosenPoints | None:
    """The labels of a sample that are there, if they are whole."""
    if not path.exists():
        return None
    try:
        chosen = read_chosen(path, sample.sample_id, classes)
    except DatasetError:
        return None
    return chosen if chosen.points == len(sample.cloud) else None
