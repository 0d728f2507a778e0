"""Writes the pseudo-labels of a trained WSegPC teacher, any number of processes together."""

import hashlib
from collections.abc import Iterable, Sequence
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
from wsss_training.losses.tag_mask import tag_probabilities


class PseudoLabeller:
    """Labels whole samples: averaged network, tag mask, region means, argmax (WSegPC, 3.3).

    Args:
        network: the averaged 3D branch, in eval mode.
        spec: its voxels, features and classes.
        with_regions: whether points vote within their regions.
    """

    def __init__(self, network: MinkUNet, spec: ModelSpec, with_regions: bool) -> None:
        self._network, self._spec, self._with_regions = network, spec, with_regions
        self._device = next(network.parameters()).device

    @torch.inference_mode()
    def __call__(self, sample: Sample, region: NDArray[np.int32]) -> NDArray[np.uint8]:
        """Returns a label for each point, uint8 [N]; UNKNOWN for points in no voxel.

        Args:
            sample: the sample; its tags, where it has some, say which classes can be.
            region: region of each point [N], -1 for none.
        """
        grid, features = voxel_features(sample.cloud, self._spec)
        labels = np.full(len(sample.cloud), UNKNOWN, dtype=np.uint8)
        inside = np.flatnonzero(grid.point_voxel >= 0)
        if not len(inside):
            return labels
        coords = np.pad(grid.coords, ((0, 0), (1, 0)))
        logits = self._network(self._tensor(coords), self._tensor(features))
        logits = logits[self._tensor(grid.point_voxel[inside].astype(np.int64))]
        tags = np.zeros(len(self._spec.ontology), bool) if sample.tags is None else sample.tags
        scene = torch.zeros(len(inside), dtype=torch.int64, device=self._device)
        tagged = torch.tensor([sample.tags is not None], device=self._device)
        probabilities = tag_probabilities(logits, self._tensor(tags)[None], scene, tagged)
        if self._with_regions:
            own = self._tensor(region[inside].astype(np.int64))
            probabilities = region_means(probabilities, own)
        labels[inside] = probabilities.argmax(dim=1).cpu().numpy()
        return labels

    def _tensor(self, values: NDArray) -> torch.Tensor:
        return torch.from_numpy(values).to(self._device)


def write_pseudo_labels(
    folder: Path,
    scenes: SupervisedScenes,
    indices: Iterable[int],
    labeller: PseudoLabeller,
    info: dict[str, Any],
) -> None:
    """Writes the labels of some samples as weak labels, a file a sample, whole or not at all.

    Samples that are there are left as they are, so that a killed process goes on where it was,
    and several processes may share the folder, each with its own samples.

    Args:
        folder: of the labels; made if absent.
        scenes: the samples.
        indices: which of them to label.
        labeller: labels a sample.
        info: what the labels are of, to tell them from others; has ``ontology``.

    Raises:
        DatasetError: the folder has labels of something else, or a sample cannot be read.
    """
    claim_folder(folder, info)
    for index in indices:
        sample = scenes.sample(index)
        path = folder / f"{sample.sample_id}.npz"
        if _is_done(path, sample, len(labeller._spec.ontology)):
            continue
        labels = labeller(sample, scenes.region_of(sample))
        known = np.flatnonzero(labels != UNKNOWN)
        chosen = ChosenPoints(sample.sample_id, known.astype(np.uint32), labels[known], len(labels))
        scratch = path.with_name(f".{path.stem}.{uuid4().hex}.npz")
        try:
            write_chosen(scratch, chosen)
            scratch.replace(path)
        finally:
            scratch.unlink(missing_ok=True)


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
        raise DatasetError(f"{folder}: has labels of another network; remove it to write it anew")


def digest(files: Sequence[Path]) -> str:
    """SHA-256 of files' contents."""
    result = hashlib.sha256()
    for path in files:
        result.update(path.read_bytes())
    return result.hexdigest()


def _is_done(path: Path, sample: Sample, classes: int) -> bool:
    if not path.exists():
        return False
    try:
        return read_chosen(path, sample.sample_id, classes).points == len(sample.cloud)
    except DatasetError:
        return False
