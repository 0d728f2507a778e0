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
            _check_shape(values, image)
        index, uv = image.visible_points(sample.cloud.xyz)
        found = mapping[_sample_nearest(maps.labels, uv, image)]
        scores = _sample_nearest(maps.confidence, uv, image)
        better = (found != UNKNOWN) & (scores > confidence[index])
        labels[index[better]] = found[better]
        confidence[index[better]] = scores[better]
    return labels, confidence


def _check_shape(values: NDArray, image: ImageSource) -> None:
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
