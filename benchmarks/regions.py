"""Measures how well regions keep to class borders, on a labelled set.

  python benchmarks/regions.py semantic_kitti ../shared/data/semantic_kitti \
    --option sequences=31 --teacher config/train/kitti.yaml --data ../shared/data

Coverage: share of the labelled points that are in a region; those of none count as wrong below.
Purity: share of the labelled points that are of the class most labelled points of their region are
of. Bound: mIoU when each region is given that class. With --teacher, the mIoU of a config's
projected teacher on the labelled points in view, as it is and after regions voted. Each mIoU is
over the classes with at least 100 points.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from wsss_perception.frame import UNKNOWN
from wsss_perception.geometry import visible_points
from wsss_perception.ontology import load_ontology
from wsss_training.config import load_config
from wsss_training.data import Sample, open_dataset, parse_options
from wsss_training.metrics import ConfusionMatrix, present_scores
from wsss_training.regions import REGIONS, vote
from wsss_training.report import ENOUGH_POINTS
from wsss_training.workload import open_teacher


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("root", type=Path)
    parser.add_argument("--option", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--teacher", help="config whose teacher is projected")
    parser.add_argument("--data", default="data", help="data_root of that config")
    parser.add_argument("--methods", nargs="+", choices=REGIONS, default=list(REGIONS))
    arguments = parser.parse_args()
    options = parse_options(arguments.dataset, arguments.option)
    dataset = open_dataset(arguments.dataset, arguments.root, **options)
    if dataset.ontology is None:
        parser.error(f"{arguments.root}: has no labels")
    teacher = None
    if arguments.teacher:
        config = load_config(arguments.teacher, [f"data_root={arguments.data}"])
        teacher = open_teacher(config.teacher, load_ontology(config.ontology))
    classes = len(dataset.ontology)
    measures = {name: Measure(classes) for name in arguments.methods}
    projected = ConfusionMatrix(classes)
    for number in range(len(dataset)):
        sample = dataset[number]
        assert sample.labels is not None
        seen = labels_in_view(sample)
        guess = None if teacher is None else teacher(sample)
        if guess is not None:
            projected.update(seen, guess[0])
        for name, measure in measures.items():
            start = time.process_time()
            region = REGIONS[name](sample.cloud)
            measure.add(sample.labels, region, time.process_time() - start)
            if guess is not None:
                measure.voted.update(seen, vote(region, *guess))
    lines = ["| regions | coverage | purity | bound | a sweep | mean points | CPU s | voted |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    lines += [measure.row(name, len(dataset)) for name, measure in measures.items()]
    if teacher is not None:
        lines.append(f"| the projection itself ||||||| {percent(projected)} |")
    print("\n".join(lines))


def labels_in_view(sample: Sample) -> np.ndarray:
    """The true labels [N], UNKNOWN for points that no camera sees."""
    assert sample.labels is not None
    labels = np.full(len(sample.cloud), UNKNOWN, dtype=np.uint8)
    for image in sample.images:
        index, _ = visible_points(sample.cloud.xyz, image.camera, image.T_camera_lidar)
        labels[index] = sample.labels[index]
    return labels


class Measure:
    """What is measured of one way to find regions."""

    def __init__(self, classes: int) -> None:
        self.bound, self.voted = ConfusionMatrix(classes), ConfusionMatrix(classes)
        self.inside = self.regions = 0
        self.seconds = 0.0

    def add(self, labels: np.ndarray, region: np.ndarray, seconds: float) -> None:
        """Adds a sweep: true labels [N] and regions [N]."""
        self.bound.update(labels, np.where(region >= 0, vote(region, labels), UNKNOWN))
        self.inside += int((region >= 0).sum())
        self.regions += int(region.max(initial=-1)) + 1
        self.seconds += seconds

    def row(self, name: str, sweeps: int) -> str:
        """A line of the table."""
        scores = present_scores(self.bound)
        cells = [
            f"{100 * (1 - scores.unknown):.2f}",
            f"{100 * scores.accuracy:.1f}",
            percent(self.bound),
            f"{self.regions / sweeps:.0f}",
            f"{self.inside / max(self.regions, 1):.0f}",
            f"{self.seconds / sweeps:.2f}",
            percent(self.voted) if self.voted.counts.any() else "",
        ]
        return f"| {name} | " + " | ".join(cells) + " |"


def percent(matrix: ConfusionMatrix) -> str:
    """The mIoU over the classes with enough points."""
    scores = present_scores(matrix)
    return f"{100 * scores.mean_over(scores.points >= ENOUGH_POINTS):.1f}"


if __name__ == "__main__":
    main()
