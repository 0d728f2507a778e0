"""Compares weak with full supervision on the synthetic driving world.

Writes scenes of the family `development` to train on and of `final` to score on, trains the same
network on the imitated teacher's maps and on the ground truth with several seeds, scores the 3D
network alone, and writes the table to OUT/results.md:

  python benchmarks/driving_world.py out/driving_world --jobs 2

What is done already is kept, so that an interrupted run goes on.
"""

import argparse
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from runs import command, format_row, header, rule, score_projection

from wsss_training.world.settings import world_hash

CONFIG = "config/train/world.yaml"
SEEDS = (0, 1, 2)
SUPERVISIONS = {"teacher": "2D teacher's maps", "labels": "ground truth"}
FAMILIES = {"development": 64, "final": 20}
SWEEPS = ("--sweeps", "3", "--interval", "1.5")


def main() -> None:
    """Runs what is missing and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time, a core each")
    arguments = parser.parse_args()
    output = arguments.output
    for family, scenes in FAMILIES.items():
        words = [output / family, "--family", family, "--scenes", scenes, *SWEEPS]
        command("make-world", *words, "--jobs", arguments.jobs, log=output / f"{family}.log")
    tasks = [(supervision, seed) for supervision in SUPERVISIONS for seed in SEEDS]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        list(pool.map(lambda task: train_and_score(output, *task), tasks))
    table = make_table(output)
    (output / "results.md").write_text(table)
    print(table)


def train_and_score(output: Path, supervision: str, seed: int) -> None:
    """Trains one network and evaluates it on the final scenes."""
    run = output / f"{supervision}_seed{seed}"
    world = output / "development"
    overrides = [f"data_root={world}", f"seed={seed}", f"output={run}"]
    overrides.append(f"sources.0.supervision={supervision}")
    if not (run / "bundle").exists():
        command("train", CONFIG, *overrides, log=run.with_suffix(".log"))
    scores = run / "final.json"
    if not scores.exists():
        words = ["--bundle", run / "bundle", "--dataset", "semantic_kitti"]
        words += ["--root", output / "final", "--json", scores]
        command("evaluate", *words, log=run / "final.log")


def make_table(output: Path) -> str:
    """Writes mean and spread over the seeds, the teacher's own score, and the ratio."""
    scores = {
        name: [
            json.loads((output / f"{supervision}_seed{seed}" / "final.json").read_text())
            for seed in SEEDS
        ]
        for supervision, name in SUPERVISIONS.items()
    }
    final = output / "final"
    projection = [score_projection(CONFIG, final, final, None)]
    weak, full = (sum(result["miou"] for result in results) for results in scores.values())
    lines = [f"Settings of the world: sha256 {world_hash()}"]
    for rows in ({"projection, points in view": projection}, scores):
        classes = next(iter(rows.values()))[0]["classes_present"]
        lines += ["", header(classes), rule(classes)]
        lines += [format_row(name, results, classes) for name, results in rows.items()]
    lines += ["", f"Weak supervision reaches {100 * weak / full:.1f} % of full supervision's mIoU."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
