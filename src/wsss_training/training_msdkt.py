"""Runs MSDKT: one training on few labelled points and on what images say of the others."""

from functools import partial
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging
from torch.utils.data import DataLoader

from wsss_perception.errors import ConfigError
from wsss_perception.ontology import Ontology
from wsss_perception.texts import read_texts
from wsss_training.config import SourceConfig, TrainConfig
from wsss_training.data.array_cache import ArrayCache
from wsss_training.data.draw_order import DrawGroup, DrawOrder
from wsss_training.data.supervised_sweeps import SupervisedSource
from wsss_training.data.training_set import count_classes, resuming_loader
from wsss_training.data.transfer_draws import (
    TransferCollator,
    TransferDraw,
    TransferDraws,
    favour_labelled,
)
from wsss_training.data.transfer_sweeps import (
    FORMAT,
    TransferSettings,
    TransferSource,
    TransferSweeps,
)
from wsss_training.losses.class_balance import class_weights
from wsss_training.methods.msdkt import MSDKT, TextAnchors
from wsss_training.run_folder import claim
from wsss_training.stages import varying_tags
from wsss_training.training import Schedule, build_augmentation, build_network, fit
from wsss_training.workload import (
    Workload,
    held_back_loader,
    model_spec,
    open_teacher,
    open_workload,
)


def train_msdkt(config: TrainConfig) -> bool:
    """Trains, or resumes a run that was interrupted.

    Args:
        config: with ``method: msdkt``.

    Returns:
        Whether this is the first of the processes that trained together.

    Raises:
        WsssError: the data or the configuration is at fault.
    """
    output, settings = Path(config.output), config.optimization
    lightning.seed_everything(config.seed, verbose=False)
    torch.set_float32_matmul_precision("high")
    workload = open_workload(config)
    sweeps = open_transfer_sweeps(config, workload)
    groups = favour_labelled(workload.groups, workload.sweeps.are_labelled())
    module = build_module(config, workload, sweeps, groups)
    schedule = Schedule(output, settings.steps, settings.batch_size)
    claim(output, config)

    def loader(trainer: lightning.Trainer) -> DataLoader[TransferDraw]:
        draws = settings.steps * settings.batch_size * trainer.world_size
        drawn = TransferDraws(
            sweeps,
            DrawOrder(groups, config.seed, draws),
            build_augmentation(config.augment),
            config.msdkt.points,
            config.seed,
        )
        return resuming_loader(
            drawn,
            settings.batch_size,
            schedule.position(trainer),
            TransferCollator(model_spec(config)),
            settings.workers,
        )

    averaging = EMAWeightAveraging(decay=settings.ema_decay)
    held_back = partial(held_back_loader, workload)
    return fit(module, loader, held_back, schedule, settings, [averaging])


def open_transfer_sweeps(config: TrainConfig, workload: Workload) -> TransferSweeps:
    """Opens the sweeps of a workload with their teachers.

    Raises:
        ConfigError: the teachers have different classes.
        WsssError: a teacher cannot be opened.
    """
    ontology = model_spec(config).ontology
    sources = [
        _open_source(config, source, opened, ontology)
        for source, opened in zip(config.sources, workload.sweeps.sources, strict=True)
    ]
    classes = {s.teacher.teacher.ontology.classes for s in sources if s.teacher is not None}
    if len(classes) > 1:
        raise ConfigError(
            "sources: have teachers of different classes; 'method: msdkt' compares their maps, and "
            "needs teachers of one ontology"
        )
    settings = config.msdkt
    reads_maps, reads_labels = settings.transfer_weight > 0, settings.contrast_weight > 0
    margin = config.augment.sector_margin
    return TransferSweeps(
        sources, TransferSettings(settings.views, reads_maps, reads_labels, margin)
    )


def _open_source(
    config: TrainConfig, source: SourceConfig, opened: SupervisedSource, ontology: Ontology
) -> TransferSource:
    if not config.msdkt.takes_images:
        return TransferSource(opened, None, None)
    teacher = open_teacher(source.teacher or config.teacher, ontology)
    cache = None
    if config.cache is not None:
        read = source.dataset, str(Path(source.root).absolute()), source.options
        read_labels = config.msdkt.contrast_weight > 0
        version = "transfer", FORMAT, read, teacher.version, read_labels
        cache = ArrayCache(config.cache, repr(version))
    return TransferSource(opened, teacher, cache)


def build_module(
    config: TrainConfig, workload: Workload, sweeps: TransferSweeps, groups: list[DrawGroup]
) -> MSDKT:
    """Builds the network with all that teaches it.

    Args:
        config: of the run.
        workload: what it describes.
        sweeps: the same, with teachers and tags.
        groups: of the sweeps to train on, by whose labels classes are weighed.

    Raises:
        ConfigError: no point is labelled, or a class has no text.
        TextsError: the texts cannot be read.
    """
    network, spec = build_network(config), model_spec(config)
    # whole sweeps: of few labels all are kept, wherever they are
    counts = count_classes(workload.sweeps, groups, None, len(spec.ontology))
    if not counts.sum() > 0:
        raise ConfigError(
            "no point of the training sweeps has a label; 'method: msdkt' learns from a few, see "
            "'weak-labels'"
        )
    return MSDKT(
        network,
        config.msdkt,
        config.optimization,
        class_weights(counts, config.optimization.class_balance),
        sweeps.map_size,
        open_anchors(config, spec.ontology),
        varying_tags(sweeps, workload.train, len(spec.ontology)),
    )


def open_anchors(config: TrainConfig, ontology: Ontology) -> TextAnchors | None:
    """Opens the texts that the contrast has as anchors; None without texts.

    Raises:
        ConfigError: a class has no text.
        TextsError: the texts cannot be read.
    """
    if config.msdkt.texts is None:
        return None
    texts = read_texts(config.msdkt.texts)
    missing = [name for name in ontology.classes if name not in texts.names]
    if missing:
        raise ConfigError(
            f"msdkt.texts: no text for {', '.join(missing)}; there are "
            f"{', '.join(dict.fromkeys(texts.names))}"
        )
    return TextAnchors(texts, ontology.classes)
