from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsss_perception.bundle import ModelSpec, NetworkSpec
from wsss_perception.features import Feature
from wsss_perception.frame import UNKNOWN, PointCloud
from wsss_perception.ontology import Ontology
from wsss_training.augment import Compose, DropPoints, Flip
from wsss_training.data.draw_order import DrawGroup, DrawOrder
from wsss_training.data.labelled_points import LabelledPoints
from wsss_training.data.scene_batch import SceneCollator
from wsss_training.data.scene_draws import INDEX, REGION, Scene, SceneDraws
from wsss_training.data.scene_views import SceneViews

ONTOLOGY = Ontology("t", ("a", "b"), ((1, 1, 1), (2, 2, 2)), ((1,), (2,)))
SPEC = ModelSpec(
    ontology=ONTOLOGY,
    network=NetworkSpec("small", 1.0),
    features=(Feature("intensity"),),
    voxel_size=0.5,
    point_range=(-50, -50, -50, 50, 50, 50),
)
VIEWS, HEIGHT, WIDTH = 3, 16, 24


def make_scene(number: int) -> Scene:
    """A scene of 30 + number points, 3 views that see some of them, and tags of its own."""
    rng = np.random.default_rng(number)
    count = 30 + number
    xyz = (rng.uniform(-5, 5, (count, 3)) + [100 * number, 0, 0]).astype(np.float32) / 10
    intensity = (number + np.arange(count) / 1000).astype(np.float32)  # tells every point
    region = rng.integers(-1, 4, count).astype(np.int32)
    points = LabelledPoints(
        PointCloud(xyz, {"intensity": intensity}),
        rng.choice([0, 1, UNKNOWN], count).astype(np.uint8),
        np.ones(count, np.float32),
        {REGION: region},
    )
    pair_point = np.concatenate([rng.permutation(count)[:10] for _ in range(VIEWS)])
    views = SceneViews(
        np.full((VIEWS, HEIGHT, WIDTH, 3), number, np.uint8),
        np.full((VIEWS, 2, 3), UNKNOWN, np.uint8),
        np.zeros((VIEWS, 2, 3), np.float32),
        pair_point,
        np.repeat(np.arange(VIEWS), 10),
        rng.uniform(0, 15, (10 * VIEWS, 2)).astype(np.float32),
        rng.uniform(1, 9, 10 * VIEWS).astype(np.float32),
    )
    tags = np.array([number % 2 == 0, True])
    return Scene(points, views, tags, np.ones(2, dtype=bool), tags_alone=number == 0)


class MadeScenes:
    def read(self, index, rng):
        return make_scene(index)


def draws(mix: bool, seed: int = 0, drop: float = 0.5) -> SceneDraws:
    order = DrawOrder([DrawGroup(np.arange(5))], seed, 20)
    return SceneDraws(
        MadeScenes(), order, Compose([Flip(), DropPoints(drop)]), Flip(), mix, 0.5, seed
    )


@given(st.integers(0, 19), st.booleans())
def test_a_draw_is_a_function_of_seed_and_number(number, mix):
    first, second = draws(mix)[number], draws(mix)[number]
    np.testing.assert_array_equal(first.student.cloud.xyz, second.student.cloud.xyz)
    np.testing.assert_array_equal(first.teacher[0].cloud.xyz, second.teacher[0].cloud.xyz)
    assert len(first.scenes) == (2 if mix else 1)


@given(st.integers(0, 19), st.booleans())
def test_the_students_points_are_the_teachers_by_their_index(number, mix):
    draw = draws(mix)[number]
    of_teacher = np.concatenate([cloud.cloud.channels["intensity"] for cloud in draw.teacher])
    index = draw.student.attributes[INDEX]
    np.testing.assert_array_equal(draw.student.cloud.channels["intensity"], of_teacher[index])


def test_mixed_scenes_lie_over_each_other_at_their_own_heights():
    draw = draws(mix=True, drop=0.0)[0]
    first, second = np.split(draw.student.cloud.xyz, [len(draw.teacher[0])])
    np.testing.assert_allclose(first[:, :2].mean(axis=0), second[:, :2].mean(axis=0), atol=1e-4)
    np.testing.assert_allclose(second[:, 2], draw.scenes[1].points.cloud.xyz[:, 2], atol=1e-6)


def test_views_alone_are_recolored():
    order = DrawOrder([DrawGroup(np.arange(5))], 0, 20)
    plain, colored = (
        SceneDraws(MadeScenes(), order, Flip(), Flip(), False, strength, 0)[0].scenes[0]
        for strength in (0.0, 0.5)
    )
    assert (plain.views.images != colored.views.images).any()
    np.testing.assert_array_equal(plain.views.pair_uv, colored.views.pair_uv)
    np.testing.assert_array_equal(plain.points.cloud.xyz, colored.points.cloud.xyz)


def test_mixed_scenes_share_the_views_of_one():
    draw = draws(mix=True)[0]
    assert [len(scene.views.images) for scene in draw.scenes] == [2, 2]  # half of 3, rounded up
    for scene in draw.scenes:
        assert set(scene.views.pair_view) <= {0, 1}


def test_a_batch_keeps_points_pairs_and_regions_with_their_scenes():
    pair = [draws(mix=True)[k] for k in (0, 1)]
    batch = SceneCollator(SPEC)(pair)
    scenes = [scene for draw in pair for scene in draw.scenes]
    sizes = [len(scene.points) for scene in scenes]
    assert batch.draw.tolist() == [0, 0, 1, 1]
    assert batch.tagged.all()
    np.testing.assert_array_equal(batch.tags.numpy(), [scene.tags for scene in scenes])
    assert batch.view_tags.all()
    assert batch.tags_alone.tolist() == [scene.tags_alone for scene in scenes]
    np.testing.assert_array_equal(batch.points.scene.numpy(), np.repeat(np.arange(4), sizes))
    # pairs join a view and a point of one scene
    views = batch.views
    np.testing.assert_array_equal(
        views.scene[views.pair_view].numpy(), batch.points.scene[views.pair_point].numpy()
    )
    # regions of different scenes have different ids
    known = batch.points.region >= 0
    owners = {}
    for region, scene in zip(
        batch.points.region[known].tolist(), batch.points.scene[known].tolist(), strict=True
    ):
        assert owners.setdefault(region, scene) == scene
    # regions of cells are those of points that the view sees
    for view in range(len(views.images)):
        there = set(batch.points.region[views.pair_point[views.pair_view == view]].tolist())
        assert set(views.region[view].flatten().tolist()) <= there | {-1}


def test_a_points_voxels_are_where_student_and_teacher_have_it():
    pair = [draws(mix=True)[k] for k in (0, 1)]
    batch = SceneCollator(SPEC)(pair)
    clouds = [cloud for draw in pair for cloud in draw.teacher]
    xyz = np.concatenate([cloud.cloud.xyz for cloud in clouds])
    coords = batch.teacher.coords[batch.teacher.of_point].numpy()
    np.testing.assert_array_equal(coords[:, 0], batch.points.scene.numpy())
    spread = coords[:, 1:] * SPEC.voxel_size - xyz
    assert np.ptp(spread[coords[:, 0] == 0], axis=0).max() <= SPEC.voxel_size + 1e-4
    kept = batch.student.of_point >= 0
    assert 0 < kept.sum() < len(kept)
    student = batch.student.coords[batch.student.of_point[kept]].numpy()
    np.testing.assert_array_equal(student[:, 0], batch.draw[batch.points.scene[kept]].numpy())


@pytest.mark.parametrize("lacking", ["views", "tags"])
def test_a_scene_without_views_or_tags_is_collated_too(lacking):
    class Bare(MadeScenes):
        def read(self, index, rng):
            scene = make_scene(index)
            if lacking == "tags":
                return replace(scene, tags=None, view_tags=None)
            return replace(scene, views=scene.views.select_views(np.zeros(0, int)))

    order = DrawOrder([DrawGroup(np.arange(5))], 0, 20)
    batch = SceneCollator(SPEC)([SceneDraws(Bare(), order, Flip(), Flip(), False, 0.0, 0)[0]])
    assert len(batch.views.images) == (0 if lacking == "views" else VIEWS)
    assert batch.tagged.tolist() == [lacking != "tags"]


class OfTwoSensors:
    """Scenes with a ring, and with a time, in turns."""

    def read(self, index, rng):
        scene = make_scene(index)
        cloud, name = scene.points.cloud, "time" if index % 2 else "ring"
        more = {name: np.full(len(cloud), 7, np.float32)}
        points = replace(scene.points, cloud=replace(cloud, channels={**cloud.channels, **more}))
        return replace(scene, points=points)


@pytest.mark.parametrize("turn", [1, -1])
def test_scenes_of_different_channels_are_mixed_by_those_of_both_and_by_fills(turn):
    class InOrder(OfTwoSensors):
        def read(self, index, rng):
            return super().read(next(numbers), rng)

    numbers = iter([0, 1][::turn])
    order = DrawOrder([DrawGroup(np.arange(5))], 0, 20)
    features = (Feature("intensity"), Feature("ring", fill=-1.0))
    draw = SceneDraws(InOrder(), order, Flip(), Flip(), True, 0.0, 0, features)[0]
    channels = draw.student.cloud.channels
    assert channels.keys() == {"intensity", "ring"}
    rings = np.split(channels["ring"], [len(draw.teacher[0])])
    assert [np.unique(ring).tolist() for ring in rings] == [[7], [-1]][::turn]
