"""Carries a 2D teacher's labels from pixels to the points its camera sees."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsss_perception.errors import DatasetError
from wsss_perception.frame import UNKNOWN
from wsss_training.data.sample import ImageSource, Sample
from wsss_training.teachers.precomputed import TeacherMaps


def project_teacher(
    sample: Sample, teacher: Callable[[Path], TeacherMaps], mapping: NDArray[np.uint8]
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Gives every visible point the teacher's label of its pixel.

    A point seen by several cameras takes the most confident label that the target ontology has.

    Args:
        sample: a sweep with its images.
        teacher: reads the maps of an image.
        mapping: from the teacher's labels to the target ontology's, uint8 [256].

    Returns:
        Labels uint8 [N] in the target ontology, UNKNOWN for points that are unseen, hidden or
        of a class the target lacks; and the teacher's confidence float32 [N], 0 there.
    """
    labels = np.full(len(sample.cloud), UNKNOWN, dtype=np.uint8)
    confidence = np.zeros(len(sample.cloud), dtype=np.float32)
    for image in sample.images:
        maps = teacher(image.path)
        for values in (maps.labels, maps.confidence):
            check_shape(values, image)
        index, uv = image.visible_points(sample.cloud.xyz)
        found = mapping[_sample_nearest(maps.labels, uv, image)]
        scores = _sample_nearest(maps.confidence, uv, image)
        better = (found != UNKNOWN) & (scores > confidence[index])
        labels[index[better]] = found[better]
        confidence[index[better]] = scores[better]
    return labels, confidence


def project_probabilities(
    sample: Sample,
    probabilities: Callable[[Path], NDArray[np.float32]],
    mapping: NDArray[np.uint8],
    classes: int,
) -> NDArray[np.float32]:
    """Gives every visible point the teacher's probabilities of its pixel, mean over the cameras.

    Args:
        sample: a sweep with its images.
        probabilities: reads those of an image [teacher's classes, h, w], at any resolution.
        mapping: from the teacher's labels to the target ontology's, uint8 [256].
        classes: number C of the target ontology's classes.

    Returns:
        float32 [N, C]; what the teacher gives to classes that the target lacks is missing in a
        row's sum, and rows of points that no camera sees are 0.
    """
    total = np.zeros((len(sample.cloud), classes), dtype=np.float32)
    seen = np.zeros(len(sample.cloud), dtype=np.float32)
    for image in sample.images:
        maps = probabilities(image.path)
        check_shape(maps[0], image)
        mapped = np.zeros((classes, *maps.shape[1:]), dtype=np.float32)
        known = np.flatnonzero(mapping[: len(maps)] < classes)
        np.add.at(mapped, mapping[known], maps[known])
        index, uv = image.visible_points(sample.cloud.xyz)
        total[index] += _sample_bilinear(mapped, uv, image)
        seen[index] += 1
    return total / np.maximum(seen, np.float32(1))[:, None]


def check_shape(values: NDArray, image: ImageSource) -> None:
    """Raises DatasetError unless a map has the image's shape, at any resolution."""
    height, width = values.shape
    expected = width * image.camera.height / image.camera.width
    if abs(height - expected) > 1.5:  # sizes are rounded
        raise DatasetError(
            f"{image.path}: has {image.camera.width}x{image.camera.height} pixels, but one of its "
            f"teacher maps {width}x{height}; maps must be of the whole image, not of a part of it"
        )


def _sample_nearest(values: NDArray, uv: NDArray[np.float64], image: ImageSource) -> NDArray:
    """Reads a map of any resolution at pixel coordinates [M, 2] of the full image."""
    height, width = values.shape
    scale = np.array([width / image.camera.width, height / image.camera.height])
    column, row = np.floor((uv + 0.5) * scale).astype(np.int64).T
    return values[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)]


def _sample_bilinear(
    maps: NDArray[np.float32], uv: NDArray[np.float64], image: ImageSource
) -> NDArray[np.float32]:
    """Reads maps [C, h, w] between their pixels' centres, at pixels [M, 2] of the full image."""
    _, height, width = maps.shape
    scale = np.array([width / image.camera.width, height / image.camera.height])
    place = np.clip((uv + 0.5) * scale - 0.5, 0, [width - 1, height - 1])
    low = place.astype(np.int64)
    high = np.minimum(low + 1, [width - 1, height - 1])
    right, below = (place - low).astype(np.float32).T
    upper = maps[:, low[:, 1], low[:, 0]] * (1 - right) + maps[:, low[:, 1], high[:, 0]] * right
    lower = maps[:, high[:, 1], low[:, 0]] * (1 - right) + maps[:, high[:, 1], high[:, 0]] * right
    return (upper * (1 - below) + lower * below).T
