"""Scenes for WSegPC: supervised sweeps or rooms with regions, tags and views."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from wsss_perception.frame import UNKNOWN, PointCloud
from wsss_perception.ontology import Ontology
from wsss_training.augment.removal import remove_structures
from wsss_training.augment.sector import random_sector, supervised_sector
from wsss_training.data.labelled_points import LabelledPoints
from wsss_training.data.sample import Sample, scene_of
from wsss_training.data.scene_draws import REGION, Scene
from wsss_training.data.scene_views import ImagePrior, SceneViews, read_views
from wsss_training.data.supervised_sweeps import (
    NoSupervision,
    SupervisedSource,
    TeacherSupervision,
)
from wsss_training.data.tagged_dataset import TaggedDataset
from wsss_training.data.view_choice import draw_views

_PLACE = "place"


@dataclass(frozen=True)
class SceneSettings:
    """What is read of a scene.

    Attributes:
        regions: gives the region of each point of a sample's cloud, -1 for none, by the sample's id
            and cloud; None where no region counts.
        image_size: height and width of the images; None for no images.
        views: most views of a draw.
        image_share: share of the draws that bring views, 0..1.
        sector_margin: see ``SupervisedSweeps.sector``; None for whole scenes.
        structures: labels of floor, ceiling and wall to drop at random with the points' tags, each
            or None; None to drop nothing. Views still show them and keep theirs.
    """

    regions: Callable[[str, PointCloud], NDArray[np.int32]] | None
    image_size: tuple[int, int] | None
    views: int
    image_share: float
    sector_margin: float | None
    structures: tuple[int | None, int | None, int | None] | None


class SupervisedScenes:
    """The scenes of several sources in one row.

    Args:
        sources: where the scenes are from.
        settings: what is read of each.
    """

    def __init__(self, sources: Sequence[SupervisedSource], settings: SceneSettings) -> None:
        self._settings = settings
        self._index = [(source, index) for source in sources for index in source.indices]

    def __len__(self) -> int:
        return len(self._index)

    def read(self, index: int, rng: np.random.Generator) -> Scene:
        """Reads a scene; the generator chooses its views, the part to train on, what is dropped.

        Raises:
            DatasetError: a file of the scene or of its supervision is missing or damaged.
        """
        source, number = self._index[index]
        sample = source.dataset[number]
        labels, weights = source.supervision(sample)
        attributes: dict[str, NDArray] = {
            REGION: self.region_of(sample),
            _PLACE: np.arange(len(labels)),
        }
        points = LabelledPoints(sample.cloud, labels, weights, attributes)
        views = self._views(sample, source, rng)
        kept = self._part(points, source, rng)
        views = views.select_points(kept.attributes[_PLACE], len(points))
        tags_alone = isinstance(source.supervision, NoSupervision)
        scene = Scene(kept, views, sample.tags, sample.tags, tags_alone)
        return scene if self._settings.structures is None else self._remove(scene, rng)

    def sample_id(self, index: int) -> str:
        """The id of a scene's sample, without reading it."""
        source, number = self._index[index]
        return source.dataset.sample_ids[number]

    def sample(self, index: int) -> Sample:
        """Reads a scene as its dataset has it."""
        source, number = self._index[index]
        return source.dataset[number]

    def prior_of(self, index: int, sample: Sample, classes: int) -> NDArray[np.float32] | None:
        """The 2D teacher's probabilities of a scene's points, float32 [N, classes].

        None where the scene has no teacher; see ``project_probabilities``.
        """
        supervision = self._index[index][0].supervision
        if not isinstance(supervision, TeacherSupervision):
            return None
        return supervision.probabilities(sample, classes)

    def tags_of(self, index: int) -> NDArray[np.bool_] | None:
        """The tags of a scene, bool [C], without reading it; None for an untagged one."""
        source, number = self._index[index]
        if not isinstance(source.dataset, TaggedDataset):
            return None
        return source.dataset.tags.vector(scene_of(source.dataset.sample_ids[number]))

    def region_of(self, sample: Sample) -> NDArray[np.int32]:
        """The region of each point of a sample, int32 [N]; -1 for none."""
        if self._settings.regions is None:
            return np.full(len(sample.cloud), -1, dtype=np.int32)
        return self._settings.regions(sample.sample_id, sample.cloud)

    def _views(
        self, sample: Sample, source: SupervisedSource, rng: np.random.Generator
    ) -> SceneViews:
        settings = self._settings
        images = () if settings.image_size is None else sample.images
        if settings.image_share < 1 and rng.random() >= settings.image_share:
            images = ()
        size = settings.image_size or (1, 1)
        chosen = [images[k] for k in draw_views(len(images), settings.views, rng)]
        prior = None
        if isinstance(source.supervision, TeacherSupervision):
            prior = ImagePrior(source.supervision.teacher, source.supervision.mapping)
        return read_views(sample.cloud.xyz, chosen, size, prior)

    def _part(
        self, points: LabelledPoints, source: SupervisedSource, rng: np.random.Generator
    ) -> LabelledPoints:
        margin = self._settings.sector_margin
        if margin is None or (points.labels == UNKNOWN).all():
            return points
        if not source.has_teacher:
            points = random_sector(points, rng)
        return supervised_sector(points, margin)

    def _remove(self, scene: Scene, rng: np.random.Generator) -> Scene:
        if scene.tags is None or self._settings.structures is None:
            return scene
        points = scene.points
        region = points.attributes[REGION]
        keep, tags = remove_structures(
            points.cloud.xyz, region, scene.tags, *self._settings.structures, rng
        )
        kept = np.flatnonzero(keep)
        views = scene.views.select_points(kept, len(points))
        return replace(scene, points=points.select(kept), views=views, tags=tags)


def structure_labels(ontology: Ontology) -> tuple[int | None, int | None, int | None]:
    """Labels of floor, ceiling and wall; None for those that the ontology lacks."""
    names = ontology.classes
    found = [names.index(n) if n in names else None for n in ("floor", "ceiling", "wall")]
    return found[0], found[1], found[2]
