from types import SimpleNamespace

import numpy as np
import pytest

from wsss_perception.errors import DatasetError
from wsss_perception.frame import PointCloud
from wsss_perception.ontology import load_ontology
from wsss_training.data.sample import Sample
from wsss_training.evaluate import check_same_classes, evaluate, scene_starts_first


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


def test_samples_without_labels_are_named_with_a_remedy():
    with pytest.raises(
        DatasetError, match=r"00/000000: no labels.*leave its log out with --option"
    ):
        evaluate(AlwaysCar(), [sample({}, None)])


def test_the_first_sweep_of_each_scene_is_scored_before_all_others():
    sample_ids = ["b/x/1", "b/x/2", "a/1", "b/y/1", "b/x/3", "a/2"]
    assert scene_starts_first(sample_ids) == [0, 2, 3, 1, 4, 5]
    assert scene_starts_first([]) == []


def test_labels_of_other_classes_are_refused():
    mine, moving = load_ontology("semantic_kitti"), load_ontology("semantic_kitti_moving")
    assert check_same_classes(mine, mine) is mine
    with pytest.raises(DatasetError, match=r"'semantic_kitti_moving'.*'semantic_kitti'"):
        check_same_classes(moving, mine)
    with pytest.raises(DatasetError, match="no labels"):
        check_same_classes(None, mine)
