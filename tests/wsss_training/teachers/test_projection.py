from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsss_perception.errors import DatasetError
from wsss_perception.frame import UNKNOWN, PointCloud
from wsss_perception.geometry import Camera, make_transform
from wsss_training.data.sample import ImageSource, Sample
from wsss_training.teachers.precomputed import TeacherMaps
from wsss_training.teachers.projection import project_probabilities, project_teacher

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


def literal_probabilities(sample, maps_of, mapping, classes):
    """Means over the cameras that see a point, each read between the four nearest map pixels."""
    seen_by = {n: [] for n in range(len(sample.cloud))}
    for image in sample.images:
        maps = maps_of(image.path)
        _, height, width = maps.shape
        for point, (u, v) in zip(*image.visible_points(sample.cloud.xyz), strict=True):
            x = min(max((u + 0.5) * width / image.camera.width - 0.5, 0), width - 1)
            y = min(max((v + 0.5) * height / image.camera.height - 0.5, 0), height - 1)
            row = np.zeros(classes)
            for label, its_map in enumerate(maps):
                value = sum(
                    max(0, 1 - abs(x - column)) * max(0, 1 - abs(y - line)) * its_map[line, column]
                    for line in range(height)
                    for column in range(width)
                )
                if mapping[label] != UNKNOWN:
                    row[mapping[label]] += value
            seen_by[point].append(row)
    return np.array(
        [np.mean(rows, axis=0) if rows else np.zeros(classes) for rows in seen_by.values()]
    )


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.sampled_from([(3, 5), (10, 20), (1, 2)]))
def test_projected_probabilities_equal_their_definition(seed, size):
    rng = np.random.default_rng(seed)
    turned = np.array([[0.6, 0.8, 0], [-0.8, 0.6, 0], [0, 0, 1]])
    poses = [make_transform(AXES, np.zeros(3)), make_transform(AXES @ turned, [0.1, 0.2, -0.3])]
    images = [ImageSource(n, Path(n), CAMERA, T, 0) for n, T in zip("ab", poses, strict=True)]
    xyz = rng.uniform([-5, -20, -4], [20, 20, 4], (40, 3)).astype(np.float32)
    sample = Sample("00/0", "00", PointCloud(xyz), tuple(images))
    maps = {n: rng.dirichlet(np.ones(6), size).transpose(2, 0, 1).astype(np.float32) for n in "ab"}
    mapping = mapping_of(_0=2, _1=0, _3=2, _5=3)  # 2 and 4 are unmapped; 0 and 3 are one class

    def read(path):
        return maps[path.name]

    found = project_probabilities(sample, read, mapping, classes=4)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, literal_probabilities(sample, read, mapping, 4), atol=1e-5)
    assert (found.sum(axis=1) <= 1 + 1e-5).all()


def test_projected_probabilities_of_points_that_no_camera_sees_are_0():
    maps = np.full((3, 10, 20), 1 / 3, np.float32)
    found = project_probabilities(sample_with("a", "b"), lambda _: maps, mapping_of(_0=1, _2=0), 2)
    np.testing.assert_allclose(found, [[1 / 3] * 2] * 2 + [[0, 0]] * 3, atol=1e-6)


def test_probabilities_of_a_part_of_the_image_are_refused():
    with pytest.raises(DatasetError, match="maps must be of the whole image"):
        project_probabilities(
            sample_with("a"), lambda _: np.zeros((3, 10, 10), np.float32), mapping_of(_0=0), 1
        )
