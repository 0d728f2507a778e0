"""Pages of pictures of a bag's semantic clouds, while they are made or of those recorded."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from wsss_perception.bag.cameras import BagCameras
from wsss_perception.bag.reader import Bag, open_bag
from wsss_perception.bag.segment import POINT_CLOUD, choose_points
from wsss_perception.errors import BagError, MessageError
from wsss_perception.frame import Frame, PointCloud, SemanticCloud
from wsss_perception.messages import point_cloud2
from wsss_perception.messages.common import stamp_to_ns
from wsss_perception.ontology import Ontology
from wsss_perception.pictures import draw_page

_log = logging.getLogger(__name__)


class Pages:
    """Draws every so many clouds into a folder, named by their number; an observer of segment_bag.

    Args:
        folder: of the pictures; made when the first is drawn.
        every: draw the clouds whose numbers are multiples of it.
        ontology: of the labels.

    Attributes:
        drawn: number of pictures.
    """

    def __init__(self, folder: Path, every: int, ontology: Ontology) -> None:
        self.drawn = 0
        self._folder = folder
        self._every = max(every, 1)
        self._ontology = ontology

    def wants(self, number: int) -> bool:
        """Returns whether the cloud of this number is to be drawn."""
        return number % self._every == 0

    def __call__(self, number: int, frame: Frame, semantic: SemanticCloud) -> None:
        """Draws the cloud of this number, if it is one of those to draw.

        Raises:
            BagError: the picture cannot be written.
        """
        if not self.wants(number):
            return
        page = draw_page(frame, semantic, self._ontology)
        path = self._folder / f"{number:06d}.png"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(page).save(path)
        except OSError as error:
            raise BagError(f"{path}: cannot be written: {error}") from error
        self.drawn += 1


@dataclass
class RecordedCounts:
    """What became of recorded semantic clouds.

    Attributes:
        clouds: stamps of the source's clouds; those that cannot be decoded have none.
        joined: semantic clouds with the stamp of one of them.
        foreign: semantic clouds with no such stamp, or that cannot be decoded.
        drawn: pictures.
    """

    clouds: int = 0
    joined: int = 0
    foreign: int = 0
    drawn: int = 0


def draw_recorded(
    source: str | Path,
    recorded: str | Path,
    folder: str | Path,
    ontology: Ontology,
    every: int = 10,
    points_topic: str | None = None,
) -> RecordedCounts:
    """Draws semantic clouds that a node made of a bag's clouds over the bag's camera images.

    Clouds and results are joined by stamp. The cameras are placed by TF. A picture has the number
    of its cloud in the source, so that it can be laid beside that of ``segment-bag``.

    Args:
        source: the bag with the clouds and images.
        recorded: the bag with the semantic clouds, on its only PointCloud2 topic.
        folder: of the pictures.
        ontology: of the labels.
        every: draw the clouds whose numbers are multiples of it.
        points_topic: topic of the source's clouds; by default the only one there is.

    Raises:
        BagError: a bag cannot be read, has no clouds or no single topic of them; not one
            semantic cloud belongs to the source; or a picture cannot be written.
    """
    pages = Pages(Path(folder), every, ontology)
    with open_bag(source) as bag, open_bag(recorded) as results:
        numbers = _numbers_by_stamp(bag, points_topic)
        counts = RecordedCounts(clouds=len(numbers))
        cameras = BagCameras(bag)
        for message in results.messages([choose_points(results, None)]):
            try:
                cloud, semantic = _decode(results.deserialize(message))
            except MessageError as error:
                _log.warning("left out: %s", error)
                counts.foreign += 1
                continue
            number = numbers.get(cloud.stamp)
            if number is None:
                counts.foreign += 1
                continue
            counts.joined += 1
            if pages.wants(number):
                pages(number, Frame(cloud, cameras.views(cloud)), semantic)
        if not counts.joined:
            raise BagError(
                f"{results.path}: none of its {counts.foreign} clouds is a semantic cloud of "
                f"{bag.path}: no stamps in common"
            )
    counts.drawn = pages.drawn
    return counts


def _numbers_by_stamp(bag: Bag, topic: str | None) -> dict[int, int]:
    """Returns the number of each cloud of a bag by its stamp; damaged ones count, but have none."""
    points = choose_points(bag, topic)
    numbers: dict[int, int] = {}
    clouds = [c for c in bag.of_type(POINT_CLOUD) if c.topic == points.topic]
    for number, message in enumerate(bag.messages(clouds)):
        try:
            numbers[stamp_to_ns(bag.deserialize(message).header.stamp)] = number
        except MessageError as error:
            _log.warning("left out: %s", error)
    return numbers


def _decode(message: Any) -> tuple[PointCloud, SemanticCloud]:
    """Splits a semantic cloud into the points and what the node said of them.

    Raises:
        MessageError: it is no semantic cloud.
    """
    cloud = point_cloud2.decode(message)
    try:
        labels, confidence, seen = (cloud.channels[n] for n in ("label", "confidence", "seen"))
    except KeyError as error:
        raise MessageError(
            f"cloud of {cloud.stamp} ns: no field {error}: not a semantic cloud"
        ) from error
    return cloud, SemanticCloud(labels.astype(np.uint8), confidence, seen.astype(np.uint8))
