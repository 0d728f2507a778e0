"""Runs WSegPC: two stages of a network that knows tags and images, pseudo-labels, a segmenter."""

import logging
from dataclasses import replace
from pathlib import Path

import lightning
import numpy as np
import torch
from torch.utils.data import DataLoader

from wsss_perception.networks.minkunet import MinkUNet
from wsss_perception.ontology import load_ontology
from wsss_perception.progress import tracked
from wsss_training.augment import Compose, Flip, Rotate
from wsss_training.config import TrainConfig
from wsss_training.config_wsegpc import StageConfig
from wsss_training.data.array_cache import ArrayCache
from wsss_training.data.draw_order import DrawOrder
from wsss_training.data.scene_batch import SceneCollator
from wsss_training.data.scene_draws import SceneDraw, SceneDraws
from wsss_training.data.supervised_scenes import (
    SceneSettings,
    SupervisedScenes,
    structure_labels,
)
from wsss_training.data.training_set import ResumingSampler, count_classes
from wsss_training.losses.class_balance import class_weights
from wsss_training.methods.wsegpc import WSegPC
from wsss_training.networks.cross_modal import CrossModalNetwork
from wsss_training.networks.image_resnet import ImageResNet
from wsss_training.pseudo_labels import PseudoLabeller, digest, write_pseudo_labels
from wsss_training.regions import REGIONS
from wsss_training.training import (
    Schedule,
    build_augmentation,
    build_network,
    claim,
    fit,
    last_checkpoint,
    train,
)
from wsss_training.workload import Workload, held_back_loader, model_spec, open_workload

REGION_VERSION = "1"
SEGMENTER = "segmenter"
PSEUDO_LABELS = "pseudo_labels"
_log = logging.getLogger(__name__)


def train_wsegpc(config: TrainConfig) -> bool:
    """Trains all stages, or goes on where a killed run was, between stages or within one.

    ``output`` gets ``guidance``, ``consistency``, ``pseudo_labels`` and ``segmenter``, which is an
    ordinary run on the pseudo-labels and is what is exported.

    Args:
        config: with ``method: wsegpc``.

    Returns:
        Whether this is the first of the processes that trained together.

    Raises:
        WsssError: the data or the configuration is at fault.
    """
    output = Path(config.output)
    claim(output, config)
    workload = open_workload(config)
    scenes = open_scenes(config, workload)
    previous: Path | None = None
    for name, stage, consistent in stages_of(config):
        if not is_finished(output / name, stage.steps):
            run_stage(config, workload, scenes, output / name, stage, consistent, previous)
        previous = last_checkpoint(output / name)
    if previous is None:
        raise AssertionError("a configuration without stages was not refused")
    label(config, scenes, workload, previous)
    _wait_for_others()
    return train(segmenter_config(config))


def stages_of(config: TrainConfig) -> list[tuple[str, StageConfig, bool]]:
    """Name, schedule and whether consistency takes part, of each stage that is not left out."""
    settings = config.wsegpc
    stages = [("guidance", settings.guidance_stage, False)]
    if settings.consistency_stage.steps:
        stages.append(("consistency", settings.consistency_stage, True))
    return stages


def open_scenes(config: TrainConfig, workload: Workload) -> SupervisedScenes:
    """Opens a workload's sweeps as scenes with regions, tags and views."""
    settings = config.wsegpc
    folder = Path(config.output) / "regions" if config.cache is None else Path(config.cache)
    has_images = settings.image_network is not None
    return SupervisedScenes(
        workload.sweeps.sources,
        SceneSettings(
            REGIONS[settings.regions],
            ArrayCache(folder, f"regions {settings.regions} {REGION_VERSION}"),
            (settings.image_size[0], settings.image_size[1]) if has_images else None,
            settings.views,
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
    module = WSegPC(
        build_branches(config),
        config.wsegpc,
        stage,
        consistent,
        torch.from_numpy(prior_class_weights(config, workload)),
        torch.from_numpy(varying_tags(scenes, workload.train, len(model_spec(config).ontology))),
        config.optimization.lovasz_weight,
    )
    if start is not None:
        state = torch.load(start, map_location="cpu", weights_only=True)["state_dict"]
        module.load_state_dict(state)
        for threshold in module.thresholds.values():
            threshold.reset()  # type: ignore[operator]
    settings = config.optimization
    schedule = Schedule(folder, stage.steps, settings.batch_size)

    def loader(trainer: lightning.Trainer) -> DataLoader[SceneDraw]:
        draws = stage.steps * settings.batch_size * trainer.world_size
        turn = config.wsegpc.teacher_rotation
        drawn = SceneDraws(
            scenes,
            DrawOrder(workload.groups, config.seed, draws),
            build_augmentation(config.augment),
            Compose([Rotate(turn), Flip()]),
            config.wsegpc.mix,
            config.wsegpc.color_jitter,
            config.seed,
        )
        return DataLoader(
            drawn,
            batch_size=settings.batch_size,
            sampler=ResumingSampler(draws, schedule.position(trainer)),
            collate_fn=SceneCollator(model_spec(config)),
            num_workers=settings.workers,
            persistent_workers=settings.workers > 0,
            pin_memory=torch.cuda.is_available(),
        )

    fit(module, loader, held_back_loader(workload), schedule, settings, [])


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


def varying_tags(scenes: SupervisedScenes, indices: np.ndarray, classes: int) -> np.ndarray:
    """Which classes are tagged in some scenes and not in others, bool [classes]."""
    known = [tags for tags in map(scenes.tags_of, indices.tolist()) if tags is not None]
    if not known:
        return np.zeros(classes, dtype=bool)
    return np.any(known, axis=0) & ~np.all(known, axis=0)


def is_finished(folder: Path, steps: int) -> bool:
    """Whether a stage's last checkpoint is that of its last step."""
    path = last_checkpoint(folder)
    if not path.exists():
        return False
    saved = torch.load(path, map_location="cpu", weights_only=True)
    return int(saved["global_step"]) >= steps


def label(
    config: TrainConfig, scenes: SupervisedScenes, workload: Workload, checkpoint: Path
) -> None:
    """Writes this process's share of the pseudo-labels, a folder of weak labels a source."""
    spec = model_spec(config)
    network = MinkUNet(spec.network, len(spec.features), len(spec.ontology)).eval()
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    prefix = "teacher.network.points."
    network.load_state_dict(
        {key.removeprefix(prefix): v for key, v in saved.items() if key.startswith(prefix)}
    )
    if torch.cuda.is_available():
        network.cuda()
    pool = config.wsegpc.pool
    if config.wsegpc.consistency != "region":
        pool = replace(pool, regions=0.0)
    labeller = PseudoLabeller(network, spec, pool)
    rank, processes = _place()
    info = {"ontology": spec.ontology.name, "checkpoint": digest([checkpoint])}
    for number in range(len(workload.sweeps.sources)):
        mine = np.flatnonzero(workload.sweeps.source == number)[rank::processes].tolist()
        folder = Path(config.output) / PSEUDO_LABELS / str(number)
        write_pseudo_labels(
            folder, scenes, tracked(mine, "pseudo-labels", len(mine)), labeller, info
        )


def segmenter_config(config: TrainConfig) -> TrainConfig:
    """The run that learns from the pseudo-labels alone."""
    output = Path(config.output)
    sources = [
        replace(
            source,
            supervision="labels",
            teacher=None,
            tags=None,
            weak_labels=str(output / PSEUDO_LABELS / str(number)),
        )
        for number, source in enumerate(config.sources)
    ]
    return replace(
        config,
        output=str(output / SEGMENTER),
        method="projected_prior",
        sources=sources,
        teacher=None,
    )


def _place() -> tuple[int, int]:
    """This process's rank and the number of processes."""
    distributed = torch.distributed
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def _wait_for_others() -> None:
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()
