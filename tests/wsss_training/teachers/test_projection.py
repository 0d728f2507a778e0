from pathlib import Path

import numpy as np
import pytest

from wsss_perception.frame import UNKNOWN, PointCloud
from wsss_perception.geometry import Camera, make_transform
from wsss_training.data.sample import ImageSource, Sample
from wsss_training.teachers.precomputed import TeacherMaps
from wsss_training.teachers.projection import project_teacher

CAMERA = Camera(40, 20, np.array([[20.0, 0, 19.5], [0, 20, 9.5], [0, 0, 1]]))
AXES = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])
POINTS = np.float32([[10, 3, 0], [10, -3, 0], [-10, 0, 0], [10, 40, 0], [np.nan, 0, 0]])
"""Left half of the image, right half, behind, outside, invalid."""


def sample_with(*names):
    images = [
        ImageSource(name, Path(name), CAMERA, make_transform(AXES, np.zeros(3)), 0)
        for name in names
    ]
    return Sample("00/0", "00", PointCloud(POINTS), tuple(images))


def halves(left, right, left_confidence, right_confidence):
    labels = np.repeat(np.uint8([[left, right]]), 20, axis=1).repeat(20, axis=0)
    confidence = np.repeat(np.float32([[left_confidence, right_confidence]]), 10, axis=1)
    return TeacherMaps(labels, confidence.repeat(10, axis=0))  # half resolution


def mapping_of(**known):
    table = np.full(256, UNKNOWN, np.uint8)
    for source, target in known.items():
        table[int(source[1:])] = target
    return table


def test_project_teacher_takes_the_pixels_mapped_label_and_confidence():
    mapping = mapping_of(_3=7, _4=9)
    labels, confidence = project_teacher(
        sample_with("a"), lambda _: halves(3, 4, 0.9, 0.6), mapping
    )
    assert labels.tolist() == [7, 9, UNKNOWN, UNKNOWN, UNKNOWN]
    assert confidence.tolist() == pytest.approx([0.9, 0.6, 0, 0, 0])


def test_project_teacher_ignores_classes_the_target_lacks():
    labels, confidence = project_teacher(
        sample_with("a"), lambda _: halves(3, 4, 0.9, 0.6), mapping_of(_4=9)
    )
    assert labels.tolist()[:2] == [UNKNOWN, 9]
    assert confidence[0] == 0.0


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_project_teacher_prefers_the_most_confident_camera_with_a_known_class(order):
    maps = {"a": halves(3, 4, 0.5, 0.6), "b": halves(4, 5, 0.7, 0.9)}
    labels, confidence = project_teacher(
        sample_with(*order), lambda path: maps[path.name], mapping_of(_3=7, _4=9)
    )
    assert labels.tolist()[:2] == [9, 9]  # b on the left; a on the right, b's class is unknown
    assert confidence.tolist()[:2] == pytest.approx([0.7, 0.6])
