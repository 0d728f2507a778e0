"""Writes a model bundle from a training run."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save

from wsss_perception.bundle import WEIGHTS_FILE, Bundle, ModelSpec, write_bundle
from wsss_perception.errors import ConfigError
from wsss_perception.features import Feature, point_features
from wsss_perception.frame import PointCloud
from wsss_perception.networks.minkunet import MinkUNet
from wsss_perception.tables import LEVELS, halve, sorted_keys
from wsss_perception.voxels import voxelize
from wsss_training.calibration import expected_calibration_error, fit_temperature
from wsss_training.checkpoints import read_part, read_steps
from wsss_training.config import SourceConfig, TeacherConfig, TrainConfig, load_config
from wsss_training.config_vlg import VLGConfig
from wsss_training.data.training_set import evenly
from wsss_training.run_folder import CONFIG_FILE
from wsss_training.training import last_checkpoint
from wsss_training.workload import Workload, held_back_loader, model_spec, open_workload

_STATISTICS_SWEEPS = 32


def export_bundle(run: Path, folder: Path) -> Bundle:
    """Exports the averaged weights of a run's last checkpoint, calibrated, as a bundle.

    The temperature is fitted, and the agreement measured, against the labels of the held-back
    sweeps: the teacher's, the pseudo-labels that WSegPC made of teacher or tags, or 3D labels
    where all sources have those. A model that takes images is calibrated on these sweeps with
    all their cameras and with none: its one temperature serves both.

    Args:
        run: the training run's output folder.
        folder: where the bundle goes.

    Raises:
        ConfigError: the run has no checkpoint.
        BundleError: the bundle cannot be written.
    """
    checkpoint = last_checkpoint(run)
    if not checkpoint.exists():
        raise ConfigError(f"{run}: no checkpoint at {checkpoint}; train first")
    config = load_config(run / CONFIG_FILE)
    spec, workload = model_spec(config), open_workload(config)
    network = MinkUNet(spec.network, len(spec.features), spec.outputs).eval()
    averaged = read_part(checkpoint, "network")
    network.load_state_dict(averaged)
    results = {"": _held_back_logits(network, workload)}
    if spec.takes_images:
        results["_without_cameras"] = _held_back_logits(network, workload, cameras=False)
    logits, labels = (torch.cat(each) for each in zip(*results.values(), strict=True))
    temperature = fit_temperature(logits, labels)
    scores: dict[str, float] = {}
    for suffix, (logits, labels) in results.items():
        scores |= held_back_scores(workload.reference, logits / temperature, labels, suffix)
    spec = replace(
        spec,
        temperature=round(temperature, 4),
        input_statistics=input_statistics(workload, spec),
        provenance=provenance(config, read_steps(checkpoint)) | scores,
    )
    weights = save({key: value.contiguous() for key, value in averaged.items()})
    return write_bundle(folder, spec, {WEIGHTS_FILE: weights})


@torch.inference_mode()
def _held_back_logits(
    network: MinkUNet, workload: Workload, cameras: bool = True
) -> tuple[torch.Tensor, torch.Tensor]:
    logits, labels = [], []
    for batch in held_back_loader(workload, cameras=cameras):
        if len(batch.labels):
            logits.append(network(batch.coords, batch.features)[batch.voxels])
            labels.append(batch.labels)
    if not labels:
        return torch.zeros(0, len(network.head.bias)), torch.zeros(0, dtype=torch.int64)
    return torch.cat(logits), torch.cat(labels)


def provenance(config: TrainConfig, steps: int) -> dict[str, Any]:
    """Tells how a model was made: method, data and settings."""
    made = any(source.pseudo_labels is not None for source in config.sources)
    told: dict[str, Any] = {
        "method": "wsegpc" if made else config.method,
        "steps": steps,
        "seed": config.seed,
        "sources": [_source(source) for source in config.sources],
        "augmentation": vars(config.augment),
        "optimization": vars(config.optimization),
    }
    if config.method == "vlg":
        told["vlg"] = _vlg(config.vlg)
    if config.method == "msdkt":
        told["msdkt"] = asdict(config.msdkt) | {"texts": _name(config.msdkt.texts)}
    if made:
        told["wsegpc"] = asdict(config.wsegpc)
    if config.model.start_from is not None:
        told["start_from"] = str(config.model.start_from)
    if config.teacher is not None:
        told["teacher"] = _teacher(config.teacher)
    return told


def _name(path: str | None) -> str | None:
    return None if path is None else Path(path).name


def _vlg(settings: VLGConfig) -> dict[str, Any]:
    described = {**asdict(settings), "texts": Path(settings.texts or "").name}
    if settings.embeddings is not None:
        described["embeddings"] = Path(settings.embeddings.root).name
    return described


def _source(source: SourceConfig) -> dict[str, Any]:
    described: dict[str, Any] = {
        "dataset": source.dataset,
        "every": source.every,
        "supervision": source.supervision,
    }
    if source.share is not None:
        described["share"] = source.share
    if source.weak_labels is not None:
        described["weak_labels"] = Path(source.weak_labels).name
    if source.tags is not None:
        described["tags"] = Path(source.tags).name
    if source.pseudo_labels is not None:
        described["learned_from"] = "pseudo-labels"
    if source.teacher is not None:
        described["teacher"] = _teacher(source.teacher)
    if source.embeddings is not None:
        described["embeddings"] = Path(source.embeddings.root).name
    return described | source.options


def _teacher(teacher: TeacherConfig) -> dict[str, str]:
    return {"folder": Path(teacher.root).name, "mapping": teacher.mapping}


def held_back_scores(
    reference: str, logits: torch.Tensor, labels: torch.Tensor, suffix: str
) -> dict[str, float]:
    """Compares calibrated logits [N, C] with the labels [N] of held-back sweeps."""
    confidence, predicted = logits.softmax(dim=1).max(dim=1)
    correct = predicted == labels
    agreement = float(correct.double().mean()) if len(labels) else 0.0
    error = expected_calibration_error(confidence, correct)
    return {
        f"held_back_agreement_with_{reference}{suffix}": round(agreement, 4),
        f"held_back_calibration_error{suffix}": round(error, 4),
    }


def input_statistics(workload: Workload, spec: ModelSpec) -> dict[str, dict[str, float]]:
    """Percentiles over training sweeps, as many of each group, of the input and of its size.

    Returns:
        p01, p50 and p99 of each feature's raw values; and as ``voxels0`` to ``voxels4`` of a
        sweep's number of voxels at each resolution of the network.
    """
    raw = tuple(Feature(feature.name, fill=feature.fill) for feature in spec.features)
    each = max(_STATISTICS_SWEEPS // len(workload.groups), 1)
    chosen = np.concatenate([evenly(group.indices, each) for group in workload.groups])
    clouds = [workload.sweeps[int(index)].cloud for index in chosen]
    values = np.concatenate([_finite_rows(cloud, raw) for cloud in clouds])
    sizes = np.array([_voxel_counts(cloud, spec) for cloud in clouds])
    statistics = {
        feature.name: _percentiles(column, 4) for feature, column in zip(raw, values.T, strict=True)
    }
    return statistics | {
        f"voxels{level}": _percentiles(column, 0) for level, column in enumerate(sizes.T)
    }


def _percentiles(values: NDArray, decimals: int) -> dict[str, float]:
    percentiles = np.percentile(values, [1, 50, 99]).round(decimals)
    return dict(zip(("p01", "p50", "p99"), map(float, percentiles), strict=True))


def _voxel_counts(cloud: PointCloud, spec: ModelSpec) -> list[int]:
    """Voxels of a whole sweep at each resolution of the network, the finest first."""
    keys = sorted_keys(voxelize(cloud.xyz, spec.voxel_size, spec.point_range).coords)
    counts = [len(keys)]
    for _ in range(LEVELS - 1):
        keys = halve(keys)[0]
        counts.append(len(keys))
    return counts


def _finite_rows(cloud: PointCloud, features: tuple[Feature, ...]) -> NDArray[np.float32]:
    rows = point_features(cloud, features)
    return rows[np.isfinite(rows).all(axis=1)]
