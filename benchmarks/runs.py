"""What the benchmarks that train and score networks share."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from wsss_perception.geometry import visible_points
from wsss_perception.ontology import load_ontology
from wsss_training import report
from wsss_training.config import load_config
from wsss_training.data import open_dataset
from wsss_training.metrics import ConfusionMatrix, semantic_kitti_scores
from wsss_training.workload import open_teacher


def command(*words: object, log: Path) -> None:
    """Runs a command of the package on one core."""
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    program = [sys.executable, "-m", "wsss_training", *map(str, words)]
    with log.open("w") as stream:
        subprocess.run(program, env=environment, stdout=stream, stderr=stream, check=True)


def claim(output: Path, settings: dict) -> None:
    """Notes what all figures depend on in a folder, or ends where it holds those of others."""
    path = output / "settings.json"
    if path.exists() and json.loads(path.read_text()) != settings:
        raise SystemExit(f"{path}: is of other settings; choose another OUT")
    report.write_json(path, settings)


def score_projection(
    config_file: str, data_root: Path, root: Path, sequences: list[str] | None
) -> dict:
    """Scores the projected labels of a config's teacher on the labelled points in view."""
    config = load_config(config_file, [f"data_root={data_root}"])
    teacher = open_teacher(config.teacher, load_ontology(config.ontology))
    options = {} if sequences is None else {"sequences": sequences}
    dataset = open_dataset("semantic_kitti", root, **options)
    assert dataset.ontology is not None
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


def header(classes: list[str], every: str = "mIoU 19") -> str:
    """The table's first line; ``every`` names the benchmark's own mean."""
    return f"| | {every} | mIoU {len(classes)} | accuracy | " + " | ".join(classes) + " |"


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
