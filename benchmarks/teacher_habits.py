"""Measures the habits of 2D teachers on labelled points, the same way for all of them.

Side by side: the real teacher on sequences 31 (colour) and 00 (grey) of the real data; the
imitated one on sequence 31's own scenes, whose pixels take the class of the nearest labelled
point; and, where a synthetic world is given, the imitated one there:

  python benchmarks/teacher_habits.py --real ../shared/data [--world out/world]

Points count where a camera sees them and they are labelled.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
from dense_truth import border_distance, cityscapes_of, fill_image
from numpy.typing import NDArray

from wsss_perception.frame import UNKNOWN
from wsss_perception.geometry import transform_points, visible_points
from wsss_perception.ontology import load_mapping, load_ontology
from wsss_training.data.sample import ImageSource, Sample
from wsss_training.data.semantic_kitti import SemanticKitti
from wsss_training.metrics import ConfusionMatrix, semantic_kitti_scores
from wsss_training.teachers.precomputed import PrecomputedTeacher
from wsss_training.world.imitated_teacher import imitate_teacher
from wsss_training.world.teacher_settings import TeacherSettings, load_teacher_settings

POINTS, PIXELS = load_ontology("semantic_kitti"), load_ontology("cityscapes")
TO_POINTS = load_mapping("cityscapes_to_semantic_kitti", PIXELS, POINTS)
TO_PIXELS = cityscapes_of(POINTS, PIXELS)
BORDERS = (0, 2, 4, 8, 16, 32, np.inf)
CONFIDENCES = (0, 0.5, 0.7, 0.9, 0.97, 1.01)
FEW = 100
"""Classes with fewer points are not shown."""


@dataclass(frozen=True)
class Sights:
    """Labelled points that a camera sees and what a teacher says of them; arrays [N].

    Attributes:
        true: SemanticKITTI label.
        said: the teacher's Cityscapes label of the pixel.
        confidence: of that label.
        border: pixels to the nearest point of another class.
        xyz: [N, 3], in the scene's fixed frame where poses are known.
        frame: number of the sweep; those of consecutive sweeps of one scene differ by 1.
    """

    true: NDArray[np.uint8]
    said: NDArray[np.uint8]
    confidence: NDArray[np.float32]
    border: NDArray[np.float32]
    xyz: NDArray[np.float64]
    frame: NDArray[np.int64]

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """Whether the label, carried to SemanticKITTI's classes, is not the true one."""
        return TO_POINTS[self.said] != self.true


Looks = Callable[
    [int, ImageSource, NDArray[np.float64], NDArray[np.uint8]],
    tuple[NDArray[np.uint8], NDArray[np.float32]],
]
"""A teacher: number of the sweep, image, pixels [N, 2] and true labels of its labelled points ->
label and confidence of every pixel, confidence at any resolution."""


def observe(dataset: SemanticKitti, look: Looks, first: int = 0) -> Sights:
    """Collects what a teacher says of all labelled points in view; frames count from ``first``."""
    parts = []
    number, scene = first, ""
    for index in range(len(dataset)):
        sample = dataset[index]
        follows = sample.scene == scene and sample.T_world_lidar is not None
        number, scene = number + (1 if follows else 2), sample.scene
        parts += [_observe_image(number, sample, image, look) for image in sample.images]
    return merge(parts)


def merge(parts: list[Sights]) -> Sights:
    """Puts sights together."""
    names = [field.name for field in fields(Sights)]
    return Sights(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _observe_image(number: int, sample: Sample, image: ImageSource, look: Looks) -> Sights:
    assert sample.labels is not None
    index, uv = visible_points(sample.cloud.xyz, image.camera, image.T_camera_lidar)
    labelled = sample.labels[index] != UNKNOWN
    index, uv = index[labelled], uv[labelled]
    true = sample.labels[index]
    labels, confidence = look(number, image, uv, true)
    xyz = sample.cloud.xyz[index].astype(np.float64)
    if sample.T_world_lidar is not None:
        xyz = transform_points(sample.T_world_lidar, xyz)
    return Sights(
        true,
        _read(labels, uv, image),
        _read(confidence, uv, image),
        border_distance(uv, true, (image.camera.height, image.camera.width)),
        xyz,
        np.full(len(index), number),
    )


def _read(values: NDArray, uv: NDArray[np.float64], image: ImageSource) -> NDArray:
    size = np.array([values.shape[1], values.shape[0]])
    scale = size / [image.camera.width, image.camera.height]
    column, row = np.clip(np.floor((uv + 0.5) * scale).astype(int), 0, size - 1).T
    return values[row, column]


def look_up(
    teacher: PrecomputedTeacher,
    _number: int,
    image: ImageSource,
    _uv: NDArray[np.float64],
    _true: NDArray[np.uint8],
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Reads a teacher's maps."""
    maps = teacher(image.path)
    return maps.labels, maps.confidence


def look_imitated(
    settings: TeacherSettings,
    number: int,
    image: ImageSource,
    uv: NDArray[np.float64],
    true: NDArray[np.uint8],
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Imitates a teacher's maps on a scene filled from its labelled points."""
    shape = image.camera.height, image.camera.width
    classes, regions = fill_image(uv, TO_PIXELS[true], shape, PIXELS.index("sky"))
    maps = imitate_teacher(classes, regions, settings, number, 0)
    return maps.labels, maps.confidence


def measure(sights: Sights) -> dict[str, str]:
    """Returns the rows of a column of the table."""
    return {
        **score(sights),
        **describe_confidence(sights),
        **describe_places(sights),
        **describe_confusions(sights),
    }


def score(sights: Sights) -> dict[str, str]:
    """IoU of the classes that are there, and accuracy."""
    matrix = ConfusionMatrix(len(POINTS))
    matrix.update(sights.true, TO_POINTS[sights.said])
    scores = semantic_kitti_scores(matrix)
    many = scores.points >= FEW
    rows = {
        "points": str(len(sights.true)),
        "mIoU of the classes below": percent(scores.mean_over(many)),
        "accuracy": percent(scores.accuracy),
    }
    return rows | {f"IoU {POINTS.classes[c]}": percent(scores.iou[c]) for c in np.flatnonzero(many)}


def describe_confidence(sights: Sights) -> dict[str, str]:
    """Confidence where right and wrong; accuracy per bin of confidence."""
    right, confidence = ~sights.wrong, sights.confidence
    rows = {
        "confidence where right": percent(confidence[right].mean()),
        "confidence where wrong": percent(confidence[~right].mean()),
    }
    for low, high in pairwise(CONFIDENCES):
        inside = (confidence >= low) & (confidence < high)
        rows[f"confidence {low:g} to {min(high, 1):g}: points, accuracy"] = shares(inside, right)
    return rows


def describe_places(sights: Sights) -> dict[str, str]:
    """Where errors are: near borders, beside other errors, in the next sweep again."""
    right = ~sights.wrong
    rows = {}
    for low, high in pairwise(BORDERS):
        inside = (sights.border >= low) & (sights.border < high)
        rows[f"border {low:g} to {high:g} px: points, accuracy"] = shares(inside, right)
    rows["wrong beside a wrong one, by chance"] = beside_errors(sights)
    rows["wrong after a wrong one, by chance"] = after_errors(sights)
    return rows


def describe_confusions(sights: Sights) -> dict[str, str]:
    """What the teacher says of each true class."""
    rows = {}
    for label in np.flatnonzero(np.bincount(sights.true, minlength=len(POINTS)) >= FEW):
        said = np.bincount(np.minimum(sights.said[sights.true == label], len(PIXELS)), minlength=20)
        share = said / said.sum()
        names = (*PIXELS.classes, "background")
        top = [
            f"{names[c]} {100 * share[c]:.0f}" for c in np.argsort(-share)[:5] if share[c] > 0.01
        ]
        rows[f"{POINTS.classes[label]} is seen as"] = ", ".join(top)
    return rows


def beside_errors(sights: Sights, cell: float = 0.5) -> str:
    """How often a point's neighbour, below 1 m and of its true class, is wrong if it is.

    By chance: if errors fell on each class's points independently.
    """
    cells = np.floor(sights.xyz / cell).astype(np.int64)
    key = np.column_stack([cells, sights.true, sights.frame])
    order = np.lexsort([np.random.default_rng(0).permutation(len(key)), *key.T])
    first, second = order[:-1], order[1:]
    paired = (key[first] == key[second]).all(axis=1)
    first, second = first[paired], second[paired]
    wrong = sights.wrong.astype(float)
    errors = (wrong[first] + wrong[second]) / 2
    chance = class_rates(sights)[sights.true[first]]
    return conditional(np.sum(wrong[first] * wrong[second]), errors.sum(), chance, errors)


def after_errors(sights: Sights, cell: float = 0.5) -> str:
    """The same for points of one place and class in two consecutive sweeps of one scene."""
    if sights.frame.max() == 0:
        return "-"
    cells = np.floor(sights.xyz / cell).astype(np.int64)
    key = np.column_stack([cells, sights.true, sights.frame])
    unique, inverse = np.unique(key, axis=0, return_inverse=True)
    count = np.bincount(inverse)
    rate = np.bincount(inverse, sights.wrong) / count
    order = np.lexsort([unique[:, 4], *unique[:, :4].T])
    first, second = order[:-1], order[1:]
    step = unique[second] - unique[first]
    follows = (step[:, :4] == 0).all(axis=1) & (step[:, 4] == 1)
    first, second = first[follows], second[follows]
    if not len(first):
        return "-"
    chance = class_rates(sights)[unique[first, 3]]
    return conditional(np.sum(rate[first] * rate[second]), rate[first].sum(), chance, rate[first])


def class_rates(sights: Sights) -> NDArray[np.float64]:
    """Share of wrong points [C] of each true class."""
    points = np.bincount(sights.true, minlength=len(POINTS))
    return np.bincount(sights.true, sights.wrong, len(POINTS)) / np.maximum(points, 1)


def conditional(
    both: float, errors: float, chance: NDArray[np.float64], weights: NDArray[np.float64]
) -> str:
    """Formats a conditional probability and what it were by chance."""
    if not errors:
        return "-"
    return f"{percent(both / errors)}, {percent(np.average(chance, weights=weights))}"


def shares(inside: NDArray[np.bool_], right: NDArray[np.bool_]) -> str:
    """Share of the points in a bin and the accuracy there."""
    accuracy = percent(right[inside].mean()) if inside.any() else "-"
    return f"{percent(inside.mean())}, {accuracy}"


def percent(share: float) -> str:
    """Formats a share."""
    return f"{100 * share:.1f}"


def print_table(columns: dict[str, dict[str, str]]) -> None:
    """Prints a Markdown table."""
    rows = list(dict.fromkeys(name for column in columns.values() for name in column))
    print("| | " + " | ".join(columns) + " |")
    print("|---|" + "---|" * len(columns))
    for name in rows:
        print(f"| {name} | " + " | ".join(c.get(name, "-") for c in columns.values()) + " |")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--real", type=Path, help="folder of the real sensor data")
    parser.add_argument("--world", type=Path, help="a synthetic world in SemanticKITTI's layout")
    parser.add_argument("--world-teacher", type=Path, help="its teacher; WORLD/teacher by default")
    parser.add_argument("--settings", type=Path, help="habits to try; the shipped ones by default")
    parser.add_argument("--seeds", type=int, default=4, help="imitations of each real scene")
    arguments = parser.parse_args()
    columns = {}
    if arguments.real:
        data = arguments.real
        real = PrecomputedTeacher(data / "teacher" / "espnetv2_cityscapes", data, PIXELS)
        scenes = {name: SemanticKitti(data / "semantic_kitti", [name]) for name in ("31", "00")}
        settings = load_teacher_settings(arguments.settings)
        columns["real, 31"] = measure(observe(scenes["31"], partial(look_up, real)))
        look = partial(look_imitated, settings)
        runs = [observe(scenes["31"], look, 1000 * seed) for seed in range(arguments.seeds)]
        columns["imitated, 31"] = measure(merge(runs))
        columns["real, 00"] = measure(observe(scenes["00"], partial(look_up, real)))
    if arguments.world:
        folder = arguments.world_teacher or arguments.world / "teacher"
        imitated = PrecomputedTeacher(folder, arguments.world, PIXELS)
        world = SemanticKitti(arguments.world)
        columns["imitated, world"] = measure(observe(world, partial(look_up, imitated)))
    print_table(columns)


if __name__ == "__main__":
    main()
