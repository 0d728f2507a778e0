"""Scores 3D networks that learned from projected teacher maps on the labelled KITTI sequences.

Trains config/train/kitti.yaml (the scored sequences left out) and kitti_all.yaml (among the
unlabelled logs) with several seeds, evaluates each bundle on sequences 31 and 00, scores the
teacher's projection on the same points, and writes the table to OUT/results.md:

  python benchmarks/kitti_projected_prior.py out/kitti --data ../shared/data --jobs 2

What is done already is kept, so that an interrupted run goes on.
"""

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from wsss_perception.geometry import visible_points
from wsss_perception.ontology import load_ontology
from wsss_training import report
from wsss_training.config import load_config
from wsss_training.data.semantic_kitti import SemanticKitti
from wsss_training.metrics import ConfusionMatrix, semantic_kitti_scores
from wsss_training.workload import open_teacher

CONFIGS = {"without": "config/train/kitti.yaml", "among the logs": "config/train/kitti_all.yaml"}
SEQUENCES = ("31", "00")
SEEDS = (0, 1)


def main() -> None:
    """Runs what is missing and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time, a core each")
    arguments = parser.parse_args()
    tasks = [(kind, seed) for seed in SEEDS for kind in CONFIGS]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        list(pool.map(lambda task: train_and_score(*task, arguments), tasks))
    table = make_table(arguments)
    (arguments.output / "results.md").write_text(table)
    print(table)


def train_and_score(kind: str, seed: int, arguments: argparse.Namespace) -> None:
    """Trains one network and evaluates it on both sequences."""
    run = run_folder(arguments.output, kind, seed)
    overrides = [f"data_root={arguments.data}", f"seed={seed}", f"output={run}"]
    if not (run / "bundle").exists():
        command("train", CONFIGS[kind], *overrides, log=run.with_suffix(".log"))
    for sequence in SEQUENCES:
        scores = run / f"seq{sequence}.json"
        if not scores.exists():
            bundle, root = run / "bundle", arguments.data / "semantic_kitti"
            words = ["--bundle", bundle, "--dataset", "semantic_kitti", "--root", root]
            words += ["--sequences", sequence, "--json", scores]
            command("evaluate", *words, log=run / f"seq{sequence}.log")


def run_folder(output: Path, kind: str, seed: int) -> Path:
    """Where a run goes."""
    return output / f"{Path(CONFIGS[kind]).stem}_seed{seed}"


def command(*words: object, log: Path) -> None:
    """Runs a command of the package on one core."""
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    program = [sys.executable, "-m", "wsss_training", *map(str, words)]
    with log.open("w") as stream:
        subprocess.run(program, env=environment, stdout=stream, stderr=stream, check=True)


def score_projection(sequence: str, data: Path) -> dict:
    """Scores the teacher's projected labels on the labelled points that the cameras see."""
    config = load_config(CONFIGS["without"], [f"data_root={data}"])
    teacher = open_teacher(config.teacher, load_ontology(config.ontology))
    dataset = SemanticKitti(data / "semantic_kitti", [sequence])
    matrix = ConfusionMatrix(len(dataset.ontology))
    for index in range(len(dataset)):
        sample = dataset[index]
        assert sample.labels is not None
        labels, _ = teacher(sample)
        seen = [
            visible_points(sample.cloud.xyz, image.camera, image.T_camera_lidar)[0]
            for image in sample.images
        ]
        points = np.unique(np.concatenate(seen))
        matrix.update(sample.labels[points], labels[points])
    return report.to_dict(dataset.ontology, semantic_kitti_scores(matrix))


def make_table(arguments: argparse.Namespace) -> str:
    """Writes mean and spread over the seeds, and the IoU of each class with enough points."""
    lines = []
    for sequence in SEQUENCES:
        networks = {}
        for kind in CONFIGS:
            runs = [run_folder(arguments.output, kind, seed) for seed in SEEDS]
            networks[f"3D network, {sequence} {kind}"] = [
                json.loads((run / f"seq{sequence}.json").read_text()) for run in runs
            ]
        projection = [score_projection(sequence, arguments.data)]
        lines += [f"\n### Sequence {sequence}"]
        for rows in ({"projection, points in view": projection}, networks):
            classes = next(iter(rows.values()))[0]["classes_present"]
            lines += ["", header(classes), rule(classes)]
            lines += [format_row(name, results, classes) for name, results in rows.items()]
    return "\n".join(lines) + "\n"


def header(classes: list[str]) -> str:
    """The table's first line."""
    return f"| | mIoU 19 | mIoU {len(classes)} | accuracy | " + " | ".join(classes) + " |"


def rule(classes: list[str]) -> str:
    """The line below it."""
    return "|---|" + "---|" * (3 + len(classes))


def format_row(name: str, results: list[dict], classes: list[str]) -> str:
    """One line: mean +- half the range over the seeds; classes the means only."""

    def cell(values: list[float], spread: bool) -> str:
        text = f"{100 * np.mean(values):.1f}"
        half = 50 * (max(values) - min(values))
        return f"{text} ± {half:.1f}" if spread and len(values) > 1 else text

    present = [float(np.mean([result["iou"][c] for c in classes])) for result in results]
    cells = [cell([result["miou"] for result in results], True), cell(present, True)]
    cells.append(cell([result["accuracy"] for result in results], True))
    cells += [cell([result["iou"][c] for result in results], False) for c in classes]
    return f"| {name} | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
