"""Sweeps for MSDKT: few labels, and what a 2D teacher says of the images that see their points."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsss_perception.errors import DatasetError
from wsss_perception.frame import UNKNOWN
from wsss_training.augment import random_sector, sector_around
from wsss_training.data.array_cache import ArrayCache, Arrays, digest_arrays
from wsss_training.data.labelled_points import LabelledPoints
from wsss_training.data.sample import ImageSource, Sample, scene_of
from wsss_training.data.scene_draws import INDEX
from wsss_training.data.supervised_sweeps import (
    NoSupervision,
    SupervisedSource,
    Supervision,
    TeacherSupervision,
)
from wsss_training.data.tagged_dataset import TaggedDataset
from wsss_training.data.view_choice import draw_views
from wsss_training.teachers.projection import check_shape

FORMAT = 2
"""To be raised with any change of what is kept in the cache."""

PSEUDO_LABEL = "pseudo_label"
"""Attribute: uint8 [N], the 2D teacher's label of a point without one of its own, or UNKNOWN."""
CONFIDENCE = "confidence"
"""Attribute: float32 [N], the teacher's confidence in it."""


@dataclass(frozen=True)
class Pairs:
    """Pairs of a point and a view that sees it.

    Attributes:
        point: int64 [P].
        view: int64 [P].
        uv: float32 [P, 2], the point's place in the view as fractions of width and height; the
            centre of the pixel in column c of W is at ``(c + 0.5) / W``.
    """

    point: NDArray[np.int64]
    view: NDArray[np.int64]
    uv: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.point)

    def select(self, kept: NDArray) -> "Pairs":
        """Returns the pairs of a mask [P] or an index array."""
        return Pairs(self.point[kept], self.view[kept], self.uv[kept])

    def select_points(self, kept: NDArray[np.int64], points: int) -> "Pairs":
        """Returns the pairs of some of the points.

        Args:
            kept: the points that are left, in their new order [M].
            points: how many there were.
        """
        place = _places(kept, points)
        return replace(self, point=place[self.point]).select(place[self.point] >= 0)


@dataclass(frozen=True)
class TransferSettings:
    """What is read of a sweep.

    Attributes:
        views: most views of a draw.
        reads_maps: whether the maps of class probabilities are read.
        reads_labels: whether the teacher's labels are read; without, no point has one of them.
        sector_margin: context kept around the azimuths that teach, radians; None for whole sweeps.
    """

    views: int
    reads_maps: bool
    reads_labels: bool
    sector_margin: float | None


@dataclass(frozen=True)
class TransferSource:
    """Sweeps with labels, and the 2D teacher of their images.

    Attributes:
        source: the sweeps.
        teacher: of their images; None to do without.
        cache: keeps what cameras see, and the teacher's projected labels; None computes them anew.
    """

    source: SupervisedSource
    teacher: TeacherSupervision | None
    cache: ArrayCache | None


@dataclass(frozen=True)
class TransferScene:
    """The part of a sweep to train on, and what images say of it.

    Attributes:
        points: with the attributes INDEX, which of the sweep's points each is, PSEUDO_LABEL and
            CONFIDENCE.
        pairs: of the sweep's points, those that are not in ``points`` too.
        maps: of each view the teacher's class probabilities, float32 [D, h, w].
        size: number of the sweep's points.
        tags: bool [C], of the sweep's scene; None for an untagged one.
    """

    points: LabelledPoints
    pairs: Pairs
    maps: tuple[NDArray[np.float32], ...]
    size: int
    tags: NDArray[np.bool_] | None


class TransferSweeps:
    """The sweeps of several sources in one row.

    Args:
        sources: where the sweeps are from; their teachers have the same classes.
        settings: what is read of each.

    Attributes:
        map_size: number D of those classes; 0 without a teacher.
    """

    def __init__(self, sources: Sequence[TransferSource], settings: TransferSettings) -> None:
        self._settings = settings
        self._index = [(source, index) for source in sources for index in source.source.indices]
        teachers = [source.teacher for source in sources if source.teacher is not None]
        self.map_size = len(teachers[0].teacher.ontology) if teachers else 0

    def __len__(self) -> int:
        return len(self._index)

    def tags_of(self, index: int) -> NDArray[np.bool_] | None:
        """The tags of a sweep's scene, bool [C], without reading it; None for an untagged one."""
        source, number = self._index[index]
        dataset = source.source.dataset
        if not isinstance(dataset, TaggedDataset):
            return None
        return dataset.tags.vector(scene_of(dataset.sample_ids[number]))

    def read(self, index: int, rng: np.random.Generator) -> TransferScene:
        """Reads a sweep; the generator chooses its views and the part to train on.

        Pseudo-labels are of points without a label, and none is of a class that the scene's tags
        rule out.

        Raises:
            DatasetError: a file of the sweep, its labels or its teacher is missing or damaged.
        """
        source, number = self._index[index]
        sample = source.source.dataset[number]
        labels, weights = source.source.supervision(sample)
        there = sample.images if source.teacher is not None else ()
        images = [there[view] for view in draw_views(len(there), self._settings.views, rng)]
        looks = [_look(sample, image, source, self._settings.reads_labels) for image in images]
        pairs, pseudo, confidence = join_looks(looks, len(labels))
        known = pseudo != UNKNOWN
        if sample.tags is not None:
            known[known] = sample.tags[pseudo[known]]
        known &= labels == UNKNOWN
        attributes: dict[str, NDArray] = {
            INDEX: np.arange(len(labels)),
            PSEUDO_LABEL: np.where(known, pseudo, np.uint8(UNKNOWN)),
            CONFIDENCE: np.where(known, confidence, np.float32(0)),
        }
        maps: tuple[NDArray[np.float32], ...] = ()
        if source.teacher is not None and self._settings.reads_maps:
            maps = tuple(_read_map(image, source.teacher) for image in images)
        points = LabelledPoints(sample.cloud, labels, weights, attributes)
        part = self._part(points, pairs, source.source.weak_labels is not None, rng)
        return TransferScene(part, pairs, maps, len(points), sample.tags)

    def _part(
        self, points: LabelledPoints, pairs: Pairs, few: bool, rng: np.random.Generator
    ) -> LabelledPoints:
        """The azimuths that teach: of labelled points, and of those that a chosen view sees.

        Of a few labels all are kept, wherever they are; of others those of a random sector, as in
        the other methods, where a step on all of them would cost several times as much.
        """
        margin = self._settings.sector_margin
        if margin is None:
            return points
        if not few:
            points = random_sector(points, rng)
        teaches = points.labels != UNKNOWN
        teaches[pairs.point] = True
        return sector_around(points, teaches, margin)


def _look(sample: Sample, image: ImageSource, source: TransferSource, reads_labels: bool) -> Arrays:
    """Finds what one view sees: points and places of P pairs, the teacher's label and confidence.

    Raises:
        DatasetError: the depth image or a map of the teacher cannot be read.
    """
    alone = replace(sample, images=(image,))
    teacher = source.teacher if reads_labels else None
    supervision: Supervision = NoSupervision() if teacher is None else teacher

    def compute() -> Arrays:
        point, uv = image.visible_points(sample.cloud.xyz)
        labels, confidence = supervision(alone)
        place = (uv + 0.5) / [image.camera.width, image.camera.height]
        return {
            "point": point.astype(np.int32),
            "uv": place.astype(np.float32),
            PSEUDO_LABEL: labels[point],
            CONFIDENCE: confidence[point],
        }

    if source.cache is None:
        return compute()
    known: dict[str, NDArray] = {"xyz": sample.cloud.xyz, "K": image.camera.matrix}
    known["T"] = image.T_camera_lidar
    depth = [] if image.depth is None else [image.depth.path]
    inputs: list[Path | str] = [digest_arrays(known), *depth, *supervision.files(alone)]
    name = f"{sample.sample_id}/{image.name}_{image.path.stem}"
    return source.cache.get(name, inputs, compute)


def join_looks(
    looks: Sequence[Arrays], points: int
) -> tuple[Pairs, NDArray[np.uint8], NDArray[np.float32]]:
    """The pairs of all views, and of each point the most confident label, or UNKNOWN."""
    labels = np.full(points, UNKNOWN, dtype=np.uint8)
    confidence = np.zeros(points, dtype=np.float32)
    seen, views, places = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros((0, 2))]
    for view, look in enumerate(looks):
        point, scores = look["point"].astype(np.int64), look[CONFIDENCE]
        better = (look[PSEUDO_LABEL] != UNKNOWN) & (scores > confidence[point])
        labels[point[better]] = look[PSEUDO_LABEL][better]
        confidence[point[better]] = scores[better]
        seen.append(point)
        views.append(np.full(len(point), view))
        places.append(look["uv"])
    uv = np.concatenate(places).astype(np.float32)
    pairs = Pairs(np.concatenate(seen), np.concatenate(views).astype(np.int64), uv)
    return pairs, labels, confidence


def _read_map(image: ImageSource, teacher: TeacherSupervision) -> NDArray[np.float32]:
    maps = teacher.teacher.probabilities(image.path)
    classes = teacher.teacher.ontology.classes
    if len(maps) != len(classes):
        raise DatasetError(
            f"{teacher.teacher.probability_file(image.path)}: has {len(maps)} classes, the "
            f"teacher's ontology {len(classes)}; make the maps anew, or name their ontology"
        )
    check_shape(maps[0], image)
    return maps


def _places(kept: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The new place of each of ``count`` things of which some are kept; -1 for the others."""
    place = np.full(count, -1, dtype=np.int64)
    place[kept] = np.arange(len(kept))
    return place
