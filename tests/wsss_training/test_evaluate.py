from types import SimpleNamespace

import numpy as np
import pytest

from wsss_perception.errors import DatasetError
from wsss_perception.frame import PointCloud
from wsss_perception.ontology import load_ontology
from wsss_training.data.sample import Sample
from wsss_training.evaluate import check_same_classes, evaluate


class AlwaysCar:
    """A stand-in for a segmenter."""

    spec = SimpleNamespace(ontology=load_ontology("semantic_kitti"))

    def __call__(self, frame):
        return SimpleNamespace(labels=np.zeros(len(frame.cloud), np.uint8))


def sample(channels, labels):
    cloud = PointCloud(np.zeros((3, 3), np.float32), channels, 0, "velodyne")
    return Sample("00/000000", "00", cloud, labels=labels)


def test_accumulated_points_are_not_counted_again():
    time = np.float32([0, 0, -0.1])
    labels = np.uint8([0, 8, 8])
    matrix = evaluate(AlwaysCar(), [sample({"time": time}, labels), sample({}, labels)])
    assert matrix.counts.sum(axis=1)[[0, 8]].tolist() == [2, 3]


def test_samples_without_labels_are_named():
    with pytest.raises(DatasetError, match="00/000000: no labels"):
        evaluate(AlwaysCar(), [sample({}, None)])


def test_labels_of_other_classes_are_refused():
    mine, moving = load_ontology("semantic_kitti"), load_ontology("semantic_kitti_moving")
    assert check_same_classes(mine, mine) is mine
    with pytest.raises(DatasetError, match=r"'semantic_kitti_moving'.*'semantic_kitti'"):
        check_same_classes(moving, mine)
    with pytest.raises(DatasetError, match="no labels"):
        check_same_classes(None, mine)
