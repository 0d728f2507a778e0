"""Runs a training from its configuration: logs in, checkpoints and a model bundle out."""

from pathlib import Path

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
    DropPoints,
    Flip,
    JitterIntensity,
    JitterPoints,
    Mount,
    Rotate,
    Scale,
)
from wsss_training.config import AugmentConfig, TrainConfig, config_to_yaml
from wsss_training.data.draw_order import DrawOrder
from wsss_training.data.labelled_points import LabelledPoints
from wsss_training.data.training_set import AugmentedDraws, ResumingSampler, count_classes
from wsss_training.losses.class_balance import class_weights
from wsss_training.methods.projected_prior import ProjectedPrior
from wsss_training.workload import Workload, held_back_loader, model_spec, open_workload

CONFIG_FILE = "config.yaml"


def build_network(config: TrainConfig) -> MinkUNet:
    """Builds the network, with random weights or those of ``model.start_from``."""
    spec = model_spec(config)
    network = MinkUNet(spec.network, len(spec.features), len(spec.ontology))
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
    if start.ontology.classes != spec.ontology.classes:  # other classes: a fresh head
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
    weights = class_weights(counts, settings.class_balance)
    module = ProjectedPrior(network, settings, weights)
    checkpoint = _claim(output, config)
    trainer = _trainer(config, output)
    trainer.fit(
        module,
        _training_loader(config, workload, trainer),
        held_back_loader(workload),
        ckpt_path=checkpoint,
        weights_only=False,
    )
    if settings.steps % settings.checkpoint_every:
        trainer.save_checkpoint(last_checkpoint(output))
    return trainer.is_global_zero


def last_checkpoint(output: Path) -> Path:
    """Where a run keeps its newest checkpoint."""
    return output / "checkpoints" / "last.ckpt"


def _claim(output: Path, config: TrainConfig) -> Path | None:
    """Makes the run folder, or finds the checkpoint to resume from in an earlier one."""
    text, path = config_to_yaml(config), output / CONFIG_FILE
    checkpoint = last_checkpoint(output)
    if checkpoint.exists():
        if path.read_text(encoding="utf-8") != text:
            raise ConfigError(
                f"{output}: holds a run of another configuration; choose another 'output', or "
                "remove the folder"
            )
        return checkpoint
    output.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return None


def _training_loader(
    config: TrainConfig, workload: Workload, trainer: lightning.Trainer
) -> DataLoader[LabelledPoints]:
    settings = config.optimization
    draws_a_step = settings.batch_size * trainer.world_size
    draws = settings.steps * draws_a_step
    augmented = AugmentedDraws(
        workload.sweeps,
        DrawOrder(workload.groups, config.seed, draws),
        build_augmentation(config.augment),
        config.augment.sector_margin,
        config.seed,
    )

    def position() -> tuple[int, int, int]:
        return trainer.global_step * draws_a_step, trainer.global_rank, trainer.world_size

    return DataLoader(
        augmented,
        batch_size=settings.batch_size,
        sampler=ResumingSampler(draws, position),
        collate_fn=workload.voxelizer,
        num_workers=settings.workers,
        persistent_workers=settings.workers > 0,
        pin_memory=torch.cuda.is_available(),
    )


def _trainer(config: TrainConfig, output: Path) -> lightning.Trainer:
    settings = config.optimization
    callbacks: list[Callback] = [
        EMAWeightAveraging(decay=settings.ema_decay),
        ModelCheckpoint(
            output / "checkpoints",
            filename="{step}",
            every_n_train_steps=settings.checkpoint_every,
            save_last=True,
            enable_version_counter=False,
        ),
        LearningRateMonitor("step"),
    ]
    return lightning.Trainer(
        max_steps=settings.steps,
        precision=settings.precision,  # type: ignore[arg-type]
        gradient_clip_val=settings.gradient_clip,
        sync_batchnorm=torch.cuda.is_available(),
        use_distributed_sampler=False,
        callbacks=callbacks,
        logger=TensorBoardLogger(str(output), name="logs", version=""),
        val_check_interval=min(settings.validate_every, settings.steps),
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        log_every_n_steps=10,
        enable_model_summary=False,
    )
