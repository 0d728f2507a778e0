"""Runs a training from its configuration: logs in, checkpoints and a model bundle out."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import (
    Callback,
    EMAWeightAveraging,
    LearningRateMonitor,
    ModelCheckpoint,
)
from lightning.pytorch.loggers import TensorBoardLogger
from safetensors.torch import load_file
from torch.utils.data import DataLoader

from wsss_perception.bundle import read_bundle
from wsss_perception.errors import ConfigError
from wsss_perception.networks.minkunet import MinkUNet
from wsss_training.augment import (
    Augmentation,
    Compose,
    CropRange,
    DropBeams,
    DropCameras,
    DropPoints,
    Flip,
    JitterCameras,
    JitterIntensity,
    JitterPoints,
    Mount,
    Rotate,
    Scale,
)
from wsss_training.config import OptimizationConfig, TrainConfig
from wsss_training.config_model import AugmentConfig
from wsss_training.data.draw_order import DrawOrder
from wsss_training.data.labelled_points import LabelledPoints
from wsss_training.data.training_set import AugmentedDraws, count_classes, resuming_loader
from wsss_training.losses.class_balance import class_weights
from wsss_training.methods.projected_prior import ProjectedPrior
from wsss_training.processes import Place, torchrun_devices
from wsss_training.run_folder import claim
from wsss_training.workload import Workload, held_back_loader, model_spec, open_workload


def build_network(config: TrainConfig, outputs: int | None = None) -> MinkUNet:
    """Builds the network, with random weights or those of ``model.start_from``.

    Args:
        config: describes it.
        outputs: of its head, which is then fresh in any case; by default its classes.
    """
    spec = model_spec(config)
    network = MinkUNet(spec.network, len(spec.features), outputs or len(spec.ontology))
    if config.model.start_from is None:
        return network
    bundle = read_bundle(config.model.start_from)
    start = bundle.spec
    if (start.network, start.features) != (spec.network, spec.features):
        raise ConfigError(
            f"model.start_from: {bundle.folder} has network {start.network} and features "
            f"{[f.name for f in start.features]}; the config must have the same"
        )
    state = load_file(bundle.weights)
    other = start.ontology.classes != spec.ontology.classes or start.embedding is not None
    if other or outputs is not None:  # a fresh head
        state.update({k: v for k, v in network.state_dict().items() if k.startswith("head.")})
    network.load_state_dict(state)
    return network


def build_augmentation(config: AugmentConfig) -> Augmentation:
    """Builds the augmentation of a configuration."""
    return Compose(
        [
            Rotate(config.rotation),
            Flip(),
            Scale(1 - config.scale, 1 + config.scale),
            Mount(config.height, config.tilt),
            DropPoints(config.drop_points),
            DropBeams(config.drop_beams),
            CropRange(config.crop_range, *config.crop_range_limits),
            JitterPoints(config.jitter),
            JitterIntensity(config.intensity_jitter, config.intensity_blank),
            JitterCameras(config.color_jitter),
            DropCameras(config.drop_cameras, config.drop_all_cameras),
        ]
    )


def train(config: TrainConfig) -> bool:
    """Trains, or resumes a run that was interrupted.

    Args:
        config: what to do; ``config.output`` tells where.

    Returns:
        Whether this is the first of the processes that trained together.

    Raises:
        WsssError: the data or the configuration is at fault.
    """
    output, settings = Path(config.output), config.optimization
    lightning.seed_everything(config.seed, verbose=False)
    torch.set_float32_matmul_precision("high")
    workload = open_workload(config)
    network = build_network(config)
    counts = count_classes(
        workload.sweeps, workload.groups, config.augment.sector_margin, network.head.out_features
    )
    if not counts.sum() > 0:
        raise ConfigError(
            "no point of the training sweeps has a label of its own or a teacher's label; have the "
            "sources with a teacher images, and does the teacher's mapping know their classes?"
        )
    module = ProjectedPrior(network, settings, class_weights(counts, settings.class_balance))
    schedule = Schedule(output, settings.steps, settings.batch_size)
    claim(output, config)

    def loader(trainer: lightning.Trainer) -> DataLoader[LabelledPoints]:
        return training_loader(config, workload, trainer.world_size, schedule.position(trainer))

    averaging = EMAWeightAveraging(decay=settings.ema_decay)
    held_back = partial(held_back_loader, workload)
    return fit(module, loader, held_back, schedule, settings, [averaging])


@dataclass(frozen=True)
class Schedule:
    """Where a run, or a stage of one, keeps its files, and how long it is.

    Attributes:
        output: folder.
        steps: optimizer steps.
        batch_size: draws a step and process.
    """

    output: Path
    steps: int
    batch_size: int

    def position(self, trainer: lightning.Trainer) -> Callable[[], tuple[int, int, int]]:
        """Tells a ``ResumingSampler`` where a trainer stands."""

        def position() -> tuple[int, int, int]:
            draws = trainer.global_step * self.batch_size * trainer.world_size
            return draws, trainer.global_rank, trainer.world_size

        return position


def fit(
    module: lightning.LightningModule,
    training: Callable[[lightning.Trainer], DataLoader],
    held_back: Callable[[Place], DataLoader],
    schedule: Schedule,
    settings: OptimizationConfig,
    callbacks: list[Callback],
) -> bool:
    """Trains a module, or resumes its training from the last checkpoint.

    Args:
        module: losses and network.
        training: loads training batches for a trainer.
        held_back: loads a process's share of what the module validates on.
        schedule: of the run or stage.
        settings: precision, clipping, checkpoints.
        callbacks: beside those that keep checkpoints and curves.

    Returns:
        Whether this is the first of the processes that trained together.
    """
    checkpoint = last_checkpoint(schedule.output)
    trainer = _trainer(schedule, settings, callbacks)
    trainer.fit(
        module,
        training(trainer),
        held_back(Place(trainer.global_rank, trainer.world_size)),
        ckpt_path=checkpoint if checkpoint.exists() else None,
        weights_only=False,
    )
    if schedule.steps % settings.checkpoint_every:
        trainer.save_checkpoint(checkpoint)
    return trainer.is_global_zero


def last_checkpoint(output: Path) -> Path:
    """Where a run keeps its newest checkpoint."""
    return output / "checkpoints" / "last.ckpt"


def training_loader(
    config: TrainConfig,
    workload: Workload,
    processes: int,
    position: Callable[[], tuple[int, int, int]],
) -> DataLoader[LabelledPoints]:
    """Loads the augmented batches of a run.

    Args:
        config: of the run.
        workload: what it describes.
        processes: that train together.
        position: see ``ResumingSampler``.
    """
    settings = config.optimization
    draws = settings.steps * settings.batch_size * processes
    augmented = AugmentedDraws(
        workload.sweeps,
        DrawOrder(workload.groups, config.seed, draws),
        build_augmentation(config.augment),
        config.augment.sector_margin,
        config.seed,
    )
    return resuming_loader(
        augmented, settings.batch_size, position, workload.voxelizer, settings.workers
    )


def check_launch() -> None:
    """Refuses several GPUs without ``torchrun``.

    What is done by all processes between trainings, such as pseudo-labels, knows of each other by
    it alone: Lightning's own processes would start with the training and end with it.

    Raises:
        ConfigError: with the command lines for all GPUs and for one.
    """
    gpus = torch.cuda.device_count()
    if gpus > 1 and torchrun_devices() is None:
        raise ConfigError(
            f"this machine has {gpus} GPUs, and a method of several stages shares its work among "
            "them by torchrun alone: put 'torchrun --standalone --nproc-per-node gpu' in the place "
            "of 'python' before '-m wsss_training train', or choose one with CUDA_VISIBLE_DEVICES=0"
        )


def _devices() -> dict[str, Any]:
    """The trainer's devices: one for each process of ``torchrun``; without it, what there is."""
    started = torchrun_devices()
    if started is None:
        return {}
    return {"strategy": "ddp", "devices": started[0], "num_nodes": started[1]}


def _trainer(
    schedule: Schedule, settings: OptimizationConfig, callbacks: list[Callback]
) -> lightning.Trainer:
    checkpoints = ModelCheckpoint(
        schedule.output / "checkpoints",
        filename="{step}",
        every_n_train_steps=settings.checkpoint_every,
        save_last=True,
        enable_version_counter=False,
    )
    return lightning.Trainer(
        **_devices(),
        max_steps=schedule.steps,
        precision=settings.precision,  # type: ignore[arg-type]
        gradient_clip_val=settings.gradient_clip,
        sync_batchnorm=torch.cuda.is_available(),
        use_distributed_sampler=False,
        callbacks=[*callbacks, checkpoints, LearningRateMonitor("step")],
        logger=TensorBoardLogger(str(schedule.output), name="logs", version=""),
        val_check_interval=min(settings.validate_every, schedule.steps),
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        log_every_n_steps=10,
        enable_model_summary=False,
    )
