"""Opens what a training configuration describes: its sources, and what is held back of them."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from wsss_perception.bundle import ModelSpec, NetworkSpec
from wsss_perception.errors import ConfigError
from wsss_perception.features import PAINTED, Feature
from wsss_perception.ontology import Ontology, load_mapping, load_ontology
from wsss_training.config import SourceConfig, TeacherConfig, TrainConfig
from wsss_training.data import Dataset, open_dataset, scene_of
from wsss_training.data.camera_colors import unpainted
from wsss_training.data.draw_order import DrawGroup, group_by_share
from wsss_training.data.labelled_points import LabelledPoints
from wsss_training.data.sample import KnowsImages
from wsss_training.data.supervised_sweeps import (
    LabelSupervision,
    NoSupervision,
    SupervisedSource,
    SupervisedSweeps,
    Supervision,
    TeacherSupervision,
)
from wsss_training.data.sweep_cache import SweepCache
from wsss_training.data.tagged_dataset import TaggedDataset
from wsss_training.data.training_set import Voxelizer, choose_held_back, evenly
from wsss_training.data.weak_labels import has_label
from wsss_training.processes import Place
from wsss_training.tags import SceneTags
from wsss_training.teachers.precomputed import PrecomputedTeacher

HELD_BACK_SWEEPS = 200
REFERENCES = ("teacher", "pseudo-labels", "labels")
"""What the labels of held-back sweeps can be, see ``Workload.reference``."""
_COLOR_SCALE = 2.0
"""Of the painted colours, which keep their 0: unseen points add nothing to the first layer."""
_KINDS = {
    "teacher": " with a teacher",
    "tags": " with tags alone",
    "texts": " without tags",
    "labels": "",
}
"""Supervisions in the order in which held-back sweeps are looked for, and how to call them."""
_ALONE = Place(0, 1)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Workload:
    """What a configuration describes, opened.

    Attributes:
        sweeps: all sweeps with their labels.
        train: indices of those to train on.
        held_back: indices of those kept from training.
        groups: those to train on, grouped by the share of draws they have.
        voxelizer: makes network input.
        reference: what the held-back sweeps' labels are: of a ``teacher``; ``pseudo-labels``, made
            from a teacher or tags; or 3D ``labels``. Scenes with tags alone have none yet.
    """

    sweeps: SupervisedSweeps
    train: NDArray[np.int64]
    held_back: NDArray[np.int64]
    groups: list[DrawGroup]
    voxelizer: Voxelizer
    reference: str


def open_workload(config: TrainConfig) -> Workload:
    """Opens the datasets and the teachers of a configuration.

    Sweeps are held back from the sources with a teacher, since the confidence must fit the robot's
    own logs and not, say, a synthetic world that has labels; from those with tags alone where none
    has a teacher; from all where all have labels. Pseudo-labels change none of that, so that all
    stages of a method hold back the same. Sweeps of weak labels without a labelled point are in
    neither part, but for WSegPC and MSDKT, which learn from their tags and images; such sweeps are
    never held back.

    Raises:
        WsssError: a dataset, a teacher or an ontology cannot be opened; there are fewer than two
            sweeps to hold back from; or a source with a share has no sweep to train on.
    """
    ontology, painted = load_ontology(config.ontology), config.model.cameras == "optional"
    both = config.method == "msdkt" and config.msdkt.takes_images
    needs_labels = config.method != "wsegpc" and not both
    sweeps = SupervisedSweeps(
        [
            open_source(source, config.teacher, ontology, config.cache, needs_labels, painted, both)
            for source in config.sources
        ]
    )
    supervision = np.array([source.supervision for source in config.sources])[sweeps.source]
    kind = next((kind for kind in _KINDS if kind in supervision), "labels")
    is_candidate, what = supervision == kind, _KINDS[kind]
    if kind == "labels":
        labelled = sweeps.are_labelled()
        what = what if labelled.all() else " with a labelled point"
        is_candidate &= labelled
    candidates = np.flatnonzero(is_candidate)
    if len(candidates) < 2:
        raise ConfigError(
            f"sources: {len(candidates)} sweeps{what}; training needs at least 2, of which "
            "one is held back"
        )
    held_back = choose_held_back(candidates, config.held_back, config.seed)
    train = np.setdiff1d(np.arange(len(sweeps)), held_back)
    groups = group_by_share(train, sweeps.source, [source.share for source in config.sources])
    for number, source in enumerate(config.sources):
        if source.share is not None and number not in sweeps.source[train]:
            raise ConfigError(
                f"sources[{number}] ({source.dataset}): has a share of the draws, but no sweep to "
                "train on"
            )
    voxelizer = Voxelizer(model_spec(config))
    return Workload(sweeps, train, held_back, groups, voxelizer, _reference(config, kind))


def _reference(config: TrainConfig, kind: str) -> str:
    """What the labels of sources of a kind of supervision are, see ``Workload``."""
    made = any(source.pseudo_labels is not None for source in config.sources)
    if kind == "labels":
        return "labels"
    return "teacher" if kind == "teacher" and not made else "pseudo-labels"


def open_source(
    source: SourceConfig,
    teacher: TeacherConfig | None,
    ontology: Ontology,
    cache: str | None = None,
    needs_labels: bool = True,
    painted: bool = False,
    images: bool = False,
) -> SupervisedSource:
    """Opens one source: its sweeps, and what supervises them, its teacher or its 3D labels.

    Args:
        source: what to open.
        teacher: for a source that names none of its own.
        ontology: the model's.
        cache: folder to keep prepared sweeps in; None keeps none.
        needs_labels: whether labels alone teach: sweeps for which weak labels have no labelled
            point are left out, and images of weakly labelled ones not opened.
        painted: whether the points get the colours of the images, which are then opened always.
        images: whether samples tell of their images in any case.

    Raises:
        ConfigError: the source has neither teacher nor labels, or labels or tags of other classes;
            or none of its sweeps has a label or none of its scenes a tag, as it says it has.
        WsssError: the dataset, the teacher or an ontology cannot be opened.
    """
    chosen = source.weak_labels if source.pseudo_labels is None else source.pseudo_labels
    by_labels = source.supervision == "labels" or source.pseudo_labels is not None
    dataset = open_dataset(
        source.dataset,
        source.root,
        labels=by_labels,
        images=images or painted or not by_labels or (chosen is not None and not needs_labels),
        tags=source.tags,
        weak_labels=chosen,
        **source.options,
    )
    supervision: Supervision
    if by_labels:
        _check_labels(source, dataset.ontology, ontology)
        supervision = LabelSupervision()
    elif source.supervision in ("tags", "texts"):
        supervision = NoSupervision()
    else:
        supervision = open_teacher(source.teacher or teacher, ontology)
    indices: Sequence[int] = range(0, len(dataset), source.every)
    if needs_labels and source.weak_labels is not None:
        indices = _with_label(source, source.weak_labels, dataset, indices)
    if needs_labels and isinstance(supervision, TeacherSupervision):
        indices = _with_image(source, dataset, indices)
    if isinstance(dataset, TaggedDataset):
        check_tags(source, dataset.tags, [dataset.sample_ids[k] for k in indices], ontology)
    return SupervisedSource(
        dataset,
        indices,
        supervision,
        has_teacher=isinstance(supervision, TeacherSupervision),
        cache=None
        if cache is None
        else SweepCache(cache, _version(source, supervision, ontology, painted)),
        painted=painted,
        weak_labels=source.weak_labels,
    )


def _check_labels(source: SourceConfig, labels: Ontology | None, ontology: Ontology) -> None:
    if labels is None:
        raise ConfigError(
            f"{source.dataset} at {source.root}: has no 3D labels; use 'supervision: teacher'"
        )
    if labels.classes != ontology.classes:
        raise ConfigError(
            f"{source.dataset} at {source.root}: the 3D labels are of '{labels.name}', "
            f"the model of '{ontology.name}'; 'supervision: labels' needs the same classes"
        )


def _with_label(
    source: SourceConfig, folder: str, dataset: Dataset, indices: Sequence[int]
) -> list[int]:
    """Leaves out sweeps without a labelled point: a step on such a sweep teaches nothing."""
    known = has_label(folder, dataset.sample_ids)
    kept = [index for index in indices if known[index]]
    if indices and not kept:
        raise ConfigError(
            f"{source.dataset} at {source.root}: none of its {len(indices)} sweeps has a labelled "
            f"point in {folder}; draw more points, or take more sweeps (options, 'every')"
        )
    if len(kept) < len(indices):
        _log.info(
            "%s at %s: %d of %d sweeps left out, without a labelled point in %s",
            *(source.dataset, source.root, len(indices) - len(kept), len(indices), folder),
        )
    return kept


def _with_image(source: SourceConfig, dataset: Dataset, indices: Sequence[int]) -> Sequence[int]:
    """Leaves out sweeps without an image, of which no teacher speaks; unless none has one."""
    if not isinstance(dataset, KnowsImages):
        return indices
    kept = [index for index in indices if dataset.has_images[index]]
    if not kept or len(kept) == len(indices):
        return indices
    _log.warning(
        "%s at %s: %d of %d sweeps left out, which have no image",
        *(source.dataset, source.root, len(indices) - len(kept), len(indices)),
    )
    return kept


def check_tags(
    source: SourceConfig, tags: SceneTags, sample_ids: Sequence[str], ontology: Ontology
) -> None:
    """Raises ConfigError for tags of other classes, or of none of a source's scenes."""
    if tags.ontology.classes != ontology.classes:
        raise ConfigError(
            f"{source.tags}: the tags are of '{tags.ontology.name}', the model of "
            f"'{ontology.name}'; tags need the same classes"
        )
    scenes = sorted({scene_of(sample_id) for sample_id in sample_ids})
    if scenes and not any(scene in tags.classes for scene in scenes):
        raise ConfigError(
            f"{source.tags}: tags none of the {len(scenes)} scenes of {source.dataset} at "
            f"{source.root}, such as '{scenes[0]}'; see 'check-tags', and open the dataset with "
            "the options that it was tagged with"
        )


def _version(
    source: SourceConfig, supervision: Supervision, ontology: Ontology, painted: bool
) -> str:
    """All settings that a source's sweeps and labels depend on."""
    settings = {key: value for key, value in vars(source).items() if key not in ("every", "share")}
    settings["root"] = str(Path(source.root).absolute())
    return repr((settings, supervision.version, ontology, *(["painted"] if painted else [])))


def open_teacher(teacher: TeacherConfig | None, ontology: Ontology) -> TeacherSupervision:
    """Opens a teacher's maps and how its classes map to the model's ontology.

    Raises:
        ConfigError: there is none.
        WsssError: a folder, the teacher's ontology or the mapping cannot be opened.
    """
    if teacher is None:
        raise ConfigError("teacher: none is given")
    its_ontology = load_ontology(teacher.ontology)
    return TeacherSupervision(
        PrecomputedTeacher(teacher.root, teacher.images_root, its_ontology),
        load_mapping(teacher.mapping, its_ontology, ontology),
    )


def model_spec(config: TrainConfig) -> ModelSpec:
    """Describes the model of a configuration, before training."""
    model = config.model
    features = [Feature(**vars(feature)) for feature in model.features]
    if model.cameras == "optional":
        *colors, seen = PAINTED
        features += [Feature(name, scale=_COLOR_SCALE, fill=0.0) for name in colors]
        features.append(Feature(seen, fill=0.0))
    return ModelSpec(
        ontology=load_ontology(config.ontology),
        network=NetworkSpec(model.network, model.width),
        features=tuple(features),
        voxel_size=model.voxel_size,
        point_range=tuple(model.point_range) or None,
        cameras=model.cameras,
    )


def held_back_loader(
    workload: Workload, here: Place = _ALONE, cameras: bool = True
) -> DataLoader[LabelledPoints]:
    """Loads held-back sweeps one by one, whole and as they are; at most 200, evenly chosen.

    Args:
        workload: whose sweeps.
        here: loads this process's share of them. All processes load as many, since networks that
            are trained together wait for each other: some may end with a sweep without points.
        cameras: whether painted sweeps have all their cameras, or none.
    """
    chosen = evenly(workload.held_back, HELD_BACK_SWEEPS)
    each = -(-len(chosen) // here.processes)
    shared = _HeldBack(workload.sweeps, here.share(chosen.tolist()), each, cameras)
    return DataLoader(shared, batch_size=1, collate_fn=workload.voxelizer)


class _HeldBack(TorchDataset[LabelledPoints]):
    """Some sweeps, and after them so many without points that there are ``length``."""

    def __init__(
        self, sweeps: SupervisedSweeps, chosen: Sequence[int], length: int, cameras: bool
    ) -> None:
        self._sweeps, self._chosen, self._length = sweeps, chosen, length
        self._cameras = cameras

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, place: int) -> LabelledPoints:
        if place < len(self._chosen):
            points = self._sweeps[self._chosen[place]]
            return points if self._cameras else unpainted(points)
        return self._sweeps[0].select(np.zeros(0, dtype=np.int64))
