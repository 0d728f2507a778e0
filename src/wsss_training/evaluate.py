"""Scores a segmenter against the labels of a dataset."""

from collections.abc import Iterable, Sequence

import numpy as np

from wsss_perception.errors import DatasetError
from wsss_perception.frame import Frame
from wsss_perception.ontology import Ontology
from wsss_perception.segmenter import Segmenter
from wsss_training.data.accumulate import own_points
from wsss_training.data.sample import Sample, scene_of
from wsss_training.metrics import ConfusionMatrix


def evaluate(segmenter: Segmenter, samples: Iterable[Sample]) -> ConfusionMatrix:
    """Segments every sweep, with no images, and counts what is right.

    Of accumulated sweeps only the points of a sample's own sweep are counted, so that each is
    counted once, as in SemanticKITTI's multi-scan task.

    Raises:
        DatasetError: a sample has no labels.
    """
    matrix = ConfusionMatrix(len(segmenter.spec.ontology))
    for sample in samples:
        if sample.labels is None:
            raise DatasetError(
                f"{sample.sample_id}: no labels to score against; leave its log out with --option, "
                "see docs/datasets.md"
            )
        own = own_points(sample.cloud)
        matrix.update(sample.labels[own], segmenter(Frame(sample.cloud)).labels[own])
    return matrix


def scene_starts_first(sample_ids: Sequence[str]) -> list[int]:
    """Orders samples, by index, so that the first of each scene come before all others.

    A log without labels then ends an evaluation early, not after hours.
    """
    _, first = np.unique([scene_of(sample_id) for sample_id in sample_ids], return_index=True)
    rest = np.setdiff1d(np.arange(len(sample_ids)), first)
    return [*np.sort(first).tolist(), *rest.tolist()]


def check_same_classes(labels: Ontology | None, model: Ontology) -> Ontology:
    """Returns the ontology of a dataset's labels.

    Raises:
        DatasetError: it has none, or its classes are not the model's.
    """
    if labels is None:
        raise DatasetError("the dataset has no labels to score against")
    if labels.classes != model.classes:
        raise DatasetError(f"the labels are of '{labels.name}', the model of '{model.name}'")
    return labels
