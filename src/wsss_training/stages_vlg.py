"""Runs 3DSS-VLG: fused embeddings, pseudo-labels, an adapter (ESS), a 3D network (ESG)."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging
from torch.nn import functional
from torch.utils.data import DataLoader

from wsss_perception.errors import ConfigError
from wsss_perception.ontology import load_ontology
from wsss_training.checkpoints import read_part
from wsss_training.config import TrainConfig
from wsss_training.data.draw_order import DrawOrder
from wsss_training.data.embedded_draws import (
    EmbeddedCollator,
    EmbeddedDraws,
    EmbeddedPoints,
    EmbeddedSweeps,
)
from wsss_training.data.fused_store import FusedStore
from wsss_training.data.labelled_rows import LabelledRows, Rows, collate_rows
from wsss_training.data.training_set import resuming_loader
from wsss_training.data.weak_labels import INFO_FILE
from wsss_training.files import digest_files, write_whole
from wsss_training.fusing import VisionLanguage, fuse_sources, open_vision_language
from wsss_training.labelling_vlg import EmbeddingLabeller, label_fused
from wsss_training.losses.class_balance import class_weights
from wsss_training.methods.vlg import VLG, Specialisation
from wsss_training.networks.adapter import EmbeddingAdapter
from wsss_training.networks.text_logits import TextLogits
from wsss_training.processes import Place, place, wait_for_all
from wsss_training.regions.cached import CachedRegions
from wsss_training.run_folder import claim
from wsss_training.stages import PSEUDO_LABELS, is_finished
from wsss_training.training import (
    Schedule,
    build_augmentation,
    build_network,
    check_launch,
    fit,
    last_checkpoint,
)
from wsss_training.workload import Workload, held_back_loader, model_spec, open_workload

FUSED, ADAPTER, NETWORK = "fused", "adapter", "network"
_LEARNED_FROM = "learned_from.txt"
_COUNTED = 200
"""Draws that tell how frequent classes are, and the mean of the embeddings."""


def train_vlg(config: TrainConfig) -> bool:
    """Trains all stages, or goes on where a killed run was, between stages or within one.

    ``output`` gets ``fused``, ``pseudo_labels``, ``adapter`` and ``network``.

    Args:
        config: with ``method: vlg``.

    Returns:
        Whether this is the first of the processes that trained together.

    Raises:
        WsssError: the data or the configuration is at fault.
    """
    check_launch()
    output = Path(config.output)
    claim(output, config)
    workload, language = open_workload(config), open_vision_language(config)
    texts = build_text_logits(config, language)
    sources = workload.sweeps.sources
    stores = fuse_sources(sources, language, output / FUSED)
    labellers = [EmbeddingLabeller(store, texts, config.vlg, _regions(config)) for store in stores]
    ontology = load_ontology(config.ontology)
    label_fused(sources, labellers, ontology, config, output / PSEUDO_LABELS)
    _claim_stages(output, len(sources))
    if not is_finished(output / ADAPTER, config.vlg.adapter.steps):
        train_adapter(config, workload, EmbeddedSweeps(sources, stores), texts)
    train_network(config, stores, texts, language.size)
    return place().is_first


def _claim_stages(output: Path, sources: int) -> None:
    """Raises ConfigError where a stage has learned from other pseudo-labels than are there now."""
    infos = [output / PSEUDO_LABELS / str(number) / INFO_FILE for number in range(sources)]
    digest, notes = (
        digest_files(infos),
        [output / name / _LEARNED_FROM for name in (ADAPTER, NETWORK)],
    )
    stale = [str(n.parent) for n in notes if n.exists() and n.read_text(encoding="utf-8") != digest]
    if stale:
        raise ConfigError(
            f"{' and '.join(stale)}: learned from other pseudo-labels than are there now; remove "
            "what is named here to train it anew, or choose another 'output'"
        )
    wait_for_all()  # before the first of them writes
    for note in notes:
        note.parent.mkdir(exist_ok=True)
        write_whole(note, digest.encode("utf-8"))


def build_text_logits(config: TrainConfig, language: VisionLanguage) -> TextLogits:
    """Builds the comparison with the texts of the configuration's classes."""
    classes = load_ontology(config.ontology).classes
    return TextLogits(language.texts, classes, language.logit_scale)


def read_adapter(config: TrainConfig, size: int) -> EmbeddingAdapter:
    """Reads the adapter that ``train_adapter`` has learned.

    Raises:
        ConfigError: its training is not finished.
    """
    settings, folder = config.vlg.adapter, Path(config.output) / ADAPTER
    if not is_finished(folder, settings.steps):
        raise ConfigError(f"{folder}: has no adapter of {settings.steps} steps; train first")
    adapter = EmbeddingAdapter(size, settings.alpha, settings.reduction)
    adapter.load_state_dict(read_part(last_checkpoint(folder), "adapter"))
    return adapter


def train_adapter(
    config: TrainConfig, workload: Workload, sweeps: EmbeddedSweeps, texts: TextLogits
) -> None:
    """Trains the adapter on pseudo-labelled points of the sweeps that are not held back (ESS)."""
    lightning.seed_everything(config.seed, verbose=False)
    settings, steps = config.optimization, config.vlg.adapter.steps
    learned = config.vlg.adapter
    adapter = EmbeddingAdapter(texts.vectors.shape[1], learned.alpha, learned.reduction)
    module = Specialisation(adapter, texts, learned)
    schedule = Schedule(Path(config.output) / ADAPTER, steps, settings.batch_size)

    def loader(trainer: lightning.Trainer) -> DataLoader[Rows]:
        draws = steps * settings.batch_size * trainer.world_size
        return resuming_loader(
            labelled_rows(config, sweeps, DrawOrder(workload.groups, config.seed, draws)),
            settings.batch_size,
            schedule.position(trainer),
            collate_rows,
            settings.workers,
        )

    def held_back(here: Place) -> DataLoader[Rows]:
        each = -(-len(workload.held_back) // here.processes)
        mine: list[int | None] = [*here.share(workload.held_back.tolist())]
        padded = mine + [None] * (each - len(mine))
        rows = labelled_rows(config, sweeps, padded)
        return DataLoader(rows, batch_size=1, collate_fn=collate_rows)

    fit(module, loader, held_back, schedule, replace(settings, precision="32-true"), [])


def labelled_rows(
    config: TrainConfig, sweeps: EmbeddedSweeps, order: Sequence[int | None] | DrawOrder
) -> LabelledRows:
    """Embeddings with the run's pseudo-labels, in an order of the sweeps."""
    root, classes = Path(config.output) / PSEUDO_LABELS, len(load_ontology(config.ontology))
    folders = [root / str(number) for number in range(len(sweeps.sources))]
    return LabelledRows(sweeps, folders, classes, order, config.vlg.adapter.points, config.seed)


@torch.no_grad()
def class_weights_and_center(
    rows: Iterable[Rows], adapter: EmbeddingAdapter, texts: TextLogits, balance: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Finds how much points of each class count, and what adapted embeddings have in common.

    Args:
        rows: some embeddings.
        adapter: that the 3D network learns from.
        texts: of the classes; a point is of the nearest one's.
        balance: exponent of the weights, see ``losses.class_balance``.

    Returns:
        Weights [C], and the mean direction [D] of points that count so much.
    """
    counts = torch.zeros(texts.classes)
    sums = torch.zeros(texts.classes, texts.vectors.shape[1])
    for embeddings, _ in rows:
        adapted = adapter(torch.from_numpy(embeddings))
        nearest = texts(adapted).argmax(dim=1)
        counts += nearest.bincount(minlength=texts.classes)
        sums.index_add_(0, nearest, functional.normalize(adapted, dim=1))
    weights = torch.from_numpy(class_weights(counts.double().numpy(), balance))
    return weights, weights @ sums / (weights @ counts).clamp(min=1)


def train_network(
    config: TrainConfig, stores: Sequence[FusedStore], texts: TextLogits, size: int
) -> None:
    """Trains the 3D network on the adapter's embeddings of the points that are seen (ESG)."""
    lightning.seed_everything(config.seed, verbose=False)
    torch.set_float32_matmul_precision("high")
    settings = config.optimization
    workload = open_workload(pseudo_labelled(config))
    guided = config.vlg.region_guidance > 0
    sweeps = EmbeddedSweeps(workload.sweeps.sources, stores, _regions(config) if guided else None)
    module = build_guidance(config, workload, sweeps, texts, size)
    schedule = Schedule(Path(config.output) / NETWORK, settings.steps, settings.batch_size)

    def loader(trainer: lightning.Trainer) -> DataLoader[EmbeddedPoints]:
        draws = settings.steps * settings.batch_size * trainer.world_size
        drawn = EmbeddedDraws(
            sweeps,
            DrawOrder(workload.groups, config.seed, draws),
            build_augmentation(config.augment),
            config.augment.sector_margin,
            config.vlg.points,
            config.seed,
        )
        return resuming_loader(
            drawn,
            settings.batch_size,
            schedule.position(trainer),
            EmbeddedCollator(model_spec(config)),
            settings.workers,
        )

    def held_back(here: Place) -> DataLoader:
        return held_back_loader(workload, here)

    averaging = EMAWeightAveraging(decay=settings.ema_decay)
    fit(module, loader, held_back, schedule, settings, [averaging])


def build_guidance(
    config: TrainConfig,
    workload: Workload,
    sweeps: EmbeddedSweeps,
    texts: TextLogits,
    size: int,
) -> VLG:
    """Builds the 3D network with the run's finished adapter, which guides it.

    Args:
        config: of the run.
        workload: what it describes.
        sweeps: the same, with fused embeddings.
        texts: of the classes.
        size: how many numbers an embedding has.
    """
    network, adapter = build_network(config, outputs=size), read_adapter(config, size)
    rows = labelled_rows(config, sweeps, DrawOrder(workload.groups, config.seed, _COUNTED))
    weights, center = class_weights_and_center(
        map(rows.__getitem__, range(len(rows))), adapter, texts, config.optimization.class_balance
    )
    return VLG(
        network,
        adapter,
        texts,
        config.optimization,
        config.vlg.region_guidance,
        weights,
        center if config.vlg.center else None,
    )


def _regions(config: TrainConfig) -> CachedRegions | None:
    """The regions of a configuration; None for none."""
    folder = Path(config.output) / "regions" if config.cache is None else Path(config.cache)
    return None if config.vlg.regions is None else CachedRegions(config.vlg.regions, folder)


def pseudo_labelled(config: TrainConfig) -> TrainConfig:
    """The same configuration with sources that have the run's pseudo-labels."""
    folder = Path(config.output) / PSEUDO_LABELS
    return replace(
        config,
        sources=[
            replace(source, pseudo_labels=str(folder / str(number)))
            for number, source in enumerate(config.sources)
        ],
    )
