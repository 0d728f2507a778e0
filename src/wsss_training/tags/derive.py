"""Scene tags of a labelled dataset: which classes have points in a scene."""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from wsss_perception.ontology import Ontology
from wsss_training.data.accumulate import own_points
from wsss_training.data.sample import Sample
from wsss_training.tags.scene_tags import SceneTags

MIN_POINTS = 20
"""Points that a class needs in a scene to be tagged there: fewer are often slips of the pen."""


def count_labels(samples: Iterable[Sample]) -> dict[str, NDArray[np.int64]]:
    """Counts the points of each label in each scene; one sample at a time is held.

    Of joined sweeps only a sample's own points count: the others are those of other samples.

    Returns:
        int64 [256] by scene, in the order in which scenes come; all zero without labels.
    """
    counts: dict[str, NDArray[np.int64]] = {}
    for sample in samples:
        of_scene = counts.setdefault(sample.scene, np.zeros(256, dtype=np.int64))
        if sample.labels is not None:
            own = sample.labels[own_points(sample.cloud)]
            of_scene += np.bincount(own, minlength=256)
    return counts


def map_counts(counts: NDArray[np.int64], table: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Counts the points per label of another ontology.

    Args:
        counts: int64 [256] per label.
        table: uint8 [256] from these labels to the other ontology's.
    """
    mapped = np.zeros(256, dtype=np.int64)
    np.add.at(mapped, table, counts)
    return mapped


def derive_tags(
    counts: Mapping[str, NDArray[np.int64]], ontology: Ontology, min_points: int = MIN_POINTS
) -> SceneTags:
    """Tags scenes with the classes of which they have enough points.

    A scene in which no point is of a class at all stays untagged: it is unlabelled, and nobody
    knows what is not in it.

    Args:
        counts: int64 [256] points per label, by scene.
        ontology: of the labels.
        min_points: at least so many points make a tag.
    """
    classes = {}
    for scene, of_scene in counts.items():
        known = of_scene[: len(ontology)]
        if known.any():
            names = np.array(ontology.classes)[known >= min_points]
            classes[scene] = frozenset(names.tolist())
    return SceneTags(ontology, classes)
