"""Pictures of a dataset's samples: points over images and from above, by distance and class."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsss_perception.frame import UNKNOWN, Frame, SemanticCloud, View
from wsss_perception.geometry import invert
from wsss_perception.ontology import Ontology
from wsss_perception.pictures import draw_page
from wsss_training.data import Sample

T = TypeVar("T")

LabelsOfView = Callable[[View], NDArray[np.uint8]]

MAX_VIEWS = 6
DISTANCES = 24
"""Number of distance's colours."""


def draw_sample(sample: Sample, ontology: Ontology | None, folder: Path) -> list[Path]:
    """Draws a sample's points over its images and from above.

    Args:
        sample: with images.
        ontology: of its labels; None for a set without.
        folder: to write to; made if absent.

    Returns:
        The pictures: by distance from each camera, from above by distance from the cloud's origin;
        and by class where the sample has labels.

    Raises:
        WsssError: an image cannot be read.
    """
    views = tuple(image.load() for image in spread(sample.images, MAX_VIEWS))
    frame = Frame(sample.cloud, views)
    origin = np.zeros(3)
    edges = _edges(np.concatenate([_distance(sample, origin), *_from_views(sample, views)]))

    def bands_of_view(view: View) -> NDArray[np.uint8]:
        return _bands(_distance(sample, _place(view)), edges)

    pages: dict[str, tuple[Ontology, NDArray[np.uint8], LabelsOfView | None]] = {
        "distance": (_as_classes(edges), _bands(_distance(sample, origin), edges), bands_of_view)
    }
    if sample.labels is not None and ontology is not None:
        pages["classes"] = (ontology, sample.labels, None)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, (classes, labels, of_view) in pages.items():
        nothing = np.zeros(len(labels))
        semantic = SemanticCloud(labels, nothing.astype(np.float32), nothing.astype(np.uint8))
        path = folder / f"{sample.sample_id.replace('/', '_')}_{name}.png"
        Image.fromarray(draw_page(frame, semantic, classes, of_view)).save(path)
        written.append(path)
    return written


def spread(items: Sequence[T], most: int) -> list[T]:
    """Chooses at most so many items, evenly spaced, the first and the last among them."""
    steps = np.linspace(0, len(items) - 1, min(most, len(items)))
    chosen = np.unique(np.rint(steps).astype(int))
    return [items[index] for index in chosen]


def _place(view: View) -> NDArray[np.float64]:
    """Where a view's camera is, in the cloud's frame [3]."""
    return invert(view.T_camera_lidar)[:3, 3]


def _distance(sample: Sample, place: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance of each point from a place [N] in metres; NaN for points that are not finite."""
    distance = np.linalg.norm(sample.cloud.xyz.astype(np.float64) - place, axis=1)
    return np.where(np.isfinite(distance), distance, np.nan)


def _from_views(sample: Sample, views: Sequence[View]) -> list[NDArray[np.float64]]:
    return [_distance(sample, _place(view)) for view in views]


def _edges(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distances [DISTANCES + 1] in metres between which points have one colour."""
    known = distances[np.isfinite(distances)]
    farthest = max(float(np.percentile(known, 99)), 1.0) if known.size else 1.0
    return farthest * np.linspace(0, 1, DISTANCES + 1) ** 1.5


def _bands(distance: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Number of each point's band of distance, uint8 [N]; UNKNOWN where it is not finite."""
    band = np.searchsorted(edges[1:-1], distance, side="right").astype(np.uint8)
    return np.where(np.isfinite(distance), band, np.uint8(UNKNOWN))


def _as_classes(edges: NDArray[np.float64]) -> Ontology:
    """The bands of distance as classes of their own, red for near ones, blue for far ones."""
    names = [f"{a:.1f} to {b:.1f} m" for a, b in pairwise(edges)]
    names[-1] = f"from {edges[-2]:.1f} m"
    colors = 255 * matplotlib.colormaps["turbo"](np.linspace(0.95, 0.05, DISTANCES))[:, :3]
    return Ontology(
        "distance",
        tuple(names),
        tuple((int(r), int(g), int(b)) for r, g, b in colors),
        tuple((number + 1,) for number in range(DISTANCES)),
    )
