"""Scores a segmenter against the labels of a dataset."""

from collections.abc import Iterable, Sequence

import numpy as np

from wsss_perception.bundle import ModelSpec
from wsss_perception.errors import ConfigError, DatasetError
from wsss_perception.frame import Frame
from wsss_perception.ontology import Ontology
from wsss_perception.segmenter import Segmenter
from wsss_training.data.accumulate import own_points
from wsss_training.data.sample import ImageSource, Sample, scene_of
from wsss_training.metrics import ConfusionMatrix

ALL_CAMERAS, NO_CAMERAS = "all", "none"


def evaluate(
    segmenter: Segmenter, samples: Iterable[Sample], cameras: str = NO_CAMERAS
) -> ConfusionMatrix:
    """Segments every sweep and counts what is right.

    Of accumulated sweeps only the points of a sample's own sweep are counted, so that each is
    counted once, as in SemanticKITTI's multi-scan task.

    Args:
        segmenter: the model.
        samples: with their labels, and their images unless ``cameras`` is NO_CAMERAS.
        cameras: whose images it gets: ALL_CAMERAS, NO_CAMERAS or the name of one.

    Raises:
        DatasetError: a sample has no labels, or not the camera's image, or one that is damaged.
    """
    matrix = ConfusionMatrix(len(segmenter.spec.ontology))
    for sample in samples:
        if sample.labels is None:
            raise DatasetError(
                f"{sample.sample_id}: no labels to score against; leave its log out with --option, "
                "see docs/datasets.md"
            )
        views = tuple(image.load() for image in _images_of(sample, cameras))
        own = own_points(sample.cloud)
        matrix.update(sample.labels[own], segmenter(Frame(sample.cloud, views)).labels[own])
    return matrix


def choose_cameras(asked: str | None, spec: ModelSpec) -> str:
    """Returns what ``evaluate`` takes as ``cameras``: what was asked for, or all a model can take.

    Raises:
        ConfigError: images are asked for, and the model takes none.
    """
    if asked is None:
        return ALL_CAMERAS if spec.takes_images else NO_CAMERAS
    if asked != NO_CAMERAS and not spec.takes_images:
        raise ConfigError(
            f"--cameras {asked}: the bundle has 'cameras: none' and takes no images; leave the "
            "option out, or train with model.cameras=optional"
        )
    return asked


def _images_of(sample: Sample, cameras: str) -> list[ImageSource]:
    if cameras == NO_CAMERAS:
        return []
    if cameras == ALL_CAMERAS:
        return list(sample.images)
    chosen = [image for image in sample.images if image.name == cameras]
    if not chosen:
        there = ", ".join(image.name for image in sample.images) or "none"
        raise DatasetError(f"{sample.sample_id}: no image of camera '{cameras}'; there are {there}")
    return chosen


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
