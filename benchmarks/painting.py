"""Measures what images at run time bring, and what a model that knows them loses without.

Draws scenes of the synthetic world with nuScenes' rig (32 beams, 6 cameras), of the family
`development` to train on and of another one to score on; trains config/train/world_cameras.yaml
with `cameras: none` and with `cameras: optional`, alike in all else; scores the first, and the
second with all cameras, with one and with none. Writes OUT/results.md and OUT/results.json:

  python benchmarks/painting.py out/painting --scenes 24 --sweeps 2 --scored 8 --steps 600

What is done already is kept, so that an interrupted run goes on; other sizes need another OUT.
"""

import argparse
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from runs import claim, command, format_row, header, rule

from wsss_training import report
from wsss_training.world.settings import world_hash

CONFIG = "config/train/world_cameras.yaml"
LIDAR_ONLY, OPTIONAL = "none", "optional"
ROWS = {
    "LiDAR only": (LIDAR_ONLY, "none"),
    "optional, all 6 cameras": (OPTIONAL, "all"),
    "optional, CAM_FRONT alone": (OPTIONAL, "CAM_FRONT"),
    "optional, no camera": (OPTIONAL, "none"),
}
"""What is scored: the bundle's ``cameras``, and those it gets."""


def main() -> None:
    """Runs what is missing and writes the table."""
    arguments = parse_arguments()
    settings = settings_of(arguments)
    claim(arguments.output, settings)
    scored = {arguments.family: arguments.scored}
    for family, scenes in {"development": arguments.scenes, **scored}.items():
        draw(arguments.output / family, family, scenes, arguments.sweeps)
    tasks = [
        (cameras, seed) for seed in range(arguments.seeds) for cameras in (LIDAR_ONLY, OPTIONAL)
    ]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        list(pool.map(lambda task: train_and_score(arguments, *task), tasks))
    results = {name: read_scores(arguments, *row) for name, row in ROWS.items()}
    table = make_table(results, settings["world_sha256"])
    (arguments.output / "results.md").write_text(table)
    report.write_json(
        arguments.output / "results.json",
        {"settings": settings, "scores": results},
    )
    print(table)


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--scenes", type=int, default=24, help="to train on (24)")
    parser.add_argument("--scored", type=int, default=8, help="scenes to score on (8)")
    families = ("validation", "final")
    parser.add_argument("--family", choices=families, default="validation", help="of those")
    parser.add_argument("--sweeps", type=int, default=2, help="of each scene (2)")
    parser.add_argument("--steps", type=int, default=600, help="of each training (600)")
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each kind (1)")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time, a core each")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="of the recipe")
    return parser.parse_intermixed_args()


def settings_of(arguments: argparse.Namespace) -> dict:
    """All that the figures depend on: what was asked for, the world's settings, the recipe."""
    asked = {k: v for k, v in vars(arguments).items() if k not in ("output", "jobs")}
    recipe = hashlib.sha256(Path(CONFIG).read_bytes()).hexdigest()
    return {**asked, "world_sha256": world_hash(), "recipe_sha256": recipe}


def draw(root: Path, family: str, scenes: int, sweeps: int) -> None:
    """Draws scenes, all or none: nuScenes' tables are written at the end."""
    log = root.with_suffix(".log")
    if (root / "v1.0-world" / "sample_data.json").exists():
        return
    words = [root, "--rig", "nuscenes", "--family", family, "--scenes", scenes]
    command("make-world", *words, "--sweeps", sweeps, "--interval", 1.5, log=log)


def run_folder(arguments: argparse.Namespace, cameras: str, seed: int) -> Path:
    """Where a training goes."""
    return arguments.output / f"cameras_{cameras}_seed{seed}"


def train_and_score(arguments: argparse.Namespace, cameras: str, seed: int) -> None:
    """Trains one network and scores it with the cameras of its rows."""
    run, output = run_folder(arguments, cameras, seed), arguments.output
    words = [f"data_root={output / 'development'}", f"output={run}", f"seed={seed}"]
    words += [f"model.cameras={cameras}", f"optimization.steps={arguments.steps}"]
    words += [f"cache={output / 'cache'}", "optimization.workers=0", *arguments.overrides]
    if not (run / "bundle").exists():
        command("train", CONFIG, *words, log=run.with_suffix(".log"))
    for bundle, given in ROWS.values():
        scores = run / f"{given}.json"
        if bundle == cameras and not scores.exists():
            words = ["--bundle", run / "bundle", "--dataset", "nuscenes", "--cameras", given]
            words += ["--root", output / arguments.family, "--json", scores]
            command("evaluate", *words, log=run / f"{given}.log")


def read_scores(arguments: argparse.Namespace, cameras: str, given: str) -> list[dict]:
    """Reads the scores of a row, a seed each."""
    folders = [run_folder(arguments, cameras, seed) for seed in range(arguments.seeds)]
    return [json.loads((folder / f"{given}.json").read_text()) for folder in folders]


def make_table(results: dict[str, list[dict]], world: str) -> str:
    """Writes mean and spread over the seeds, and the IoU of each class with enough points."""
    classes = next(iter(results.values()))[0]["classes_present"]
    lines = [header(classes, "mIoU"), rule(classes)]
    lines += [format_row(name, scores, classes) for name, scores in results.items()]
    return "\n".join([f"Settings of the world: sha256 {world}", "", *lines]) + "\n"


if __name__ == "__main__":
    main()
