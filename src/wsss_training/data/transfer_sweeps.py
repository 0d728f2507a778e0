"""Sweeps for MSDKT: few labels, and what a 2D teacher says of the images that see their points."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from wsss_perception.errors import DatasetError
from wsss_perception.frame import UNKNOWN
from wsss_training.augment import random_sector, sector_around
from wsss_training.data.array_cache import ArrayCache, Arrays
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

FORMAT = 1
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

    def select_views(self, kept: NDArray[np.int64], views: int) -> "Pairs":
        """Returns the pairs of some of the views; arguments as of ``select_points``."""
        place = _places(kept, views)
        return replace(self, view=place[self.view]).select(place[self.view] >= 0)


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
        pairs, pseudo, confidence = _look(sample, source, self._settings.reads_labels)
        known = pseudo != UNKNOWN
        if sample.tags is not None:
            known[known] = sample.tags[pseudo[known]]
        known &= labels == UNKNOWN
        attributes: dict[str, NDArray] = {
            INDEX: np.arange(len(labels)),
            PSEUDO_LABEL: np.where(known, pseudo, np.uint8(UNKNOWN)),
            CONFIDENCE: np.where(known, confidence, np.float32(0)),
        }
        views = draw_views(len(sample.images), self._settings.views, rng)
        pairs = pairs.select_views(views, len(sample.images))
        maps: tuple[NDArray[np.float32], ...] = ()
        if source.teacher is not None and self._settings.reads_maps:
            maps = tuple(_read_map(sample.images[view], source.teacher) for view in views)
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


def _look(
    sample: Sample, source: TransferSource, reads_labels: bool
) -> tuple[Pairs, NDArray[np.uint8], NDArray[np.float32]]:
    """Finds what all views see, and the teacher's label uint8 [N] and confidence of each point."""
    if source.teacher is None:
        nobody = np.zeros(0, dtype=np.int64)
        none = Pairs(nobody, nobody, np.zeros((0, 2), dtype=np.float32))
        return none, *NoSupervision()(sample)
    supervision: Supervision = source.teacher if reads_labels else NoSupervision()

    def compute() -> Arrays:
        pairs = find_pairs(sample)
        labels, confidence = supervision(sample)
        return {**vars(pairs), PSEUDO_LABEL: labels, CONFIDENCE: confidence}

    if source.cache is None:
        arrays = compute()
    else:
        depth = [image.depth.path for image in sample.images if image.depth is not None]
        inputs = [*sample.files, *depth, *supervision.files(sample)]
        arrays = source.cache.get(sample.sample_id, inputs, compute)
    pairs = Pairs(arrays["point"], arrays["view"], arrays["uv"])
    return pairs, arrays[PSEUDO_LABEL], arrays[CONFIDENCE]


def find_pairs(sample: Sample) -> Pairs:
    """Finds which points of a sample each of its images sees; no image is opened.

    Raises:
        DatasetError: a depth image cannot be read.
    """
    points, views, places = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros((0, 2))]
    for number, image in enumerate(sample.images):
        point, uv = image.visible_points(sample.cloud.xyz)
        points.append(point)
        views.append(np.full(len(point), number))
        places.append((uv + 0.5) / [image.camera.width, image.camera.height])
    return Pairs(
        np.concatenate(points).astype(np.int64),
        np.concatenate(views).astype(np.int64),
        np.concatenate(places).astype(np.float32),
    )


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
