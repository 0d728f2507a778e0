"""Says why the rows of benchmarks/wsegpc_ablation.py are as good as they are.

For each class of the rooms that were learned from: how pure the regions are that hold its points,
and what the regions would give if each had its majority's label; and of a run: what its
pseudo-labels take the class for, and how sure the class-adaptive threshold asked its votes to be
in the end. Writes a table to standard output:

  python benchmarks/wsegpc_evidence.py out/rooms_ablation/runs/with_rpc_centered_seed0
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsss_perception.frame import UNKNOWN
from wsss_perception.ontology import load_ontology
from wsss_training.checkpoints import read_part
from wsss_training.data import open_dataset
from wsss_training.data.supervised_scenes import SupervisedScenes
from wsss_training.data.weak_labels import read_chosen
from wsss_training.metrics import ConfusionMatrix, scannet_scores
from wsss_training.stages import PSEUDO_LABELS, newest_checkpoint, open_run, open_scenes
from wsss_training.workload import open_workload


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    run = parser.parse_args().run
    config = open_run(run)
    scenes = open_scenes(config, open_workload(config).sweeps.sources)
    ontology = load_ontology(config.ontology)
    classes = len(ontology)
    majority, labelled = ConfusionMatrix(classes), ConfusionMatrix(classes)
    pure, points = np.zeros(classes), np.zeros(classes)
    for truth, region, labels in read(run, scenes, config.sources[0].root, classes):
        known = truth != UNKNOWN
        share, best = region_majorities(truth[known], region[known], classes)
        majority.update(truth[known], best)
        labelled.update(truth, labels)
        pure += np.bincount(truth[known], share, classes)
        points += np.bincount(truth[known], minlength=classes)
    oracle, scores = scannet_scores(majority), scannet_scores(labelled)
    asked = asked_confidence(run, config.wsegpc.tau, classes)
    print(f"{run}: pseudo-labels {100 * scores.miou:.1f} mIoU; regions with their majority's label")
    print(f"would have {100 * oracle.miou:.1f}. Per cent:\n")
    columns = ["points", "own region is of the class", "majority IoU", "pseudo-label IoU"]
    print(
        f"| | {' | '.join([*columns, 'taken for', 'threshold'])} |\n|---|---|---|---|---|---|---|"
    )
    rates = labelled.counts[:, :classes] / np.maximum(points[:, None], 1)
    for c, name in enumerate(ontology.classes):
        others = [k for k in np.argsort(-rates[c])[:4] if k != c and rates[c, k] >= 0.05][:3]
        taken = ", ".join(f"{ontology.classes[k]} {100 * rates[c, k]:.0f}" for k in others)
        cells = [100 * points[c] / points.sum(), 100 * pure[c] / max(points[c], 1)]
        cells += [100 * oracle.iou[c], 100 * scores.iou[c]]
        text = " | ".join(f"{value:.0f}" for value in cells)
        print(f"| {name} | {text} | {taken} | {asked[c]:.2f} |")


def read(
    run: Path, scenes: SupervisedScenes, root: str, classes: int
) -> Iterator[tuple[NDArray, NDArray, NDArray]]:
    """Truth, region and pseudo-label of the points of each room."""
    dataset = open_dataset("scannet", root, cameras=[])
    numbers = {sample_id: number for number, sample_id in enumerate(dataset.sample_ids)}
    for index in range(len(scenes)):
        name = scenes.sample_id(index)
        chosen = read_chosen(run / PSEUDO_LABELS / "0" / f"{name}.npz", name, classes)
        labels = np.full(chosen.points, UNKNOWN, dtype=np.uint8)
        labels[chosen.indices] = chosen.labels
        truth = dataset[numbers[name]].labels
        assert truth is not None
        yield truth, scenes.region_of(scenes.sample(index)), labels


def region_majorities(
    truth: NDArray[np.uint8], region: NDArray[np.int32], classes: int
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """For each point: share of its region that is of its class, and its region's majority [N].

    Points in no region are regions of their own.
    """
    inside = region >= 0
    regions = int(region.max(initial=-1)) + 1
    counts = np.bincount(region[inside] * classes + truth[inside], minlength=regions * classes)
    counts = counts.reshape(regions, classes)
    share, best = np.ones(len(truth)), truth.copy()
    of_region = counts[region[inside]]
    own = np.take_along_axis(of_region, truth[inside, None].astype(np.int64), axis=1)[:, 0]
    share[inside] = own / of_region.sum(axis=1)
    best[inside] = of_region.argmax(axis=1)
    return share, best


def asked_confidence(run: Path, tau: float, classes: int) -> NDArray[np.float64]:
    """The confidence that the threshold asks of each class at the end of the second stage."""
    counts = read_part(newest_checkpoint(open_run(run))[0], "thresholds.points").get("counts")
    if counts is None:
        return np.full(classes, tau)
    return tau * (counts / counts.max().clamp_min(1)).numpy()


if __name__ == "__main__":
    main()
