import numpy as np
import pytest
from PIL import Image

from wsss_perception.frame import PointCloud
from wsss_perception.geometry import Camera
from wsss_training.data.sample import ImageSource, Sample
from wsss_training.data.scene_draws import REGION
from wsss_training.data.supervised_scenes import SceneSettings, SupervisedScenes
from wsss_training.data.supervised_sweeps import LabelSupervision, NoSupervision, SupervisedSource

FLOOR, CHAIR = 0, 1


class Rooms:
    """One room: a floor and a chair on it."""

    sample_ids = ("room",)
    ontology = None

    def __init__(self, images=()):
        self.images = images

    def __getitem__(self, index):
        rng = np.random.default_rng(0)
        xyz = rng.uniform(0, 1, (300, 3)) * [4, 4, 0.01]
        xyz[200:] += [0, 0, 1]
        labels = np.repeat([FLOOR, CHAIR], [200, 100]).astype(np.uint8)
        cloud = PointCloud(xyz.astype(np.float32))
        return Sample(
            "room", "room", cloud, self.images, labels=labels, tags=np.array([True, True])
        )


@pytest.fixture
def scenes():
    def opened(supervision, images=(), share=1.0) -> SupervisedScenes:
        return SupervisedScenes(
            [SupervisedSource(Rooms(images), range(1), supervision, has_teacher=False)],
            SceneSettings(
                lambda _, cloud: (cloud.xyz[:, 2] > 0.5).astype(np.int32),
                (16, 24) if images else None,
                1,
                share,
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


@pytest.mark.parametrize(("share", "expected"), [(0.0, {0}), (0.5, {0, 1}), (1.0, {1})])
def test_a_share_of_the_draws_brings_views(scenes, tmp_path, share, expected):
    Image.new("RGB", (24, 16)).save(tmp_path / "view.png")
    camera = Camera(24, 16, np.array([[20.0, 0, 12], [0, 20, 8], [0, 0, 1]]))
    view = ImageSource("color", tmp_path / "view.png", camera, np.eye(4), 0)
    opened = scenes(NoSupervision(), (view,), share)
    drawn = [opened.read(0, np.random.default_rng(seed)) for seed in range(8)]
    assert {len(scene.views.images) for scene in drawn} == expected


def test_without_regions_all_points_are_of_none():
    settings = SceneSettings(None, None, 1, 1.0, None, None)
    source = SupervisedSource(Rooms(()), range(1), NoSupervision(), has_teacher=False)
    scene = SupervisedScenes([source], settings).read(0, np.random.default_rng(0))
    assert (scene.points.attributes[REGION] == -1).all()
