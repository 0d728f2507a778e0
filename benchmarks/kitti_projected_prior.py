"""Scores 3D networks that learned from projected teacher maps on the labelled KITTI sequences.

Trains config/train/kitti.yaml (the scored sequences left out) and kitti_all.yaml (among the
unlabelled logs) with several seeds, evaluates each bundle on sequences 31 and 00, scores the
teacher's projection on the same points, and writes the table to OUT/results.md:

  python benchmarks/kitti_projected_prior.py out/kitti --data ../shared/data --jobs 2

What is done already is kept, so that an interrupted run goes on.
"""

import argparse
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from runs import command, format_row, header, rule, score_projection

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
    tasks = [(kind, seed) for kind in CONFIGS for seed in SEEDS]
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
            words += ["--option", f"sequences={sequence}", "--json", scores]
            command("evaluate", *words, log=run / f"seq{sequence}.log")


def run_folder(output: Path, kind: str, seed: int) -> Path:
    """Where a run goes."""
    return output / f"{Path(CONFIGS[kind]).stem}_seed{seed}"


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
        root = arguments.data / "semantic_kitti"
        projection = [score_projection(CONFIGS["without"], arguments.data, root, [sequence])]
        lines += [f"\n### Sequence {sequence}"]
        for rows in ({"projection, points in view": projection}, networks):
            classes = next(iter(rows.values()))[0]["classes_present"]
            lines += ["", header(classes), rule(classes)]
            lines += [format_row(name, results, classes) for name, results in rows.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
