import numpy as np
import pytest

from wsss_perception.frame import PointCloud
from wsss_training.data.array_cache import ArrayCache
from wsss_training.data.sample import Sample
from wsss_training.data.supervised_scenes import SceneSettings, SupervisedScenes
from wsss_training.data.supervised_sweeps import LabelSupervision, NoSupervision, SupervisedSource

FLOOR, CHAIR = 0, 1


class Rooms:
    """One room: a floor and a chair on it."""

    sample_ids = ("room",)
    ontology = None

    def __getitem__(self, index):
        rng = np.random.default_rng(0)
        xyz = rng.uniform(0, 1, (300, 3)) * [4, 4, 0.01]
        xyz[200:] += [0, 0, 1]
        labels = np.repeat([FLOOR, CHAIR], [200, 100]).astype(np.uint8)
        cloud = PointCloud(xyz.astype(np.float32))
        return Sample("room", "room", cloud, labels=labels, tags=np.array([True, True]))


@pytest.fixture
def scenes(tmp_path):
    def opened(supervision) -> SupervisedScenes:
        return SupervisedScenes(
            [SupervisedSource(Rooms(), range(1), supervision, has_teacher=False)],
            SceneSettings(
                lambda cloud: (cloud.xyz[:, 2] > 0.5).astype(np.int32),
                ArrayCache(tmp_path, "test"),
                None,
                0,
                None,
                (FLOOR, None, None),
            ),
        )

    return opened


def test_views_keep_the_tags_of_structures_that_points_lose(scenes):
    opened = scenes(NoSupervision())
    drawn = [opened.read(0, np.random.default_rng(seed)) for seed in range(8)]
    assert {len(scene.points) for scene in drawn} == {100, 300}
    for scene in drawn:
        assert scene.tags.tolist() == [len(scene.points) == 300, True]
        assert scene.view_tags.tolist() == [True, True]


def test_scenes_say_whether_their_tags_are_all_there_is(scenes):
    assert scenes(NoSupervision()).read(0, np.random.default_rng(0)).tags_alone
    assert not scenes(LabelSupervision()).read(0, np.random.default_rng(0)).tags_alone
