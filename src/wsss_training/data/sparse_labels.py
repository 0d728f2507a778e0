"""Draws a few labelled points from a fully labelled set, to study learning from few of them.

Each point has a random key, a function of the seed, the sample's id and the point's place in it.
Where points are to be chosen, those of the smallest keys are: of a sweep for a share, which thus
does not depend on other sweeps; of all sweeps read of a scene for points per class and scribbles.
The order of the sweeps never matters.
"""

import hashlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from wsss_perception.errors import DatasetError
from wsss_perception.frame import UNKNOWN
from wsss_perception.progress import tracked
from wsss_training.data.accumulate import own_points
from wsss_training.data.sample import Dataset, Sample
from wsss_training.data.weak_labels import ChosenPoints

STROKE_LENGTH = 3.0
"""How far a scribble reaches from its first point, metres."""

STROKE_RADIUS = 0.15
"""How far a scribble's points lie from its line, metres."""

_CANDIDATE = np.dtype([("key", "f8"), ("sample", "i8"), ("index", "i8"), ("label", "u1")])


def draw_share(dataset: Dataset, share: float, seed: int) -> Iterator[ChosenPoints]:
    """Draws a share of the labelled points of each sample, to the nearest whole number of points.

    Args:
        dataset: with labels.
        share: above 0, at most 1.
        seed: of the draw, not negative.

    Raises:
        DatasetError: a sample without labels, or one that cannot be read.
    """
    for number in tracked(range(len(dataset)), "sweeps", len(dataset)):
        sample = dataset[number]
        labels, candidates = _labelled(sample)
        keys = _generator(seed, sample.sample_id).random(len(labels))[candidates]
        chosen = candidates[_smallest(keys, round(share * len(candidates)))]
        yield _chosen(sample.sample_id, chosen, labels[chosen], len(labels))


def draw_per_class(dataset: Dataset, count: int, seed: int) -> Iterator[ChosenPoints]:
    """Draws so many points of each class and scene, from all sweeps of the scene together.

    Of a class with fewer points in a scene, all are taken.

    Args:
        dataset: with labels.
        count: at least 1.
        seed: of the draw, not negative.

    Raises:
        DatasetError: a sample without labels, or one that cannot be read.
    """
    found, lengths = _draw_candidates(dataset, count, seed)
    for number, sample_id in enumerate(dataset.sample_ids):
        mine = found[found["sample"] == number] if len(found) else found
        yield _chosen(sample_id, mine["index"], mine["label"], lengths[number])


def draw_scribbles(dataset: Dataset, strokes: int, seed: int) -> Iterator[ChosenPoints]:
    """Simulates scribbles: so many short strokes of each class and scene.

    A stroke starts at a random point of the class and takes the points of the class, of the same
    sweep, that lie along a line in a random horizontal direction. Strokes may cross. A person
    draws other ones: see ScribbleKITTI for real scribbles.

    Args:
        dataset: with labels.
        strokes: at least 1.
        seed: of the draw, not negative.

    Raises:
        DatasetError: a sample without labels, or one that cannot be read.
    """
    found, lengths = _draw_candidates(dataset, strokes, seed)
    for number in tracked(range(len(dataset)), "sweeps drawn on", len(dataset)):
        starts = found[found["sample"] == number]
        indices, labels = starts["index"], starts["label"]
        if len(starts):
            indices, labels = _draw_strokes(dataset[number], starts, seed)
        yield _chosen(dataset.sample_ids[number], indices, labels, lengths[number])


def _draw_strokes(
    sample: Sample, starts: NDArray, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Returns indices and labels of the points on the strokes from rows of _CANDIDATE."""
    labels, candidates = _labelled(sample)
    is_drawn = np.zeros(len(labels), dtype=bool)
    for start in starts:
        of_class = candidates[labels[candidates] == start["label"]]
        rng = _generator(seed, f"{sample.sample_id} {start['index']}")
        is_near = on_stroke(sample.cloud.xyz[of_class], sample.cloud.xyz[start["index"]], rng)
        is_drawn[of_class[is_near]] = True
    chosen = np.flatnonzero(is_drawn)
    return chosen, labels[chosen]


def on_stroke(
    xyz: NDArray[np.float32], start: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Tells which points [N, 3] lie on a stroke from ``start`` [3]; the start does."""
    angle = rng.uniform(0, 2 * np.pi)
    direction = np.array([np.cos(angle), np.sin(angle), 0.0])
    offset = xyz.astype(np.float64) - start
    along = offset @ direction
    across = np.linalg.norm(offset - along[:, None] * direction, axis=1)
    return (along >= 0) & (along <= STROKE_LENGTH) & (across <= STROKE_RADIUS)


def _draw_candidates(dataset: Dataset, count: int, seed: int) -> tuple[NDArray, list[int]]:
    """Draws ``count`` points of each class and scene.

    Returns:
        Their rows of _CANDIDATE, and how many points each sample has.
    """
    best: dict[tuple[str, int], NDArray] = {}
    lengths = []
    for number in tracked(range(len(dataset)), "sweeps", len(dataset)):
        sample = dataset[number]
        labels, candidates = _labelled(sample)
        lengths.append(len(labels))
        keys = _generator(seed, sample.sample_id).random(len(labels))
        for label in np.unique(labels[candidates]):
            of_class = candidates[labels[candidates] == label]
            of_class = of_class[_smallest(keys[of_class], count)]
            rows = np.empty(len(of_class), dtype=_CANDIDATE)
            rows["key"], rows["index"] = keys[of_class], of_class
            rows["sample"], rows["label"] = number, label
            place = (sample.scene, int(label))
            rows = np.concatenate([best[place], rows]) if place in best else rows
            best[place] = rows[_smallest(rows["key"], count)]
    return np.concatenate([np.empty(0, dtype=_CANDIDATE), *best.values()]), lengths


def _labelled(sample: Sample) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Returns the labels of a sample, and which points may be drawn: valid ones of its own sweep.

    Raises:
        DatasetError: it has no labels.
    """
    if sample.labels is None:
        raise DatasetError(f"{sample.sample_id}: no labels to draw from; leave its log out")
    is_valid = np.isfinite(sample.cloud.xyz).all(axis=1) & own_points(sample.cloud)
    return sample.labels, np.flatnonzero(is_valid & (sample.labels != UNKNOWN))


def _generator(seed: int, name: str) -> np.random.Generator:
    """Returns the random numbers that belong to a seed and a name."""
    digest = hashlib.sha256(name.encode()).digest()
    return np.random.default_rng([seed, *np.frombuffer(digest, dtype="<u4").tolist()])


def _smallest(values: NDArray, count: int) -> NDArray[np.int64]:
    """Returns where the ``count`` smallest values are, or all if there are not so many."""
    if count >= len(values):
        return np.arange(len(values))
    return np.argpartition(values, count)[:count]


def _chosen(
    sample_id: str, indices: NDArray[np.int64], labels: NDArray[np.uint8], points: int
) -> ChosenPoints:
    order = np.argsort(indices)
    return ChosenPoints(sample_id, indices[order].astype(np.uint32), labels[order], points)
