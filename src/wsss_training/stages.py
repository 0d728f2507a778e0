"""Runs WSegPC: two stages of a network that knows tags and images, pseudo-labels, a segmenter."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from wsss_perception.errors import ConfigError
from wsss_perception.ontology import load_ontology
from wsss_training.augment import Compose, Flip, Rotate
from wsss_training.checkpoints import read_part, read_steps
from wsss_training.config import TrainConfig, load_config
from wsss_training.config_wsegpc import StageConfig
from wsss_training.data.draw_order import DrawOrder
from wsss_training.data.scene_batch import SceneCollator
from wsss_training.data.scene_draws import SceneDraw, SceneDraws
from wsss_training.data.supervised_scenes import (
    SceneSettings,
    SupervisedScenes,
    structure_labels,
)
from wsss_training.data.supervised_sweeps import SupervisedSource
from wsss_training.data.training_set import count_classes, resuming_loader
from wsss_training.labelling import check_sources, label_sources
from wsss_training.losses.class_balance import class_weights
from wsss_training.methods.wsegpc import WSegPC
from wsss_training.networks.cross_modal import CrossModalNetwork
from wsss_training.networks.image_resnet import ImageResNet
from wsss_training.regions.cached import CachedRegions
from wsss_training.run_folder import CONFIG_FILE, claim
from wsss_training.training import (
    Schedule,
    build_augmentation,
    build_network,
    check_launch,
    fit,
    last_checkpoint,
    train,
)
from wsss_training.workload import Workload, held_back_loader, model_spec, open_workload

_log = logging.getLogger(__name__)
SEGMENTER = "segmenter"
PSEUDO_LABELS = "pseudo_labels"


def train_wsegpc(config: TrainConfig) -> bool:
    """Trains all stages, or goes on where a killed run was, between stages or within one.

    ``output`` gets ``guidance``, ``consistency``, ``pseudo_labels`` and ``segmenter``, which is an
    ordinary run on the pseudo-labels, and on sources' own 3D labels, and is what is exported.

    Args:
        config: with ``method: wsegpc``.

    Returns:
        Whether this is the first of the processes that trained together.

    Raises:
        WsssError: the data or the configuration is at fault, which is looked for first.
    """
    check_launch()
    output = Path(config.output)
    claim(output, config)
    workload = open_workload(config)
    check_sources(config, workload)
    scenes = open_scenes(config, workload.sweeps.sources)
    previous: Path | None = None
    for name, stage, consistent in stages_of(config):
        if not is_finished(output / name, stage.steps):
            run_stage(config, workload, scenes, output / name, stage, consistent, previous)
        previous = last_checkpoint(output / name)
    if previous is None:
        raise AssertionError("a configuration without stages was not refused")
    label_sources(config, workload, scenes, previous, output / PSEUDO_LABELS)
    return train(segmenter_config(config))


def stages_of(config: TrainConfig) -> list[tuple[str, StageConfig, bool]]:
    """Name, schedule and whether consistency takes part, of each stage that is not left out."""
    settings = config.wsegpc
    stages = [("guidance", settings.guidance_stage, False)]
    if settings.consistency_stage.steps:
        stages.append(("consistency", settings.consistency_stage, True))
    return stages


def open_scenes(config: TrainConfig, sources: Sequence[SupervisedSource]) -> SupervisedScenes:
    """Opens the sweeps of sources as scenes with regions, tags and views."""
    settings = config.wsegpc
    folder = Path(config.output) / "regions" if config.cache is None else Path(config.cache)
    has_images = settings.image_network is not None
    needs_regions = settings.remove or settings.consistency == "region"
    return SupervisedScenes(
        sources,
        SceneSettings(
            CachedRegions(settings.regions, folder) if needs_regions else None,
            (settings.image_size[0], settings.image_size[1]) if has_images else None,
            settings.views,
            settings.image_share,
            config.augment.sector_margin,
            structure_labels(load_ontology(config.ontology)) if settings.remove else None,
        ),
    )


def run_stage(
    config: TrainConfig,
    workload: Workload,
    scenes: SupervisedScenes,
    folder: Path,
    stage: StageConfig,
    consistent: bool,
    start: Path | None,
) -> None:
    """Trains one of the stages that lead to pseudo-labels.

    Args:
        config: of the whole run.
        workload: what is held back, and how draws are shared out.
        scenes: to draw from.
        folder: of the stage.
        stage: its schedule.
        consistent: whether consistency takes part.
        start: checkpoint of the stage before; None to start from the configuration's weights.
    """
    lightning.seed_everything(config.seed, verbose=False)
    torch.set_float32_matmul_precision("high")
    spec = model_spec(config)
    # another order, other cuts and pairs in each stage
    seed = int(np.random.SeedSequence([config.seed, int(consistent)]).generate_state(1)[0])
    removed = structure_labels(spec.ontology) if config.wsegpc.remove else ()
    varying = varying_tags(scenes, workload.train, len(spec.ontology), removed)
    module = WSegPC(
        build_branches(config),
        config.wsegpc,
        stage,
        consistent,
        torch.from_numpy(prior_class_weights(config, workload)),
        torch.from_numpy(varying),
        config.optimization,
        seed,
    )
    if start is not None:
        module.network.load_state_dict(read_part(start, "network"))
        module.teacher.load_state_dict(read_part(start, "teacher"))
    settings = config.optimization
    batch_size = settings.batch_size if stage.batch_size is None else stage.batch_size
    schedule = Schedule(folder, stage.steps, batch_size)

    def loader(trainer: lightning.Trainer) -> DataLoader[SceneDraw]:
        draws = stage.steps * batch_size * trainer.world_size
        turn = config.wsegpc.teacher_rotation
        drawn = SceneDraws(
            scenes,
            DrawOrder(workload.groups, seed, draws),
            build_augmentation(config.augment),
            Compose([Rotate(turn), Flip()]),
            config.wsegpc.mix,
            config.wsegpc.color_jitter,
            seed,
            spec.features,
        )
        return resuming_loader(
            drawn, batch_size, schedule.position(trainer), SceneCollator(spec), settings.workers
        )

    held_back = partial(held_back_loader, workload)
    fit(module, loader, held_back, schedule, settings, [])


def build_branches(config: TrainConfig) -> CrossModalNetwork:
    """Builds the point branch and, where the configuration has one, the image branch."""
    settings, points = config.wsegpc, build_network(config)
    images = None
    if settings.image_network is not None:
        classes = points.head.out_features
        images = ImageResNet(settings.image_network, classes, settings.image_weights)
    return CrossModalNetwork(points, images, guided=settings.guidance != "none")


def prior_class_weights(config: TrainConfig, workload: Workload) -> np.ndarray:
    """Weight of each class in the prior's cross-entropy; all 1 where no label is known."""
    classes = len(model_spec(config).ontology)
    counts = count_classes(workload.sweeps, workload.groups, config.augment.sector_margin, classes)
    if not counts.sum() > 0:
        return np.ones(classes, dtype=np.float32)
    return class_weights(counts, config.optimization.class_balance)


class HasTags(Protocol):
    """Scenes that may be tagged."""

    def tags_of(self, index: int) -> NDArray[np.bool_] | None:
        """The tags of a scene, bool [C]; None for an untagged one."""


def varying_tags(
    scenes: HasTags,
    indices: np.ndarray,
    classes: int,
    removed: Sequence[int | None] = (),
) -> np.ndarray:
    """Which classes are tagged in some scenes and not in others, bool [classes].

    Says so in the log where there are tags and none varies.

    Args:
        scenes: to train on, among others.
        indices: which of them.
        classes: number of classes.
        removed: classes that are cleared at random where they are tagged, and so vary; None for
            those that the ontology lacks.
    """
    known = [tags for tags in map(scenes.tags_of, indices.tolist()) if tags is not None]
    if not known:
        return np.zeros(classes, dtype=bool)
    varying = np.any(known, axis=0) & ~np.all(known, axis=0)
    cleared = [label for label in removed if label is not None]
    varying[cleared] = np.any(known, axis=0)[cleared]
    if not varying.any():
        _log.warning(
            "the tags of all %d tagged scenes are alike: they rule classes out, but cannot tell "
            "those that are there from each other",
            len(known),
        )
    return varying


def is_finished(folder: Path, steps: int) -> bool:
    """Whether a stage's last checkpoint is that of its last step."""
    path = last_checkpoint(folder)
    return path.exists() and read_steps(path) >= steps


def open_run(run: Path) -> TrainConfig:
    """Reads the configuration of a WSegPC run, which may have moved since it was trained.

    Raises:
        ConfigError: there is no run, or one of another method.
    """
    path = run / CONFIG_FILE
    if not path.exists():
        raise ConfigError(f"{run}: no {CONFIG_FILE} there; give the 'output' folder of a training")
    config = load_config(path)
    if config.method != "wsegpc":
        raise ConfigError(
            f"{run}: its method is '{config.method}'; pseudo-labels come from runs of 'wsegpc'"
        )
    return replace(config, output=str(run))


def newest_checkpoint(config: TrainConfig) -> tuple[Path, bool]:
    """The checkpoint of the last stage of a run that has one.

    Returns:
        The file, and whether all stages are finished.

    Raises:
        ConfigError: no stage has a checkpoint yet.
    """
    run = Path(config.output)
    stages = [(run / name, stage.steps) for name, stage, _ in stages_of(config)]
    started = [folder for folder, _ in stages if last_checkpoint(folder).exists()]
    if not started:
        raise ConfigError(f"{run}: no checkpoint of a stage there yet; train first")
    return last_checkpoint(started[-1]), is_finished(*stages[-1])


def segmenter_config(config: TrainConfig) -> TrainConfig:
    """The run that learns from the pseudo-labels, and from 3D labels of sources that have them."""
    output = Path(config.output)
    sources = [
        source
        if source.supervision == "labels"
        else replace(source, pseudo_labels=str(output / PSEUDO_LABELS / str(number)))
        for number, source in enumerate(config.sources)
    ]
    return replace(
        config, output=str(output / SEGMENTER), method="projected_prior", sources=sources
    )


def exported_run(run: Path) -> Path:
    """The folder of the run that makes the bundle: of a WSegPC run, its last stage."""
    path = run / CONFIG_FILE
    in_stages = path.exists() and load_config(path).method == "wsegpc"
    return run / SEGMENTER if in_stages else run
