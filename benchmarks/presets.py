"""Compares what the network presets learn on the synthetic driving world.

Trains each preset on the scenes that `driving_world.py` wrote, with their ground truth and one
recipe, scores it on scenes of the family `validation`, and writes the table to OUT/presets.md:

  python benchmarks/presets.py out/driving_world --jobs 2

What is done already is kept, also the networks `small` that `driving_world.py` trained.
"""

import argparse
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from driving_world import CONFIG, SWEEPS
from runs import command, format_row, header, rule

SEEDS = {"minkunet18a": 1, "small": 3, "fast": 2}
"""Of each preset; those that take longest first."""
SCENES = 10


def main() -> None:
    """Runs what is missing and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path, help="folder of driving_world.py")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time, a core each")
    arguments = parser.parse_args()
    output = arguments.output
    words = [output / "validation", "--family", "validation", "--scenes", SCENES, *SWEEPS]
    command("make-world", *words, "--jobs", arguments.jobs, log=output / "validation.log")
    tasks = [(preset, seed) for preset, seeds in SEEDS.items() for seed in range(seeds)]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        scores = list(pool.map(lambda task: train_and_score(output, *task), tasks))
    results = {
        preset: [score for (name, _), score in zip(tasks, scores, strict=True) if name == preset]
        for preset in SEEDS
    }
    classes = scores[0]["classes_present"]
    rows = [format_row(preset, results[preset], classes) for preset in reversed(SEEDS)]
    table = "\n".join([header(classes), rule(classes), *rows]) + "\n"
    (output / "presets.md").write_text(table)
    print(table)


def train_and_score(output: Path, preset: str, seed: int) -> dict:
    """Trains one network and evaluates it on the validation scenes."""
    name = "labels" if preset == "small" else preset
    run = output / f"{name}_seed{seed}"
    overrides = [f"data_root={output / 'development'}", f"seed={seed}", f"output={run}"]
    overrides += ["sources.0.supervision=labels", f"model.network={preset}"]
    if not (run / "bundle").exists():
        command("train", CONFIG, *overrides, log=run.with_suffix(".log"))
    scores = run / "validation.json"
    if not scores.exists():
        words = ["--bundle", run / "bundle", "--dataset", "semantic_kitti"]
        words += ["--root", output / "validation", "--json", scores]
        command("evaluate", *words, log=run / "validation.log")
    return json.loads(scores.read_text())


if __name__ == "__main__":
    main()
