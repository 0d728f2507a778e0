"""What each loss of WSegPC learns from, and how its weight grows."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from wsss_perception.bundle import ModelSpec, NetworkSpec
from wsss_perception.features import Feature
from wsss_perception.frame import UNKNOWN, PointCloud
from wsss_perception.networks.minkunet import MinkUNet
from wsss_perception.ontology import Ontology
from wsss_training.config import OptimizationConfig
from wsss_training.config_wsegpc import StageConfig, WSegPCConfig
from wsss_training.data.labelled_points import LabelledPoints
from wsss_training.data.scene_batch import SceneBatch, SceneCollator
from wsss_training.data.scene_draws import INDEX, REGION, Scene, SceneDraw
from wsss_training.data.scene_views import SceneViews
from wsss_training.methods import wsegpc
from wsss_training.methods.prediction import predict
from wsss_training.methods.wsegpc import WSegPC
from wsss_training.networks.cross_modal import CrossModalNetwork
from wsss_training.networks.image_resnet import STRIDE

FLOOR, CHAIR, BED = range(3)
ONTOLOGY = Ontology(
    "rooms", ("floor", "chair", "bed"), tuple((k, k, k) for k in range(3)), ((1,), (2,), (3,))
)
SPEC = ModelSpec(ONTOLOGY, NetworkSpec("small", 0.25), (Feature("z"),), 0.2, (-5,) * 3 + (5,) * 3)
POINTS = 400


class TinyImageNetwork(nn.Module):
    """Has the interface of ``ImageResNet``."""

    feature_size = 8

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, self.feature_size, STRIDE, STRIDE)
        self.head = nn.Conv2d(self.feature_size, len(ONTOLOGY), 1)

    def forward(self, images):
        features = self.stem(images)
        return features, self.head(features)


def made_scene(
    tags=(True, True, False), view_tags=None, alone=False, at=0.0, label=UNKNOWN, seen=UNKNOWN
) -> Scene:
    """A scene seen by one view; all points have one label, all cells another."""
    rng = np.random.default_rng(0)
    xyz = rng.uniform(-2, 2, (POINTS, 3)).astype(np.float32) + np.float32(at)
    points = LabelledPoints(
        PointCloud(xyz),
        np.full(POINTS, label, np.uint8),
        np.ones(POINTS, np.float32),
        {REGION: np.zeros(POINTS, np.int32)},
    )
    views = SceneViews(
        rng.integers(0, 255, (1, 24, 32, 3)).astype(np.uint8),
        np.full((1, 3, 4), seen, np.uint8),
        np.ones((1, 3, 4), np.float32),
        np.arange(POINTS),
        np.zeros(POINTS, np.int64),
        rng.uniform(0, 23, (POINTS, 2)).astype(np.float32),
        np.ones(POINTS, np.float32),
    )
    known = None if tags is None else np.array(tags)
    shown = known if view_tags is None else np.array(view_tags)
    return Scene(points, views, known, shown, alone)


def batch_of(*scenes: Scene, mixed: bool = False) -> SceneBatch:
    draws = []
    for group in [scenes] if mixed else [(scene,) for scene in scenes]:
        xyz = np.concatenate([scene.points.cloud.xyz for scene in group])
        student = LabelledPoints(
            PointCloud(xyz),
            np.zeros(len(xyz), np.uint8),
            np.ones(len(xyz), np.float32),
            {INDEX: np.arange(len(xyz))},
        )
        draws.append(SceneDraw(group, tuple(scene.points for scene in group), student))
    return SceneCollator(SPEC)(draws)


def made_module(
    consistent=False, varying=(False, False, False), seed=0, weight_decay=0.01, **settings
) -> WSegPC:
    torch.manual_seed(0)
    points = MinkUNet(SPEC.network, 1, len(ONTOLOGY))
    network = CrossModalNetwork(points, TinyImageNetwork(), guided=True)
    return WSegPC(
        network,
        WSegPCConfig(**{"warm_up": 4, **settings}),
        StageConfig(steps=20, learning_rate=0.01),
        consistent,
        torch.ones(len(ONTOLOGY)),
        torch.tensor(varying),
        OptimizationConfig(weight_decay=weight_decay),
        seed,
    )


def losses_of(module: WSegPC, batch: SceneBatch) -> dict[str, float]:
    student = predict(module.network, batch.student, batch.views)
    return {name: loss.item() for name, _, loss in module._losses(student, batch)}


def grown(module: WSegPC, step: int, monkeypatch) -> dict[str, float]:
    """By how much each loss counts in the total of a step, which is its gradient."""
    batch = batch_of(made_scene(label=CHAIR, seen=CHAIR, alone=True))
    losses = {name: torch.ones((), requires_grad=True) for name in losses_of(module, batch)}
    weighted = [(name, 1.0, loss) for name, loss in losses.items()]
    with monkeypatch.context() as patch:
        patch.setattr(module, "_losses", lambda *_: iter(weighted))
        patch.setattr(module, "log", lambda *_, **__: None)
        patch.setattr(WSegPC, "global_step", step)
        module.training_step(batch, 0).backward()
    return {name: loss.grad.item() for name, loss in losses.items()}


def test_in_the_second_stage_consistency_alone_warms_up(monkeypatch):
    first = grown(made_module(), 1, monkeypatch)
    assert {"tags_points", "prior_points", "guide_points"} <= first.keys()
    assert set(first.values()) == {0.25}
    second = grown(made_module(consistent=True), 1, monkeypatch)
    assert {n: w for n, w in second.items() if n.startswith("consistency")} == {
        "consistency_points": 0.25,
        "consistency_images": 0.25,
    }
    assert {w for n, w in second.items() if not n.startswith("consistency")} == {1.0}
    assert set(grown(made_module(consistent=True), 4, monkeypatch).values()) == {1.0}


@pytest.fixture
def taught(monkeypatch):
    """Tags and classes that each tag loss is asked for."""
    asked = []

    def spy(means, tags, classes):
        asked.append((tags.tolist(), classes.tolist()))
        return means.sum() * 0.0

    monkeypatch.setattr(wsegpc, "tag_loss", spy)
    return asked


def test_scenes_of_tags_alone_teach_all_classes_and_others_those_that_vary(taught):
    module = made_module(varying=(False, True, False))
    losses_of(module, batch_of(made_scene(alone=True), made_scene()))
    (_, points), (_, images) = taught
    assert points == images == [[True, True, True], [False, True, False]]


def test_a_scene_mixed_with_one_that_has_labels_teaches_varying_classes(taught):
    module = made_module(varying=(False, True, False))
    mixed = batch_of(made_scene(alone=True), made_scene(tags=(False, False, True)), mixed=True)
    losses_of(module, mixed)
    assert taught[0] == ([[True, True, True]], [[False, True, False]])


def test_untagged_scenes_teach_no_tags(taught):
    losses_of(made_module(), batch_of(made_scene(), made_scene(tags=None)))
    assert len(taught[0][0]) == 1


def test_images_keep_the_tags_of_what_was_removed_from_the_points(taught):
    scene = made_scene(tags=(False, True, False), view_tags=(True, True, False), alone=True)
    losses_of(made_module(), batch_of(scene))
    (points, _), (images, _) = taught
    assert (points, images) == ([[False, True, False]], [[True, True, False]])


@pytest.mark.parametrize("mixed", [False, True])
def test_scenes_without_views_say_nothing_of_images(taught, mixed):
    blind = made_scene(tags=(False, False, True), alone=True, at=0.5)
    none = np.zeros(0, dtype=np.int64)
    blind = replace(blind, views=blind.views.select_points(none, POINTS).select_views(none))
    losses_of(made_module(), batch_of(made_scene(alone=True), blind, mixed=mixed))
    (points, _), (images, _) = taught
    alone, both = [[True, True, False]], [[True, True, True]]
    assert (points, images) == (both if mixed else [*alone, [False, False, True]], alone)


def test_votes_of_images_are_among_the_images_tags(monkeypatch):
    module, votes = made_module(consistent=True), {}

    def spy(probabilities, region, branch):
        votes[branch] = probabilities.sum(dim=0) > 0
        return probabilities.argmax(dim=1), torch.ones(len(probabilities), dtype=torch.bool)

    monkeypatch.setattr(module, "_vote", spy)
    scene = made_scene(tags=(False, True, False), view_tags=(True, True, False))
    losses_of(module, batch_of(scene))
    assert votes["points"].tolist() == [False, True, False]
    assert votes["images"].tolist() == [True, True, False]


@pytest.mark.parametrize("alone", [True, False])
def test_votes_are_centered_in_scenes_of_tags_alone(monkeypatch, alone):
    module, votes = made_module(consistent=True, center=True), {}

    def spy(probabilities, region, branch):
        votes[branch] = probabilities
        return probabilities.argmax(dim=1), torch.ones(len(probabilities), dtype=torch.bool)

    monkeypatch.setattr(module, "_vote", spy)
    network = module.teacher.network
    network.points.head.bias.data[FLOOR] = network.images.head.bias.data[FLOOR] = 50.0
    losses_of(module, batch_of(made_scene(alone=alone)))
    floors = {
        branch: float((votes[branch].argmax(dim=1) == FLOOR).float().mean()) for branch in votes
    }
    assert set(floors) == {"points", "images"}
    for share in floors.values():
        assert share == 1.0 if not alone else 0.1 < share < 0.9


@pytest.mark.parametrize(
    ("scene", "expected"),
    [
        (made_scene(label=CHAIR, seen=CHAIR), {"prior_points", "lovasz_points", "prior_images"}),
        (made_scene(label=BED, seen=BED), set()),
        (made_scene(None, label=BED, seen=BED), {"prior_points", "lovasz_points", "prior_images"}),
        (
            made_scene((False, True, False), (True, True, False), label=FLOOR, seen=FLOOR),
            {"prior_images"},
        ),
    ],
    ids=["tagged", "ruled out", "untagged", "removed"],
)
def test_labels_that_tags_rule_out_are_no_lesson(scene, expected):
    found = losses_of(made_module(), batch_of(scene))
    assert {name for name in found if name.startswith(("prior", "lovasz"))} == expected


def test_pairs_depend_on_seed_step_and_process(monkeypatch):
    def drawn(seed=0, step=0, rank=0) -> int:
        with monkeypatch.context() as patch:
            patch.setattr(WSegPC, "global_step", step)
            patch.setattr(WSegPC, "global_rank", rank)
            return made_module(seed=seed)._generator().initial_seed()

    assert drawn() == drawn()
    assert len({drawn(), drawn(seed=1), drawn(step=1), drawn(rank=1)}) == 4


def test_guidance_draws_its_pairs_by_that_seed(monkeypatch):
    module, batch = made_module(), batch_of(made_scene())
    seeds = []

    def spy(view, generator):
        seeds.append(generator.initial_seed())
        return torch.arange(len(view))

    monkeypatch.setattr(wsegpc, "draw_pairs", spy)
    losses_of(module, batch)
    assert seeds == [module._generator().initial_seed()]


def test_adamw_has_the_weight_decay_of_the_configuration_and_sgd_the_papers():
    def decay(**settings) -> float:
        optimizer = made_module(weight_decay=0.3, **settings).configure_optimizers()["optimizer"]
        return optimizer.param_groups[0]["weight_decay"]

    assert decay() == 0.3
    assert decay(optimizer="sgd") == 1e-4


@pytest.mark.parametrize("consistent", [False, True])
def test_a_draw_without_points_in_range_teaches_points_nothing(consistent, monkeypatch):
    module = made_module(consistent=consistent, warm_up=0).train()
    monkeypatch.setattr(module, "log", lambda *_, **__: None)
    calls = []
    for branch, threshold in module.thresholds.items():  # which talk to other processes
        threshold.register_forward_hook(lambda *_, branch=branch: calls.append(branch))
    before = {k: v.clone() for k, v in module.network.points.state_dict().items()}
    module.training_step(batch_of(made_scene(alone=True, at=100.0)), 0).backward()
    assert calls == (["points", "images"] if consistent else [])
    for parameter in module.network.points.parameters():
        assert parameter.grad is not None
        assert (parameter.grad == 0).all()
    for key, value in module.network.points.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            torch.testing.assert_close(value, before[key], rtol=0, atol=0)
    assert {m.momentum for m in module.modules() if hasattr(m, "running_mean")} == {0.1}


def test_an_empty_draw_beside_another_changes_none_of_its_voxels():
    alone = batch_of(made_scene())
    both = batch_of(made_scene(), made_scene(at=100.0))
    torch.testing.assert_close(both.student.coords, alone.student.coords)
    assert (both.student.of_point[POINTS:] == -1).all()
