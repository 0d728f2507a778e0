"""Scores WSegPC's outdoor mode on real KITTI logs, with no 3D label: pseudo-labels and network.

Trains config/train/kitti_wsegpc.yaml with the prior alone, with cross-modal guidance, with region
votes, and with both, several seeds each; scores the pseudo-labels on the labelled points in view
of sequences 31 and 00 (of the sweeps that are among the logs), what the same networks give with
other pools, the segmenters that learned from them on all points, and the projection on the points
in view. Writes OUT/results.md:

  python benchmarks/wsegpc_outdoor.py out/wsegpc --data ../shared/data --jobs 2

What is done already is kept, so that an interrupted run goes on.
"""

import argparse
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from runs import command, format_row, header, rule

from wsss_perception.frame import UNKNOWN
from wsss_perception.geometry import visible_points
from wsss_perception.ontology import load_ontology
from wsss_training import report
from wsss_training.config import load_config
from wsss_training.config_wsegpc import PoolConfig
from wsss_training.data import Sample, open_dataset
from wsss_training.data.supervised_sweeps import TeacherSupervision
from wsss_training.data.weak_labels import read_chosen
from wsss_training.labelling import open_labeller
from wsss_training.metrics import ConfusionMatrix, semantic_kitti_scores
from wsss_training.regions import REGIONS
from wsss_training.stages import PSEUDO_LABELS, newest_checkpoint, open_run
from wsss_training.workload import open_teacher

CONFIG = "config/train/kitti_wsegpc.yaml"
SEQUENCES = ("31", "00")
VARIANTS = {
    "prior only": ("wsegpc.image_network=null", "wsegpc.consistency=none"),
    "+ CMG": ("wsegpc.consistency=none",),
    "+ RPC": ("wsegpc.guidance=none", "wsegpc.image_network=null"),
    "+ CMG + RPC": (),
}
POOLS = {"voted": PoolConfig(prior=1.0, network=0.5, regions=0.5), "alone": PoolConfig()}
TABLES = {
    "Pseudo-labels in view": "pseudo",
    "With region votes in every pool, in view, seed 0": "voted",
    "The averaged network and its region votes alone, in view, seed 0": "alone",
    "3D network that learned from the pseudo-labels": "seq",
}


def main() -> None:
    """Runs what is missing and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time, a core each")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    arguments = parser.parse_intermixed_args()
    tasks = [(name, seed) for seed in range(arguments.seeds) for name in VARIANTS]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        list(pool.map(lambda task: train_and_score(*task, arguments), tasks))
    table = make_table(arguments)
    (arguments.output / "results.md").write_text(table)
    print(table)


def run_folder(output: Path, name: str, seed: int) -> Path:
    """Where a run goes."""
    return output / f"{name.replace('+ ', 'with_').replace(' ', '_').lower()}_seed{seed}"


def train_and_score(name: str, seed: int, arguments: argparse.Namespace) -> None:
    """Trains one variant and scores its pseudo-labels and its segmenter."""
    run = run_folder(arguments.output, name, seed)
    words = [f"data_root={arguments.data}", f"seed={seed}", f"output={run}"]
    if not (run / "bundle").exists():
        log = run.with_suffix(".log")
        command("train", CONFIG, *words, *VARIANTS[name], *arguments.overrides, log=log)
    root = arguments.data / "semantic_kitti"
    for sequence in SEQUENCES:
        scores = run / f"pseudo{sequence}.json"
        if not scores.exists():
            report.write_json(scores, score_pseudo_labels(run / PSEUDO_LABELS, root, sequence))
        for file, pool in POOLS.items() if seed == 0 else ():
            scores = run / f"{file}{sequence}.json"
            if not scores.exists():
                report.write_json(scores, score_pool(run, root, sequence, pool, arguments))
        scores = run / f"seq{sequence}.json"
        if not scores.exists():
            words = ["--bundle", run / "bundle", "--dataset", "semantic_kitti", "--root", root]
            words += ["--option", f"sequences={sequence}", "--json", scores]
            command("evaluate", *words, log=run / f"seq{sequence}.log")


def score_pseudo_labels(folder: Path, root: Path, sequence: str) -> dict:
    """Scores the pseudo-labels of a sequence on its labelled points in view."""

    def read(sample: Sample, path: Path) -> np.ndarray:
        chosen = read_chosen(path, sample.sample_id, len(load_ontology("semantic_kitti")))
        labels = np.full(chosen.points, UNKNOWN, dtype=np.uint8)
        labels[chosen.indices] = chosen.labels
        return labels

    return score_in_view(folder, root, sequence, read)


def score_pool(
    run: Path, root: Path, sequence: str, pool: PoolConfig, arguments: argparse.Namespace
) -> dict:
    """Scores what the run's averaged network would give with another pool."""
    config = open_run(run)
    labeller = open_labeller(config, newest_checkpoint(config)[0], pool)
    teacher = open_prior(arguments.data)
    regions = REGIONS[config.wsegpc.regions]

    def label(sample: Sample, _: Path) -> np.ndarray:
        prior = teacher.probabilities(sample, labeller.classes) if pool.prior else None
        return labeller(sample, regions(sample.cloud), prior)

    return score_in_view(run / PSEUDO_LABELS, root, sequence, label)


def score_projection(folder: Path, data: Path, sequence: str) -> dict:
    """Scores the projection on the same points."""
    teacher, root = open_prior(data), data / "semantic_kitti"
    return score_in_view(folder, root, sequence, lambda sample, _: teacher(sample)[0])


def open_prior(data: Path) -> TeacherSupervision:
    """Opens the 2D teacher's maps."""
    config = load_config(CONFIG, [f"data_root={data}"])
    return open_teacher(config.teacher, load_ontology(config.ontology))


def score_in_view(
    folder: Path, root: Path, sequence: str, labels_of: Callable[[Sample, Path], np.ndarray]
) -> dict:
    """Scores labels on a sequence's labelled points in view, of the sweeps with pseudo-labels."""
    dataset = open_dataset("semantic_kitti", root, sequences=[sequence])
    assert dataset.ontology is not None
    matrix = ConfusionMatrix(len(dataset.ontology))
    for index, sample_id in enumerate(dataset.sample_ids):
        for path in folder.glob(f"*/{sample_id}.npz"):
            sample = dataset[index]
            assert sample.labels is not None
            points = points_in_view(sample)
            matrix.update(sample.labels[points], labels_of(sample, path)[points])
    return report.to_dict(dataset.ontology, semantic_kitti_scores(matrix))


def points_in_view(sample: Sample) -> np.ndarray:
    """Indices of the points that some camera sees."""
    seen = [
        visible_points(sample.cloud.xyz, image.camera, image.T_camera_lidar)[0]
        for image in sample.images
    ]
    return np.unique(np.concatenate(seen))


def make_table(arguments: argparse.Namespace) -> str:
    """Writes mean and spread over the seeds, and the IoU of each class with enough points."""
    lines = []
    for sequence in SEQUENCES:
        some = run_folder(arguments.output, "prior only", 0) / PSEUDO_LABELS
        projection = score_projection(some, arguments.data, sequence)
        for title, file in TABLES.items():
            seeds = 1 if file in POOLS else arguments.seeds
            rows = {
                name: [
                    read_scores(arguments.output, name, seed, file + sequence)
                    for seed in range(seeds)
                ]
                for name in VARIANTS
            }
            if file == "pseudo":
                rows = {"projection": [projection], **rows}
            classes = rows["prior only"][0]["classes_present"]
            lines += [f"\n### {title}, sequence {sequence}", "", header(classes), rule(classes)]
            lines += [format_row(name, results, classes) for name, results in rows.items()]
    return "\n".join(lines) + "\n"


def read_scores(output: Path, name: str, seed: int, file: str) -> dict:
    """Reads the scores of a run."""
    return json.loads((run_folder(output, name, seed) / f"{file}.json").read_text())


if __name__ == "__main__":
    main()
