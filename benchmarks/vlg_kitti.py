"""Trains 3DSS-VLG on real KITTI logs with a stand-in for a vision-language model.

The stand-in's embedding of a pixel is the mean of random vectors of the classes, weighted by the
probabilities of a 2D segmenter that knows these classes. So it has real errors of a real network,
and no open vocabulary: what is measured is how well a 3D network learns labels through embeddings.

Trains config/train/kitti.yaml's logs by `method: vlg` and by `method: projected_prior` with the
same steps, and scores the 3D networks alone on the labelled sequences, which none learned from:

  python benchmarks/vlg_kitti.py out/vlg_kitti --data ../shared/data --jobs 2

What is done already is kept, so that an interrupted run goes on.
"""

import argparse
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from kitti_projected_prior import SEQUENCES
from runs import claim, command, format_row, header, rule

from wsss_perception.ontology import load_ontology
from wsss_perception.texts import TextEmbeddings, write_texts
from wsss_training.config import load_config
from wsss_training.data import open_dataset
from wsss_training.teachers.embedding_info import EmbeddingInfo
from wsss_training.teachers.embedding_maps import EmbeddingWriter, claim_folder
from wsss_training.teachers.image_paths import path_below
from wsss_training.teachers.imitated_clip import imitated_texts, load_imitation
from wsss_training.teachers.imitated_views import driving_views

CONFIG = "config/train/kitti.yaml"
METHODS = ("vlg", "projected_prior")
BACKGROUND = "sky"
STAND_IN = "class probabilities times class embeddings"


def main() -> None:
    """Runs what is missing and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time, a core each")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="of both methods")
    arguments = parser.parse_intermixed_args()
    claim(arguments.output, {"overrides": arguments.overrides})
    if not (arguments.output / "embeddings").exists():
        write_stand_in(arguments.output, arguments.data)
    tasks = [(method, seed) for seed in range(arguments.seeds) for method in METHODS]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        list(pool.map(lambda task: train_and_score(*task, arguments), tasks))
    table = make_table(arguments)
    (arguments.output / "results.md").write_text(table)
    print(table)


def write_stand_in(output: Path, data: Path) -> None:
    """Writes texts of the classes, and maps of the images of all logs to learn from."""
    config, settings = load_config(CONFIG, [f"data_root={data}"]), load_imitation()
    classes = load_ontology(config.ontology).classes
    texts = replace(imitated_texts(classes, [BACKGROUND], settings), teacher=STAND_IN)
    write_texts(output / "texts.safetensors", texts)
    vectors = first_vectors(texts)
    part = output / ".embeddings.part"
    shutil.rmtree(part, ignore_errors=True)  # of a killed run
    info = EmbeddingInfo({"model": STAND_IN}, settings.size, settings.size, settings.logit_scale)
    claim_folder(part, info, None)
    writer = EmbeddingWriter(part)
    for source in config.sources:
        dataset = open_dataset(source.dataset, source.root, labels=False, **source.options)
        views = driving_views(dataset, Path(config.teacher.root), data, config.ontology)  # type: ignore[union-attr]
        for _, _, image, (shares, _) in views:
            mean = np.moveaxis(shares, 0, 2) @ vectors
            length = np.linalg.norm(mean, axis=2, keepdims=True)
            writer.write(path_below(image.path, data), mean / np.maximum(length, 1e-12))
    part.rename(output / "embeddings")


def first_vectors(texts: TextEmbeddings) -> np.ndarray:
    """The first vector of each class and of the background [C + 1, D], less its synonyms'."""
    rows = [texts.names.index(name) for name in dict.fromkeys(texts.names)]
    return texts.vectors[rows]


def train_and_score(method: str, seed: int, arguments: argparse.Namespace) -> None:
    """Trains one network and evaluates it on both sequences."""
    output, data = arguments.output, arguments.data
    run = output / f"{method}_seed{seed}"
    words = [f"data_root={data}", f"seed={seed}", f"output={run}", *arguments.overrides]
    if method == "vlg":
        words += ["method=vlg", "teacher=null", "vlg.center=true"]
        words += [f"sources.{number}.supervision=texts" for number in range(3)]
        words += [f"vlg.texts={output / 'texts.safetensors'}"]
        words += [f"vlg.embeddings={{root: {output / 'embeddings'}, images_root: {data}}}"]
    if not (run / "bundle").exists():
        command("train", CONFIG, *words, log=run.with_suffix(".log"))
    for sequence in SEQUENCES:
        scores = run / f"seq{sequence}.json"
        if not scores.exists():
            words = ["--bundle", run / "bundle", "--dataset", "semantic_kitti"]
            words += ["--root", data / "semantic_kitti", "--option", f"sequences={sequence}"]
            command("evaluate", *words, "--json", scores, log=run / f"seq{sequence}.log")


def make_table(arguments: argparse.Namespace) -> str:
    """Writes mean and spread over the seeds, and the IoU of each class with enough points."""
    lines = []
    for sequence in SEQUENCES:
        found = {
            method: [
                json.loads((arguments.output / f"{method}_seed{n}/seq{sequence}.json").read_text())
                for n in range(arguments.seeds)
            ]
            for method in METHODS
        }
        classes = found[METHODS[0]][0]["classes_present"]
        lines += [f"\n### Sequence {sequence}", "", header(classes), rule(classes)]
        lines += [format_row(name, results, classes) for name, results in found.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
