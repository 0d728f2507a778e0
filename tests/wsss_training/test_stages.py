"""WSegPC from a config to pseudo-labels and a segmenter, on the mini log."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml

from wsss_perception.cli import main
from wsss_perception.errors import ConfigError, DatasetError
from wsss_perception.frame import UNKNOWN
from wsss_training.__main__ import COMMANDS
from wsss_training.augment import Flip
from wsss_training.config import SourceConfig, TrainConfig, load_config
from wsss_training.data import open_dataset
from wsss_training.data.draw_order import DrawOrder
from wsss_training.data.scene_batch import SceneCollator
from wsss_training.data.scene_draws import SceneDraws
from wsss_training.data.weak_labels import ChosenPoints, write_chosen
from wsss_training.methods.prediction import predict
from wsss_training.methods.wsegpc import WSegPC
from wsss_training.pseudo_labels import claim_folder
from wsss_training.stages import (
    PSEUDO_LABELS,
    build_branches,
    is_finished,
    open_scenes,
    run_stage,
    segmenter_config,
    stages_of,
    train_wsegpc,
    varying_tags,
)
from wsss_training.training import last_checkpoint
from wsss_training.workload import model_spec, open_workload

WORDS = (
    "method=wsegpc",
    "wsegpc.image_network=resnet18",
    "wsegpc.image_size=[32,64]",
    "wsegpc.regions=ground_clusters",
    "wsegpc.warm_up=2",
    "wsegpc.momentum=0.8",
    "wsegpc.guidance_stage.steps=12",
    "wsegpc.consistency_stage.steps=6",
    "optimization.steps=4",
)


@pytest.fixture
def config(mini_log, tmp_path):
    def load(*words: str) -> TrainConfig:
        return load_config(mini_log.config, [f"output={tmp_path / 'run'}", *WORDS, *words])

    return load


@pytest.fixture
def tags(tmp_path) -> Path:
    path = tmp_path / "tags.yaml"
    scenes = {"00": ["road", "building"]}
    path.write_text(yaml.safe_dump({"schema": 1, "ontology": "semantic_kitti", "scenes": scenes}))
    return path


def losses_of(config: TrainConfig, consistent: bool) -> dict[str, tuple[float, torch.Tensor]]:
    """Names, weights and values of the losses of one batch."""
    torch.manual_seed(0)
    workload = open_workload(config)
    scenes = open_scenes(config, workload.sweeps.sources)
    drawn = SceneDraws(
        scenes, DrawOrder(workload.groups, 0, 8), Flip(), Flip(), config.wsegpc.mix, 0.0, 0
    )
    batch = SceneCollator(model_spec(config))([drawn[0], drawn[1]])
    module = WSegPC(
        build_branches(config),
        config.wsegpc,
        config.wsegpc.guidance_stage,
        consistent,
        torch.ones(len(model_spec(config).ontology)),
        torch.ones(len(model_spec(config).ontology), dtype=torch.bool),
        config.optimization,
        0,
    )
    student = predict(module.network, batch.student, batch.views)
    found = {name: (weight, loss) for name, weight, loss in module._losses(student, batch)}
    total = sum(weight * loss for weight, loss in found.values())
    total.backward()
    assert all(p.grad is None for p in module.teacher.parameters())
    assert all(
        p.grad is not None and torch.isfinite(p.grad).all() for p in module.network.parameters()
    )
    return found


PRIOR = {"prior_points", "lovasz_points", "prior_images"}
GUIDANCE = {"guide_points", "guide_images"}
CONSISTENCY = {"consistency_points", "consistency_images"}


@pytest.mark.parametrize(
    ("words", "consistent", "expected"),
    [
        ([], False, PRIOR | GUIDANCE),
        ([], True, PRIOR | GUIDANCE | CONSISTENCY),
        (["wsegpc.guidance=none"], False, PRIOR),
        (["wsegpc.guidance=affinity"], False, PRIOR | GUIDANCE),
        (["wsegpc.guidance=mse"], False, PRIOR | GUIDANCE),
        (["wsegpc.consistency=none"], True, PRIOR | GUIDANCE),
        (["wsegpc.consistency=point"], True, PRIOR | GUIDANCE | CONSISTENCY),
        (["wsegpc.threshold=fixed"], True, PRIOR | GUIDANCE | CONSISTENCY),
        (["wsegpc.consistent_images=false"], True, PRIOR | GUIDANCE | {"consistency_points"}),
        (["wsegpc.image_network=null"], True, {*PRIOR, "consistency_points"} - {"prior_images"}),
        (["wsegpc.mix=true"], True, PRIOR | GUIDANCE | CONSISTENCY),
    ],
)
def test_switches_choose_the_losses_and_all_weights_learn(config, words, consistent, expected):
    found = losses_of(config(*words), consistent)
    assert found.keys() == expected
    assert all(torch.isfinite(loss) for _, loss in found.values())


def test_tags_alone_teach_without_a_prior(config, tags):
    words = ["sources.0.supervision=tags", f"sources.0.tags={tags}", "teacher=null"]
    found = losses_of(config(*words), consistent=True)
    assert found.keys() == {"tags_points", "tags_images"} | GUIDANCE | CONSISTENCY


def test_points_guiding_images_can_be_left_out(config):
    weight, loss = losses_of(config("wsegpc.guide_images=false"), False)["guide_images"]
    assert weight == 0
    assert loss > 0  # its projector is still part of the graph, as several processes need


def test_stages_lead_to_pseudo_labels_and_a_bundle(mini_log, config, tmp_path, capsys):
    words = ["train", str(mini_log.config), f"output={tmp_path / 'run'}", *WORDS]
    assert main("wsss_training", COMMANDS, words) == 0
    run = tmp_path / "run"
    assert "agreement with the pseudo-labels on held-back sweeps" in capsys.readouterr().out
    assert (run / "bundle" / "model.yaml").exists()
    truth = open_dataset("semantic_kitti", mini_log.root)
    labels = open_dataset("semantic_kitti", mini_log.root, weak_labels=run / PSEUDO_LABELS / "0")
    right = [
        float((labels[k].labels == truth[k].labels)[labels[k].labels != UNKNOWN].mean())
        for k in range(6)
    ]
    assert np.mean(right) > 0.6  # two classes of 19 that are equally many
    written = {p: p.stat().st_mtime_ns for p in run.rglob("*.npz")}
    assert main("wsss_training", COMMANDS, words) == 0  # nothing is left to do
    assert written == {p: p.stat().st_mtime_ns for p in run.rglob("*.npz")}
    assert main("wsss_training", COMMANDS, [*words, "seed=5"]) == 2


def test_a_stage_goes_on_from_its_checkpoint_to_the_same_weights(config, tmp_path, monkeypatch):
    settings = config("optimization.checkpoint_every=6", "optimization.validate_every=6")
    workload = open_workload(settings)
    scenes = open_scenes(settings, workload.sweeps.sources)
    stage = settings.wsegpc.guidance_stage

    def train(folder: Path) -> dict[str, torch.Tensor]:
        run_stage(settings, workload, scenes, folder, stage, True, None)
        return torch.load(last_checkpoint(folder), weights_only=True)["state_dict"]

    whole = train(tmp_path / "whole")
    halved = tmp_path / "halved"

    def die(module: WSegPC, *_: object) -> None:
        if module.global_step == 8:
            raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(WSegPC, "on_train_batch_end", die)
        with pytest.raises(RuntimeError, match="killed"):
            train(halved)
    assert not is_finished(halved, stage.steps)
    resumed = train(halved)
    assert is_finished(halved, stage.steps)
    assert whole.keys() == resumed.keys()
    for name, value in whole.items():
        torch.testing.assert_close(resumed[name], value, rtol=0, atol=0)
    assert whole["thresholds.points.counts"].sum() > 0


def test_the_second_stage_is_left_out_for_no_steps(config):
    assert [name for name, _, _ in stages_of(config())] == ["guidance", "consistency"]
    only = config("wsegpc.consistency_stage.steps=0")
    assert [name for name, _, _ in stages_of(only)] == ["guidance"]


def test_the_segmenter_learns_from_pseudo_labels_alone(config):
    last = segmenter_config(config())
    assert last.method == "projected_prior"
    assert last.sources[0].pseudo_labels.endswith(f"{PSEUDO_LABELS}/0")
    folder = Path(last.sources[0].pseudo_labels)
    claim_folder(folder, {"ontology": "semantic_kitti"})
    nothing = np.zeros(0)
    for index in range(6):
        few = ChosenPoints(f"00/{index:06d}", np.uint32([index]), np.uint8([3]), 3000)
        none = ChosenPoints(few.sample_id, np.uint32(nothing), np.uint8(nothing), 3000)
        write_chosen(folder / f"{few.sample_id}.npz", few if index else none)
    sweeps = open_workload(last).sweeps
    assert (sweeps[0].labels == UNKNOWN).all()
    assert np.flatnonzero(sweeps[5].labels != UNKNOWN).tolist() == [5]


def test_sources_with_labels_keep_them_in_the_last_stage(config):
    settings = config()
    labelled = SourceConfig("semantic_kitti", settings.sources[0].root, supervision="labels")
    settings.sources.insert(0, labelled)
    settings.sources.append(replace(labelled, weak_labels="few"))
    last = segmenter_config(settings)
    assert (last.sources[0], last.sources[2]) == (labelled, settings.sources[2])
    assert last.sources[1].pseudo_labels.endswith(f"{PSEUDO_LABELS}/1")


def test_several_gpus_without_torchrun_are_refused_with_its_command(config, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ConfigError, match=r"2 GPUs.*'torchrun --standalone .*VISIBLE_DEVICES=0"):
        train_wsegpc(config())
    assert not Path(config().output).exists()


def test_tags_that_are_on_in_every_scene_are_no_lesson():
    class Scenes:
        tags = ([True, True, False], [True, False, False], None)

        def tags_of(self, index):
            return None if self.tags[index] is None else np.array(self.tags[index])

    found = varying_tags(Scenes(), np.array([0, 1, 2]), 3)
    assert found.tolist() == [False, True, False]
    assert varying_tags(Scenes(), np.array([2]), 3).tolist() == [False] * 3


def test_classes_that_removal_clears_vary_where_they_are_tagged(caplog):
    class Rooms:
        def tags_of(self, index):
            return np.array([True, True, False])

    rooms = np.arange(2)
    assert varying_tags(Rooms(), rooms, 3, (0, None, 2)).tolist() == [True, False, False]
    assert not caplog.messages
    assert not varying_tags(Rooms(), rooms, 3).any()
    assert "the tags of all 2 tagged scenes are alike" in caplog.text


def test_each_stage_has_draws_and_pairs_of_its_own(config, tmp_path, monkeypatch):
    settings, made = config(), []
    workload = open_workload(settings)
    scenes = open_scenes(settings, workload.sweeps.sources)
    stage = settings.wsegpc.guidance_stage
    trainer = SimpleNamespace(world_size=1)

    def fit(module, loader, *_):
        drawn = loader(trainer).dataset
        made.append((module._seed, drawn[0].student.cloud.xyz, [*map(int, order_of(drawn))]))

    def order_of(drawn):
        return [drawn._order[number] for number in range(len(drawn))]

    monkeypatch.setattr("wsss_training.stages.fit", fit)
    for consistent in (False, True, False):
        run_stage(settings, workload, scenes, tmp_path, stage, consistent, None)
    first, second, again = made
    assert (first[0], first[2]) == (again[0], again[2])
    np.testing.assert_array_equal(first[1], again[1])
    assert first[0] != second[0]
    assert first[2] != second[2]
    assert first[1].shape != second[1].shape or (first[1] != second[1]).any()


@pytest.mark.parametrize(("words", "expected"), [((), 2), (("guidance_stage.batch_size=1",), 1)])
def test_a_stage_may_have_a_batch_size_of_its_own(config, tmp_path, monkeypatch, words, expected):
    settings = config("optimization.batch_size=2", *(f"wsegpc.{word}" for word in words))
    workload = open_workload(settings)
    scenes, stage = open_scenes(settings, workload.sweeps.sources), settings.wsegpc.guidance_stage

    def fit(module, loader, _, schedule, *others):
        loaded = loader(SimpleNamespace(world_size=1))
        assert loaded.batch_size == schedule.batch_size == expected
        assert len(loaded.dataset) == stage.steps * expected

    monkeypatch.setattr("wsss_training.stages.fit", fit)
    run_stage(settings, workload, scenes, tmp_path, stage, False, None)


@pytest.mark.parametrize("threshold", ["adaptive", "fixed"])
def test_a_stage_starts_from_the_weights_of_the_one_before_and_nothing_else(
    config, tmp_path, monkeypatch, threshold
):
    settings = config("wsegpc.threshold=adaptive")
    workload = open_workload(settings)
    scenes, stage = open_scenes(settings, workload.sweeps.sources), settings.wsegpc.guidance_stage
    run_stage(settings, workload, scenes, tmp_path / "guidance", stage, True, None)
    before = torch.load(last_checkpoint(tmp_path / "guidance"), weights_only=True)["state_dict"]
    assert before["thresholds.points.counts"].any()
    started = {}
    monkeypatch.setattr("wsss_training.stages.fit", lambda m, *_: started.update(m.state_dict()))
    settings.wsegpc.threshold = threshold
    start = last_checkpoint(tmp_path / "guidance")
    run_stage(settings, workload, scenes, tmp_path / "second", stage, True, start)
    for name, value in started.items():
        counts = name.startswith("thresholds.")
        assert torch.equal(value, torch.zeros_like(value) if counts else before[name]), name
    assert any(name.startswith("thresholds.") for name in started) == (threshold == "adaptive")


def test_labels_of_another_network_are_not_mixed_in(tmp_path):
    claim_folder(tmp_path / "labels", {"ontology": "semantic_kitti", "checkpoint": "a"})
    claim_folder(tmp_path / "labels", {"ontology": "semantic_kitti", "checkpoint": "a"})
    with pytest.raises(DatasetError, match="labels of another network"):
        claim_folder(tmp_path / "labels", {"ontology": "semantic_kitti", "checkpoint": "b"})


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("method=wsegpd", "method: 'wsegpd'; known are projected_prior, wsegpc"),
        ("wsegpc.guidance=both", "guidance: 'both'; known are contrastive"),
        ("wsegpc.warm_up=12", "warm_up: 12 steps; must be fewer than the shorter stage's 6"),
        ("wsegpc.warm_up=6", "warm_up: 6 steps; must be fewer"),
        ("wsegpc.tau=2", "tau: must lie in 0..1"),
        ("wsegpc.guidance_stage.steps=0", "guidance_stage.steps: must be positive"),
        ("wsegpc.pool.prior=-1", "pool: prior and network must not be negative"),
        ("wsegpc.pool.network=-0.5", "pool: prior and network must not be negative"),
        ("wsegpc.pool.network=0", "pool: prior and network .* one must be above 0"),
        ("wsegpc.pool.regions=1.5", r"pool\.regions: must lie in 0\.\.1"),
        ("wsegpc.pool.regions=-0.1", r"pool\.regions: must lie in 0\.\.1"),
        ("wsegpc.pool.teacher=1", "teacher"),
        ("wsegpc.consistency_stage.batch_size=0", "a stage's batch_size: must be positive"),
        ("wsegpc.image_size=[3]", "image_size: needs a positive height and width"),
    ],
)
def test_wrong_settings_are_named(config, word, message):
    with pytest.raises(ConfigError, match=message):
        config(word)


@pytest.mark.parametrize(
    "words",
    [
        ["wsegpc.pool.prior=1", "wsegpc.pool.network=0"],
        ["wsegpc.pool.prior=0", "wsegpc.pool.network=2"],
        ["wsegpc.warm_up=5"],
        ["wsegpc.warm_up=11", "wsegpc.consistency_stage.steps=0"],
        ["wsegpc.pool.regions=0"],
        ["wsegpc.pool.regions=1"],
    ],
)
def test_pools_at_the_edge_of_what_makes_sense_are_taken(config, words):
    config(*words)


def test_tags_alone_need_the_method(mini_log, tags):
    words = ["sources.0.supervision=tags", f"sources.0.tags={tags}"]
    with pytest.raises(ConfigError, match="supervision 'tags' needs 'method: wsegpc'"):
        load_config(mini_log.config, words)
