"""Measures MSDKT on the synthetic driving world: what each part adds to a few labelled points.

Draws scenes to learn from and others to score on; labels 0.1 % and 1 % of the points, and one
point of each class and scene; trains config/train/msdkt_world.yaml with and without each part, and
`projected_prior` with the same labels and the teacher's, several seeds each, a draw of the points
each; scores the 3D network alone on the other scenes.
Writes OUT/results.md and OUT/results.png:

  python benchmarks/msdkt.py out/msdkt --seeds 3 --jobs 2

Each training ends as OUT/scores/<labels>_<row>_seed<n>.json, so that an interrupted run goes on
where it was; those of other machines may be copied there. `key=value` changes the recipe of all
rows, for which OUT must be new.
"""

import argparse
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import numpy as np
from runs import claim, command

from wsss_training import report
from wsss_training.world.settings import world_hash

CONFIG = "config/train/msdkt_world.yaml"
SWEEPS = ("--sweeps", "3", "--interval", "1.5")
LABELS = {
    "0.1 %": ("--share", "0.001"),
    "1 %": ("--share", "0.01"),
    "one point a class and scene": ("--points-per-class", "1"),
}
"""Labelled points: what ``weak-labels`` is asked for."""
NO_CONTRAST = ("msdkt.contrast_weight=0",)
ONE_SCALE = ("msdkt.scales=1", *NO_CONTRAST)
ROWS = {
    "labelled points alone": ("msdkt.transfer_weight=0", *NO_CONTRAST, "teacher=null"),
    "+ one-to-one": ("msdkt.deformable=false", *ONE_SCALE),
    "+ deformable": ONE_SCALE,
    "+ multi-scale": NO_CONTRAST,
    "+ contrast": (),
}
"""Overrides of each row."""
PRIOR = "both by projected_prior"
PRIOR_OVERRIDES = (
    "method=projected_prior",
    "sources=[{{dataset: semantic_kitti, root: {root}, supervision: labels, weak_labels: {few}}},"
    "{{dataset: semantic_kitti, root: {root}}}]",
    "augment.sector_margin=null",
)
"""What a user could do without MSDKT: labelled points, and the teacher's projected labels, in whole
sweeps as the other rows take them."""
ALL, FULL = "all", "full supervision"
FULL_OVERRIDES = (
    *("method=projected_prior", "teacher=null"),
    *("sources.0.weak_labels=null", "augment.sector_margin=null"),
)
"""Whole sweeps, as the rows with a few labels all around take them."""


def main() -> None:
    """Runs what is missing and writes table and picture."""
    arguments = parse_arguments()
    settings = settings_of(arguments)
    claim(arguments.output, settings)
    for family, scenes in (("development", arguments.scenes), (arguments.family, arguments.scored)):
        words = [arguments.output / family, "--family", family, "--scenes", scenes, *SWEEPS]
        log = arguments.output / f"{family}.log"
        command("make-world", *words, "--jobs", arguments.jobs, log=log)
    seeds = range(arguments.seeds)
    for labels, seed in product(LABELS, seeds):
        draw_labels(arguments.output, labels, seed)
    rows = (*ROWS, PRIOR)
    tasks = [(labels, row, seed) for seed, row, labels in product(seeds, rows, LABELS)]
    tasks += [(ALL, FULL, seed) for seed in seeds]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        list(pool.map(lambda task: train_and_score(arguments, *task), tasks))
    scores = [json.loads(path.read_text()) for path in sorted(arguments.output.glob("scores/*"))]
    table = make_table(scores, arguments.family, settings)
    (arguments.output / "results.md").write_text(table)
    draw_gains(arguments.output / "results.png", scores, arguments.family)
    print(table)


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--scenes", type=int, default=64, help="to learn from (64)")
    parser.add_argument("--scored", type=int, default=20, help="scenes to score on (20)")
    families = ("validation", "final")
    parser.add_argument("--family", choices=families, default="validation", help="of those")
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each kind (1)")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time, a core each")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="of the recipe")
    return parser.parse_intermixed_args()


def settings_of(arguments: argparse.Namespace) -> dict:
    """What all figures depend on."""
    return {
        "world_sha256": world_hash(),
        "recipe_sha256": hashlib.sha256(Path(CONFIG).read_bytes()).hexdigest(),
        "scenes": arguments.scenes,
        "scored": arguments.scored,
        "overrides": arguments.overrides,
    }


def train_and_score(arguments: argparse.Namespace, labels: str, row: str, seed: int) -> None:
    """Trains one network, where that is not done yet, and scores it on the other scenes."""
    output = arguments.output
    name = f"{slug(labels)}_{slug(row)}_seed{seed}"
    path = output / "scores" / f"{name}.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    if arguments.family in known:
        return
    run = output / "runs" / name
    words = [f"data_root={output / 'development'}", f"output={run}", f"seed={seed}"]
    words += ["optimization.workers=0", *arguments.overrides]  # what a row leaves out stays out
    few, root = labels_folder(output, labels, seed), output / "development"
    if row == FULL:
        words += FULL_OVERRIDES
    elif row == PRIOR:
        words += [word.format(root=root, few=few) for word in PRIOR_OVERRIDES]
    else:
        words += [f"sources.0.weak_labels={few}", *ROWS[row]]
    if not (run / "bundle").exists():
        command("train", CONFIG, *words, log=run.with_name(f"{name}.log"))
    scores = run / f"{arguments.family}.json"
    words = ["--bundle", run / "bundle", "--dataset", "semantic_kitti"]
    words += ["--root", output / arguments.family, "--json", scores]
    command("evaluate", *words, log=scores.with_suffix(".log"))
    result = {"labels": labels, "row": row, "seed": seed}
    report.write_json(path, known | result | {arguments.family: json.loads(scores.read_text())})


def labels_folder(output: Path, labels: str, seed: int) -> Path:
    """Where the labelled points of a seed are."""
    return output / "labels" / f"{slug(labels)}_seed{seed}"


def draw_labels(output: Path, labels: str, seed: int) -> None:
    """Draws the labelled points of a seed, once."""
    folder = labels_folder(output, labels, seed)
    if not folder.exists():
        words = ["--dataset", "semantic_kitti", "--root", output / "development"]
        words += [*LABELS[labels], "--seed", seed]
        command("weak-labels", folder, *words, log=folder.with_name(f"{folder.name}.log"))


def slug(name: str) -> str:
    """A name as part of that of a file."""
    words = name.replace("%", "percent").replace("+", "with").split()
    return "_".join(word.lower() for word in words)


def make_table(scores: list[dict], family: str, settings: dict) -> str:
    """Mean and half the range over the seeds of each row and kind of labels; IoU of each class."""
    lines = [f"World: sha256 {settings['world_sha256']}, mIoU, family {family}", ""]
    lines += ["| | " + " | ".join(LABELS) + " |", "|---|" + "---|" * len(LABELS)]
    for row in (*ROWS, PRIOR):
        cells = [spread(values(scores, labels, row, family)) for labels in LABELS]
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    cell = spread(values(scores, ALL, FULL, family))
    lines.append(f"| {FULL} | " + " | ".join([cell] * len(LABELS)) + " |")
    for labels in LABELS:
        lines += ["", f"### IoU, {labels}", "", *class_table(scores, labels, family)]
    return "\n".join(lines) + "\n"


def class_table(scores: list[dict], labels: str, family: str) -> list[str]:
    """Means over the seeds of each class's IoU."""
    found = {row: of(scores, labels, row, family) for row in (*ROWS, PRIOR)}
    found[FULL] = of(scores, ALL, FULL, family)
    found = {row: results for row, results in found.items() if results}
    if not found:
        return []
    classes = next(iter(found.values()))[0]["classes_present"]
    lines = ["| | " + " | ".join(classes) + " |", "|---|" + "---|" * len(classes)]
    for row, results in found.items():
        means = [100 * np.mean([result["iou"][c] or 0.0 for result in results]) for c in classes]
        lines.append(f"| {row} | " + " | ".join(f"{mean:.0f}" for mean in means) + " |")
    return lines


def draw_gains(path: Path, scores: list[dict], family: str) -> None:
    """Draws each row's mean for each kind of labels, each seed as a dot."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    axes = figure.subplots()
    rows = (*ROWS, PRIOR)
    width = 0.8 / len(rows)
    for number, row in enumerate(rows):
        places = np.arange(len(LABELS)) + (number - (len(rows) - 1) / 2) * width
        found = [values(scores, labels, row, family) for labels in LABELS]
        means = [np.mean(each) if each else 0.0 for each in found]
        axes.bar(places, means, 0.9 * width, label=row, color=f"C{number}", alpha=0.75)
        for place, each in zip(places, found, strict=True):
            axes.plot([place] * len(each), each, "k.", markersize=3)
    full = values(scores, ALL, FULL, family)
    if full:
        axes.axhline(np.mean(full), color="gray", linestyle="--", linewidth=1, label=FULL)
    axes.set_xticks(np.arange(len(LABELS)), list(LABELS))
    axes.set_ylabel("mIoU")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


def of(scores: list[dict], labels: str, row: str, family: str) -> list[dict]:
    """The results of a row's seeds."""
    return [s[family] for s in scores if (s["labels"], s["row"]) == (labels, row) and family in s]


def values(scores: list[dict], labels: str, row: str, family: str) -> list[float]:
    """The mIoU in per cent, over the classes with enough points, of a row's seeds."""
    return [100 * result["miou_present"] for result in of(scores, labels, row, family)]


def spread(values: list[float]) -> str:
    """Mean and half the range."""
    if not values:
        return ""
    half = f" ± {(max(values) - min(values)) / 2:.1f}" if len(values) > 1 else ""
    return f"{np.mean(values):.1f}{half}"


if __name__ == "__main__":
    main()
