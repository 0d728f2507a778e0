"""Labels logs with the averaged 3D network that the stages of WSegPC end with."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from wsss_perception.errors import ConfigError, DatasetError, OntologyError
from wsss_perception.networks.minkunet import MinkUNet
from wsss_perception.ontology import Ontology, load_ontology
from wsss_training.checkpoints import read_part
from wsss_training.config import SourceConfig, TrainConfig
from wsss_training.config_wsegpc import PoolConfig
from wsss_training.data import Dataset, open_dataset
from wsss_training.data.supervised_scenes import SupervisedScenes
from wsss_training.data.supervised_sweeps import (
    NoSupervision,
    SupervisedSource,
    TeacherSupervision,
)
from wsss_training.data.tagged_dataset import TaggedDataset
from wsss_training.data.training_set import evenly
from wsss_training.files import digest_files
from wsss_training.processes import place, sum_over_all, wait_for_all
from wsss_training.pseudo_labels import PseudoLabeller, write_pseudo_labels
from wsss_training.regions import REGION_VERSION
from wsss_training.workload import Workload, check_tags, model_spec

_CHECKED_SWEEPS = 200


def open_labeller(
    config: TrainConfig, checkpoint: Path, pool: PoolConfig | None = None
) -> PseudoLabeller:
    """Loads the averaged 3D network of a stage's checkpoint, on a GPU where there is one.

    Args:
        config: of the run.
        checkpoint: of the stage.
        pool: what labels are made of; by default what the configuration says.
    """
    spec = model_spec(config)
    network = MinkUNet(spec.network, len(spec.features), len(spec.ontology)).eval()
    network.load_state_dict(read_part(checkpoint, "teacher.network.points"))
    pool = _pool_of(config) if pool is None else pool
    network = network.cuda() if torch.cuda.is_available() else network
    return PseudoLabeller(network, spec, pool, config.wsegpc.center)


def label_sources(
    config: TrainConfig,
    workload: Workload,
    scenes: SupervisedScenes,
    checkpoint: Path,
    folder: Path,
) -> NDArray[np.int64]:
    """Labels all sweeps of a run that have no 3D labels, a folder ``<folder>/<number>`` a source.

    Returns:
        As ``label_scenes``.

    Raises:
        DatasetError: as for ``label_scenes``.
    """
    labeller, info = open_labeller(config, checkpoint), describe(config, checkpoint)
    counts = np.zeros(labeller.classes + 1, dtype=np.int64)
    for number in labelled_sources(config):
        indices = np.flatnonzero(workload.sweeps.source == number).tolist()
        counts += label_scenes(labeller, scenes, indices, folder / str(number), info)
    return counts


def labelled_sources(config: TrainConfig) -> list[int]:
    """Numbers of the sources that get pseudo-labels: 3D labels, of all points or a few, stay."""
    return [n for n, source in enumerate(config.sources) if source.supervision != "labels"]


def label_scenes(
    labeller: PseudoLabeller,
    scenes: SupervisedScenes,
    indices: Sequence[int],
    folder: Path,
    info: dict[str, Any],
) -> NDArray[np.int64]:
    """Labels scenes, each process its share of them, and returns when all are there.

    Arguments are as of ``write_pseudo_labels``.

    Returns:
        int64 [C + 1], labelled points of each class, and at last points without a label.

    Raises:
        DatasetError: as for ``write_pseudo_labels``; or the folder is not one for all processes.
    """
    here = place()
    mine = here.share(indices)
    shown = here.tracked(mine, "pseudo-labels", len(mine))
    counts = sum_over_all(write_pseudo_labels(folder, scenes, shown, labeller, info))
    wait_for_all()
    for path in (folder / f"{scenes.sample_id(index)}.npz" for index in indices):
        if not path.exists():
            raise DatasetError(
                f"{path}: another process has written it, but it is not there; the folder must be "
                "one that all machines share"
            )
    return counts


def describe(config: TrainConfig, checkpoint: Path) -> dict[str, Any]:
    """What tells pseudo-labels from others: classes, network, the pool and its regions."""
    ontology = load_ontology(config.ontology)
    info: dict[str, Any] = {"ontology": ontology.name}
    if not _is_shipped(ontology):
        info["definition"] = ontology.to_dict()
    regions = f"{config.wsegpc.regions} {REGION_VERSION}"
    info |= {"checkpoint": digest_files([checkpoint]), "pool": asdict(_pool_of(config))}
    if config.wsegpc.center:
        info["center"] = True
    return info | {"regions": regions}


def open_unlabelled(config: TrainConfig, source: SourceConfig) -> SupervisedSource:
    """Opens a dataset that a run did not learn from: its clouds and, if the source has any, tags.

    Raises:
        ConfigError: it has no sweeps, other classes than the run, tags of other classes or scenes;
            or the run's pseudo-labels are made of a 2D teacher's opinion alone.
        WsssError: the dataset or the tags cannot be opened.
    """
    ontology, where = load_ontology(config.ontology), f"{source.dataset} at {source.root}"
    dataset = open_dataset(
        source.dataset,
        source.root,
        labels=False,
        images=False,
        tags=source.tags,
        **source.options,
    )
    if not len(dataset):
        raise ConfigError(f"{where}: no sweeps; are the root and the options right?")
    _check_classes(where, dataset, ontology)
    _check_network_counts(where, config)
    if isinstance(dataset, TaggedDataset):
        check_tags(source, dataset.tags, dataset.sample_ids, ontology)
    return SupervisedSource(dataset, range(len(dataset)), NoSupervision(), has_teacher=False)


def check_sources(config: TrainConfig, workload: Workload) -> None:
    """Finds before training what would stop labelling, or learning from labels, hours later.

    A teacher's probabilities are read of a source's first sweep, and looked for of at most 200
    evenly chosen ones. Those of others may still be missing: labelling then names the file, and
    the run goes on once it is there.

    Raises:
        ConfigError: a source's dataset has other classes than the model; or its pseudo-labels are
            to be made of what it does not have.
    """
    ontology = load_ontology(config.ontology)
    for number in labelled_sources(config):
        source = workload.sweeps.sources[number]
        where = f"sources[{number}] ({config.sources[number].dataset})"
        _check_classes(where, source.dataset, ontology)
        if not isinstance(source.supervision, TeacherSupervision):
            _check_network_counts(where, config)
        elif config.wsegpc.pool.prior > 0 and len(source.indices):
            try:
                _check_probabilities(source, source.supervision, len(ontology))
            except DatasetError as error:
                raise ConfigError(
                    f"{where}: {error}. With wsegpc.pool.prior above 0 pseudo-labels need the "
                    "teacher's .prob.npz files (teachers/precomputed.py); write them, or set "
                    "wsegpc.pool.prior=0"
                ) from error


def _check_probabilities(
    source: SupervisedSource, supervision: TeacherSupervision, classes: int
) -> None:
    """Raises DatasetError for probabilities that are not there, or of the first sweep damaged."""
    supervision.probabilities(source.dataset[source.indices[0]], classes)
    for index in evenly(np.array(source.indices), _CHECKED_SWEEPS).tolist():
        for image in source.dataset[index].images:
            supervision.teacher.probability_file(image.path)


def _check_classes(where: str, dataset: Dataset, ontology: Ontology) -> None:
    theirs = dataset.ontology
    if theirs is not None and (theirs.name, theirs.classes) != (ontology.name, ontology.classes):
        raise ConfigError(
            f"{where}: its classes are those of '{theirs.name}', the model's of "
            f"'{ontology.name}'; pseudo-labels need the same"
        )


def _check_network_counts(where: str, config: TrainConfig) -> None:
    if not config.wsegpc.pool.network > 0:
        raise ConfigError(
            f"{where}: has no teacher, and wsegpc.pool.network is 0: nothing is left to label it by"
        )


def _pool_of(config: TrainConfig) -> PoolConfig:
    """What a run's labels are made of: regions have a part where the network learned from them."""
    pool = config.wsegpc.pool
    return pool if config.wsegpc.consistency == "region" else replace(pool, regions=0.0)


def _is_shipped(ontology: Ontology) -> bool:
    try:
        return load_ontology(ontology.name) == ontology
    except OntologyError:
        return False
