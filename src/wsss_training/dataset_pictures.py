"""Pictures of a dataset's samples: points over images and from above, by distance and class."""

from itertools import pairwise
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsss_perception.frame import UNKNOWN, Frame, SemanticCloud
from wsss_perception.ontology import Ontology
from wsss_perception.pictures import draw_page
from wsss_training.data import ImageSource, Sample

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
        The pictures: by distance, and by class where the sample has labels.

    Raises:
        WsssError: an image cannot be read.
    """
    views = tuple(image.load() for image in spread(sample.images, MAX_VIEWS))
    frame = Frame(sample.cloud, views)
    pages = {"distance": (_distance_classes(sample), _distances(sample))}
    if sample.labels is not None and ontology is not None:
        pages["classes"] = (ontology, sample.labels)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, (classes, labels) in pages.items():
        nothing = np.zeros(len(labels))
        semantic = SemanticCloud(labels, nothing.astype(np.float32), nothing.astype(np.uint8))
        path = folder / f"{sample.sample_id.replace('/', '_')}_{name}.png"
        Image.fromarray(draw_page(frame, semantic, classes)).save(path)
        written.append(path)
    return written


def spread(images: tuple[ImageSource, ...], most: int) -> tuple[ImageSource, ...]:
    """Chooses at most so many images, evenly spaced."""
    chosen = np.unique(np.linspace(0, len(images) - 1, min(most, len(images))).astype(int))
    return tuple(images[index] for index in chosen)


def _edges(sample: Sample) -> NDArray[np.float64]:
    """Distances [DISTANCES + 1] in metres between which points have one colour."""
    distance = np.linalg.norm(sample.cloud.xyz.astype(np.float64), axis=1)
    known = distance[np.isfinite(distance)]
    farthest = max(float(np.percentile(known, 99)), 1.0) if known.size else 1.0
    return farthest * np.linspace(0, 1, DISTANCES + 1) ** 1.5


def _distances(sample: Sample) -> NDArray[np.uint8]:
    """Number of each point's band of distance, uint8 [N]; UNKNOWN where it is not finite."""
    distance = np.linalg.norm(sample.cloud.xyz.astype(np.float64), axis=1)
    band = np.searchsorted(_edges(sample)[1:-1], distance, side="right").astype(np.uint8)
    return np.where(np.isfinite(distance), band, np.uint8(UNKNOWN))


def _distance_classes(sample: Sample) -> Ontology:
    """The bands of distance as classes of their own, red for near ones, blue for far ones."""
    edges = _edges(sample)
    names = [f"{a:.1f} to {b:.1f} m" for a, b in pairwise(edges)]
    names[-1] = f"from {edges[-2]:.1f} m"
    colors = 255 * matplotlib.colormaps["turbo"](np.linspace(0.95, 0.05, DISTANCES))[:, :3]
    return Ontology(
        "distance",
        tuple(names),
        tuple((int(r), int(g), int(b)) for r, g, b in colors),
        tuple((number + 1,) for number in range(DISTANCES)),
    )
