"""Scores WSegPC on synthetic rooms with scene tags alone: what each of its parts brings.

Draws rooms to learn from and others to score on; trains config/train/rooms.yaml with and without
each part, several seeds each; scores the pseudo-labels on the rooms they are of, whose tags they
know, and the segmenters that learned from them on the other rooms. Writes OUT/results.md and
OUT/results.png:

  python benchmarks/wsegpc_ablation.py out/rooms_ablation --seeds 3 --jobs 2
  python benchmarks/wsegpc_ablation.py out/rooms_ablation --seeds 3 --jobs 2 --studies

Each row and seed ends as OUT/scores/<row>_seed<n>.json, so that an interrupted run goes on where
it was; those of other machines may be copied there. Stages that rows have in common are trained
once. `key=value` changes the recipe of all rows, for which OUT must be new.
"""

import argparse
import hashlib
import json
import re
import shutil
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rooms_report import draw_rows, make_tables
from runs import claim, command

from wsss_perception.frame import UNKNOWN
from wsss_perception.ontology import load_ontology
from wsss_training import report
from wsss_training.config import config_to_yaml, load_config
from wsss_training.config_wsegpc import PoolConfig
from wsss_training.data import Sample, open_dataset
from wsss_training.data.weak_labels import read_chosen
from wsss_training.files import write_whole
from wsss_training.labelling import open_labeller
from wsss_training.metrics import ConfusionMatrix, scannet_scores
from wsss_training.rooms.settings import rooms_hash
from wsss_training.run_folder import CONFIG_FILE
from wsss_training.stages import PSEUDO_LABELS, newest_checkpoint, open_run, open_scenes
from wsss_training.workload import open_workload

CONFIG = "config/train/rooms.yaml"
FRAMES, SIZE = 24, (160, 120)
POINTS_ALONE = ("wsegpc.image_network=null", "wsegpc.guidance=none")
PAPER = ("wsegpc.center=false",)
NO_VOTES = ("wsegpc.consistency=none",)
MIX = ("wsegpc.mix=true", *(f"wsegpc.{s}_stage.batch_size=2" for s in ("guidance", "consistency")))
LONGER = ("wsegpc.guidance_stage.steps=1800", "wsegpc.consistency_stage.steps=900")
ONE_STEP = ("optimization.steps=1",)  # no segmenter: labels count


@dataclass(frozen=True)
class Row:
    """A way to train.

    Attributes:
        overrides: what differs from the recipe.
        start: row whose first stages are the same.
        stages: which those are.
    """

    overrides: tuple[str, ...]
    start: str | None = None
    stages: tuple[str, ...] = ("guidance",)


TAGS, CMG, FULL = "tags only", "+ CMG", "+ CMG + RPC + 2D RPC"
BEST = "+ RPC, centered"
SUPERVISED = "fully supervised"
ROWS = {
    TAGS: Row((*POINTS_ALONE, *PAPER, *NO_VOTES)),
    CMG: Row((*PAPER, *NO_VOTES)),
    "+ RPC": Row((*POINTS_ALONE, *PAPER), TAGS),
    "+ CMG + RPC": Row((*PAPER, "wsegpc.consistent_images=false"), CMG),
    FULL: Row(PAPER, CMG),
    f"{FULL} + Mix3D": Row((*PAPER, *MIX)),
    "tags only, centered": Row((*POINTS_ALONE, *NO_VOTES), TAGS, ("guidance", "consistency")),
    BEST: Row(POINTS_ALONE, TAGS),
    f"{FULL}, centered": Row((), CMG),
    SUPERVISED: Row(
        ("method=projected_prior", "sources.0.supervision=labels", "sources.0.tags=null")
    ),
}
STUDIES = {  # of BEST, one setting changed, and of CMG
    **{
        f"{kind} threshold {tau}": Row(
            (*POINTS_ALONE, f"wsegpc.threshold={kind}", f"wsegpc.tau={tau}", *ONE_STEP), TAGS
        )
        for kind in ("adaptive", "fixed")
        for tau in (0.0, 0.5, 0.8, 0.9)
        if (kind, tau) not in (("adaptive", 0.8), ("adaptive", 0.0))  # the recipe; as fixed 0
    },
    "votes of points": Row((*POINTS_ALONE, "wsegpc.consistency=point", *ONE_STEP), TAGS),
    "votes of supervoxels": Row((*POINTS_ALONE, "wsegpc.regions=supervoxels", *ONE_STEP), TAGS),
    **{
        f"{CMG}, {n} a scene": Row((*PAPER, *NO_VOTES, f"wsegpc.views={n[0]}", *ONE_STEP))
        for n in ("1 view", "4 views")
    },
    f"{BEST}, three times the steps": Row((*POINTS_ALONE, *LONGER)),
}


def main() -> None:
    """Runs what is missing and writes the tables."""
    arguments = parse_arguments()
    settings = settings_of(arguments)
    claim(arguments.output, settings)
    for family, scenes in (("development", arguments.scenes), (arguments.family, arguments.scored)):
        draw(arguments.output / family, family, scenes, arguments.jobs)
    tags = arguments.output / "tags.yaml"
    if not tags.exists():
        words = ["--dataset", "scannet", "--root", arguments.output / "development"]
        command("derive-tags", tags, *words, log=tags.with_suffix(".log"))
    rows = {**ROWS, **STUDIES} if arguments.studies else ROWS
    with ThreadPoolExecutor(arguments.jobs) as pool:
        list(pool.map(lambda seed: run_seed(arguments, rows, seed), range(arguments.seeds)))
    scores = [json.loads(path.read_text()) for path in sorted(arguments.output.glob("scores/*"))]
    text = make_tables(list(rows), scores, settings, arguments.family)
    (arguments.output / "results.md").write_text(text)
    draw_rows(arguments.output / "results.png", list(ROWS), scores, arguments.family)
    print(text)


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--scenes", type=int, default=160, help="to learn from (160)")
    parser.add_argument("--scored", type=int, default=40, help="scenes to score on (40)")
    families = ("validation", "final")
    parser.add_argument("--family", choices=families, default="validation", help="of those")
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each row (1)")
    parser.add_argument("--jobs", type=int, default=1, help="seeds at a time, a core each")
    parser.add_argument("--studies", action="store_true", help="thresholds, regions, views too")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="of the recipe")
    return parser.parse_intermixed_args()


def settings_of(arguments: argparse.Namespace) -> dict:
    """What all figures depend on."""
    return {
        "rooms_sha256": rooms_hash(),
        "recipe_sha256": hashlib.sha256(Path(CONFIG).read_bytes()).hexdigest(),
        "scenes": arguments.scenes,
        "scored": arguments.scored,
        "overrides": arguments.overrides,
    }


def draw(root: Path, family: str, scenes: int, jobs: int) -> None:
    """Draws what is missing of a family's scenes."""
    words = [root, "--family", family, "--scenes", scenes, "--frames", FRAMES, "--size", *SIZE]
    command("make-rooms", *words, "--jobs", jobs, log=root.with_suffix(".log"))


def run_seed(arguments: argparse.Namespace, rows: dict[str, Row], seed: int) -> None:
    """Trains and scores all rows with one seed; those that start from others come later."""
    for name, row in rows.items():
        path = arguments.output / "scores" / f"{slug(name)}_seed{seed}.json"
        known = json.loads(path.read_text()) if path.exists() else {"row": name, "seed": seed}
        if arguments.family not in known or "pseudo_labels" not in known:
            report.write_json(path, train_and_score(arguments, row, seed, known))


def slug(name: str) -> str:
    """A row's name as that of a file."""
    return re.sub(r"[^a-z0-9.]+", "_", name.lower().replace("+", "with")).strip("_")


def train_and_score(arguments: argparse.Namespace, row: Row, seed: int, known: dict) -> dict:
    """Trains a row, where that is not done yet, and scores what came of it.

    Args:
        arguments: of the command line.
        row: the row.
        seed: of the training.
        known: the row's scores of before.

    Returns:
        Those, with scores of pseudo-labels, of the same with centered logits, and of the segmenter,
        all as ``report.to_dict``, None where the row has none; minutes of training.
    """
    known = dict(known)
    run = arguments.output / "runs" / f"{slug(known['row'])}_seed{seed}"
    if not (run / "bundle").exists():
        words = recipe(arguments, row, run, seed)
        if row.start is not None:
            take_stages(
                run, arguments.output / "runs" / f"{slug(row.start)}_seed{seed}", row, words
            )
        start = time.monotonic()
        command("train", CONFIG, *words, log=run.with_name(f"{run.name}.log"))
        known["minutes"] = round((time.monotonic() - start) / 60, 2)
    if "pseudo_labels" not in known:
        has_any = (run / PSEUDO_LABELS).exists()
        root, folder = arguments.output / "development", run / PSEUDO_LABELS / "0"
        known["pseudo_labels"] = score_pseudo_labels(folder, root) if has_any else None
        known["centered"] = score_centered(run) if has_any else None
    known[arguments.family] = None
    if not set(ONE_STEP) <= set(row.overrides):
        scores = run / f"{arguments.family}.json"
        words = ["--bundle", run / "bundle", "--dataset", "scannet"]
        words += ["--root", arguments.output / arguments.family, "--json", scores]
        command("evaluate", *words, log=scores.with_suffix(".log"))
        known[arguments.family] = json.loads(scores.read_text())
    return known


def recipe(arguments: argparse.Namespace, row: Row, run: Path, seed: int) -> list[str]:
    """The overrides of one training."""
    output = arguments.output
    words = [f"data_root={output}", f"output={run}", f"seed={seed}", f"cache={output / 'cache'}"]
    words += [f"sources.0.root={output / 'development'}", f"sources.0.tags={output / 'tags.yaml'}"]
    return [*words, "optimization.workers=0", *arguments.overrides, *row.overrides]


def take_stages(run: Path, other: Path, row: Row, words: list[str]) -> None:
    """Puts the stages that a row has in common with another in its folder, where it has none."""
    for stage in row.stages:
        if not (run / stage).exists() and (other / stage).exists():  # else they are trained here
            scratch = run / f".{stage}"
            shutil.rmtree(scratch, ignore_errors=True)
            shutil.copytree(other / stage, scratch)
            scratch.rename(run / stage)
    text = config_to_yaml(load_config(CONFIG, words))
    write_whole(run / CONFIG_FILE, text.encode("utf-8"))


def score_pseudo_labels(folder: Path, root: Path) -> dict:
    """Scores the pseudo-labels in a folder on the rooms they are of."""
    classes = len(load_ontology("scannet"))

    def read(sample: Sample) -> np.ndarray:
        chosen = read_chosen(folder / f"{sample.sample_id}.npz", sample.sample_id, classes)
        labels = np.full(chosen.points, UNKNOWN, dtype=np.uint8)
        labels[chosen.indices] = chosen.labels
        return labels

    dataset = open_dataset("scannet", root, cameras=[])
    return score((dataset[index] for index in range(len(dataset))), read)


def score_centered(run: Path) -> dict:
    """Scores what a run's averaged network gives with centered logits and region votes."""
    config = open_run(run)
    config.wsegpc.center = True
    labeller = open_labeller(config, newest_checkpoint(config)[0], PoolConfig())
    scenes = open_scenes(config, open_workload(config).sweeps.sources)
    inputs = {scenes.sample_id(index): index for index in range(len(scenes))}

    def label(sample: Sample) -> np.ndarray:
        tagged = scenes.sample(inputs[sample.sample_id])
        return labeller(tagged, scenes.region_of(tagged), None)

    dataset = open_dataset("scannet", config.sources[0].root, cameras=[])
    return score((dataset[index] for index in range(len(dataset))), label)


def score(samples: Iterable[Sample], labels_of: Callable[[Sample], np.ndarray]) -> dict:
    """Scores labels as ScanNet's evaluator does."""
    ontology = load_ontology("scannet")
    matrix = ConfusionMatrix(len(ontology))
    for sample in samples:
        assert sample.labels is not None
        matrix.update(sample.labels, labels_of(sample))
    return report.to_dict(ontology, scannet_scores(matrix))


if __name__ == "__main__":
    main()
