"""Measures 3DSS-VLG on a synthetic world with its imitated vision-language teacher.

Writes scenes to train on (`development`) and to score on (`validation`, or `final`), what the
imitated teacher says of their images, and tags; trains with and without tags, with the paper's own
loss of ESG, and the same network for as long on the ground truth, several seeds each; and scores,
step by step, on the training scenes the pseudo-labels, and on the others what needs images there
(fused embeddings, and adapted ones) and what does not (the 3D network), on points that images show
and on those that none shows, beside the labels of the nearest point that one shows. Writes
OUT/results_<family>.md.

  python benchmarks/vlg.py out/vlg_rooms --world rooms --jobs 2
  python benchmarks/vlg.py out/vlg_world --world driving --jobs 2

What is done already is kept, so that an interrupted run goes on.
"""

import argparse
import json
import re
import shutil
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from runs import claim, command
from scipy.spatial import cKDTree

from wsss_perception.bundle import read_bundle
from wsss_perception.engines import load_engine
from wsss_perception.frame import UNKNOWN, Frame
from wsss_perception.ontology import load_ontology
from wsss_perception.segmenter import Segmenter
from wsss_perception.texts import write_texts
from wsss_training import report
from wsss_training.config import TrainConfig, load_config
from wsss_training.config_vlg import EmbeddingsConfig
from wsss_training.data import Sample, open_dataset
from wsss_training.data.weak_labels import read_chosen
from wsss_training.fusing import VisionLanguage, open_vision_language
from wsss_training.labelling_vlg import label_embeddings
from wsss_training.metrics import ConfusionMatrix, scores_for
from wsss_training.run_folder import CONFIG_FILE
from wsss_training.stages import PSEUDO_LABELS
from wsss_training.stages_vlg import build_text_logits, read_adapter
from wsss_training.teachers.fused_embeddings import fuse_embeddings
from wsss_training.teachers.imitated_clip import imitated_texts, load_imitation
from wsss_training.teachers.imitated_views import (
    driving_views,
    labelled_views,
    write_imitated_maps,
)

TRAINED, SCORED = "development", ("validation", "final")
PAPERS_LOSS = (
    "vlg.center=false",
    "optimization.class_balance=0",
    "optimization.lovasz_weight=0",
)
VARIANTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "tags": ("tags", ()),
    "no tags": ("texts", ()),
    "tags, the paper's ESG": ("tags", PAPERS_LOSS),
    "full supervision": ("labels", ("method=projected_prior",)),
}
"""Supervision of each, and what is changed in the recipe."""
ROWS = {
    "pseudo": "pseudo-labels, training scenes",
    "fused": "fused embeddings, seen points",
    "adapted": "adapted embeddings (ESS), seen points",
    "network_seen": "3D network (ESG), seen points",
    "network_unseen": "3D network (ESG), unseen points",
    "nearest_unseen": "nearest adapted embedding, unseen points",
    "network": "3D network (ESG), all points",
}


@dataclass(frozen=True)
class World:
    """A synthetic world: its commands, its dataset, and how many scenes are written.

    Attributes:
        command: that writes scenes, with its options.
        dataset: reader of the scenes.
        config: of the training.
        ontology: of the labels.
        background: what cells show that show no class.
        scenes: to train on.
        scored: scenes to score on.
    """

    command: tuple[str, ...]
    dataset: str
    config: str
    ontology: str
    background: str
    scenes: int
    scored: int


WORLDS = {
    "rooms": World(
        ("make-rooms", "--frames", "24", "--size", "160", "120"),
        "scannet",
        "config/train/vlg_rooms.yaml",
        "scannet",
        "clutter",
        scenes=160,
        scored=40,
    ),
    "driving": World(
        ("make-world", "--sweeps", "3", "--interval", "1.5"),
        "semantic_kitti",
        "config/train/vlg_world.yaml",
        "semantic_kitti",
        "sky",
        scenes=64,
        scored=20,
    ),
}


def main() -> None:
    """Runs what is missing and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--world", choices=WORLDS, required=True)
    parser.add_argument("--family", choices=SCORED, default=SCORED[0], help="to score on")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--scenes", type=int, help="of each family")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time, a core each")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    arguments = parser.parse_intermixed_args()
    world, output = WORLDS[arguments.world], arguments.output
    settings = {name: getattr(arguments, name) for name in ("world", "scenes", "overrides")}
    claim(output, settings)
    for family, scenes in ((TRAINED, world.scenes), (arguments.family, world.scored)):
        prepare(world, output / family, family, arguments.scenes or scenes, arguments.jobs)
    tasks = [(name, seed) for seed in range(arguments.seeds) for name in VARIANTS]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        list(pool.map(lambda t: train_and_score(world, output, t[0], t[1], arguments), tasks))
    table = make_table(output, arguments.family, arguments.seeds)
    (output / f"results_{arguments.family}.md").write_text(table)
    print(table)


def prepare(world: World, root: Path, family: str, scenes: int, jobs: int) -> None:
    """Writes scenes, their tags, and the imitated teacher's maps and texts."""
    name, *options = world.command
    words = [root, "--family", family, "--scenes", scenes, *options, "--jobs", jobs]
    command(name, *words, log=root.with_suffix(".log"))
    if not tags_of(root).exists():
        words = [tags_of(root), "--dataset", world.dataset, "--root", root]
        command("derive-tags", *words, log=root.with_suffix(".tags.log"))
    ontology, settings = load_ontology(world.ontology), load_imitation()
    names = (*ontology.classes, world.background)
    if not (root / "embeddings").exists():
        dataset = open_dataset(world.dataset, root)
        views = (
            driving_views(dataset, root / "teacher", root, world.ontology)
            if world.dataset == "semantic_kitti"
            else labelled_views(dataset, len(ontology), settings.patch)
        )
        part = root / ".embeddings.part"
        shutil.rmtree(part, ignore_errors=True)  # of a killed run
        write_imitated_maps(part, root, views, names, settings)
        part.rename(root / "embeddings")
    write_texts(
        root / "texts.safetensors", imitated_texts(ontology.classes, [world.background], settings)
    )


def tags_of(root: Path) -> Path:
    """Where the tags of a family go."""
    return root.with_suffix(".tags.yaml")


def run_folder(output: Path, name: str, seed: int) -> Path:
    """Where a run goes."""
    return output / re.sub(r"\W+", "_", f"{name} seed{seed}")


def train_and_score(
    world: World, output: Path, name: str, seed: int, arguments: argparse.Namespace
) -> None:
    """Trains one variant and scores its steps."""
    run, root = run_folder(output, name, seed), (output / TRAINED).absolute()
    supervision, changes = VARIANTS[name]
    tags = tags_of(root) if supervision == "tags" else "null"
    embeddings = f"{{root: {root / 'embeddings'}, images_root: {root}}}"
    words = [f"output={run}", f"seed={seed}", f"data_root={root}", f"sources.0.root={root}"]
    words += [f"sources.0.supervision={supervision}", f"sources.0.tags={tags}"]
    words += [f"vlg.texts={root / 'texts.safetensors'}", f"vlg.embeddings={embeddings}"]
    if not (run / "bundle").exists():
        log = run.with_suffix(".log")
        command("train", world.config, *words, *changes, *arguments.overrides, log=log)
    scores = run / f"{arguments.family}.json"
    if not scores.exists():
        result = {} if supervision == "labels" else score_pseudo_labels(world, run, root)
        report.write_json(scores, result | score_steps(world, run, output / arguments.family))


def score_pseudo_labels(world: World, run: Path, root: Path) -> dict[str, Any]:
    """Scores the pseudo-labels on the points that have one."""
    ontology = load_ontology(world.ontology)
    dataset = open_dataset(world.dataset, root, images=False)
    matrix = ConfusionMatrix(len(ontology))
    for sample in (dataset[index] for index in range(len(dataset))):
        path = run / PSEUDO_LABELS / "0" / f"{sample.sample_id}.npz"
        chosen = read_chosen(path, sample.sample_id, len(ontology))
        matrix.update(sample.labels[chosen.indices], chosen.labels)  # type: ignore[index]
    return {"pseudo": report.to_dict(ontology, scores_for(ontology.name)(matrix))}


def score_steps(world: World, run: Path, root: Path) -> dict[str, Any]:
    """Scores, on scenes that were not trained on, what each step says without tags."""
    config = replace(load_config(run / CONFIG_FILE), output=str(run))
    config.vlg.embeddings = EmbeddingsConfig(str(root / "embeddings"), str(root))
    language, ontology = open_vision_language(config), load_ontology(world.ontology)
    labeller = StepLabeller(config, language, run)
    dataset = open_dataset(world.dataset, root)
    matrices: dict[str, ConfusionMatrix] = defaultdict(lambda: ConfusionMatrix(len(ontology)))
    for sample in (dataset[index] for index in range(len(dataset))):
        for name, (points, labels) in labeller(sample).items():
            matrices[name].update(sample.labels[points], labels)  # type: ignore[index]
    scores = scores_for(ontology.name)
    return {name: report.to_dict(ontology, scores(m)) for name, m in matrices.items()}


class StepLabeller:
    """Labels a sample by each step that a run has, without tags.

    Args:
        config: of the run.
        language: the teacher, with maps of the sample's images.
        run: its folder.
    """

    def __init__(self, config: TrainConfig, language: VisionLanguage, run: Path) -> None:
        self._maps, self._adapter = language.maps[0], None
        self._texts = build_text_logits(config, language)
        if config.method == "vlg":
            self._adapter = read_adapter(config, language.size)
        bundle = read_bundle(run / "bundle")
        self._segmenter = Segmenter(bundle.spec, load_engine("spconv", bundle, "cpu"))

    def __call__(self, sample: Sample) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Returns points and their labels by the names of ROWS."""
        fused = fuse_embeddings(sample, self._maps)
        seen = np.any(fused != 0, axis=1)
        network = self._segmenter(Frame(sample.cloud, ())).labels
        unseen = ~seen & (network != UNKNOWN)  # the others are out of range
        rows = {"network": np.ones_like(seen), "network_seen": seen, "network_unseen": unseen}
        named = {name: (np.flatnonzero(rows[name]), network[rows[name]]) for name in rows}
        if self._adapter is not None:
            named |= self._label_embeddings(sample, fused, seen, unseen)
        return named

    def _label_embeddings(
        self, sample: Sample, fused: np.ndarray, seen: np.ndarray, unseen: np.ndarray
    ) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Labels points by embeddings of images [N, D]: those seen, and the others by nearest."""
        with torch.inference_mode():
            adapted = self._adapter(torch.from_numpy(fused[seen])).numpy()  # type: ignore[misc]
        points, labels = np.flatnonzero(seen), self._label(adapted)
        named = {"fused": (points, self._label(fused[seen])), "adapted": (points, labels)}
        if seen.any():
            nearest = cKDTree(sample.cloud.xyz[seen]).query(sample.cloud.xyz[unseen])[1]
            named["nearest_unseen"] = np.flatnonzero(unseen), labels[nearest]
        return named

    def _label(self, embeddings: np.ndarray) -> np.ndarray:
        return label_embeddings(embeddings, self._texts, None, None, 0.0)


def make_table(output: Path, family: str, seeds: int) -> str:
    """Writes mean IoU over classes with enough points, and accuracy: mean and spread of seeds."""
    titles = [f"{kind}, {name}" for name in VARIANTS for kind in ("mIoU", "accuracy")]
    lines = ["| | points | " + " | ".join(titles) + " |", "|---|" + "---|" * (1 + len(titles))]
    results = {
        name: [
            json.loads((run_folder(output, name, seed) / f"{family}.json").read_text())
            for seed in range(seeds)
        ]
        for name in VARIANTS
    }
    for row, title in ROWS.items():
        first = next(iter(results.values()))[0][row]
        cells = [f"{sum(first['points'].values()):,d}"]
        for name in VARIANTS:
            scores = [result[row] for result in results[name] if row in result]
            cells += [with_spread([s[key] for s in scores]) for key in ("miou_present", "accuracy")]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def with_spread(shares: list[float]) -> str:
    """Writes the mean and half the range in percent; nothing of no shares."""
    half = (max(shares) - min(shares)) / 2 if shares else 0.0
    return f"{100 * np.mean(shares):.1f} ± {100 * half:.1f}" if shares else ""


if __name__ == "__main__":
    main()
