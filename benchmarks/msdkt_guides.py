"""Compares what the parts of MSDKT runs know of the points that images show.

On scenes that were not learned from: the 2D teacher's label of a point's pixel, the guides' at each
scale, which see the teacher's maps and learned from a few labelled points, and the 3D network's,
which learned from both; mIoU over the classes with enough points:

  python benchmarks/msdkt_guides.py out/msdkt/validation out/msdkt/runs/*_with_multi-scale_seed0
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from wsss_perception.ontology import load_mapping, load_ontology
from wsss_training.config import load_config
from wsss_training.data.transfer_draws import TransferBatch, TransferCollator, TransferDraw
from wsss_training.data.transfer_sweeps import INDEX
from wsss_training.methods.msdkt import MSDKT
from wsss_training.metrics import ConfusionMatrix, semantic_kitti_scores
from wsss_training.networks.deformable_transfer import pyramid, sample_maps
from wsss_training.networks.levels import rows_at
from wsss_training.run_folder import CONFIG_FILE
from wsss_training.training import last_checkpoint
from wsss_training.training_msdkt import build_module, open_transfer_sweeps
from wsss_training.workload import model_spec, open_workload

Labels = Iterator[tuple[str, torch.Tensor]]


def main() -> None:
    """Labels and prints the scores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path, help="labelled scenes of the driving world")
    parser.add_argument("runs", type=Path, nargs="+")
    arguments = parser.parse_args()
    for run in arguments.runs:
        for name, matrix in compare(run, arguments.root).items():
            scores = semantic_kitti_scores(matrix)
            miou = scores.mean_over(scores.points >= 100)
            print(f"{run.name}, {name}: {100 * miou:.1f} mIoU, {100 * scores.accuracy:.1f} %")


def compare(run: Path, root: Path) -> dict[str, ConfusionMatrix]:
    """Labels the points that cameras see by each part of a run."""
    changes = ["sources.0.weak_labels=null", "augment.sector_margin=null", "msdkt.views=1000"]
    words = [f"data_root={root}", f"sources.0.root={root}", *changes]
    words += [f"teacher.root={root / 'teacher'}", f"teacher.images_root={root}"]
    config = load_config(run / CONFIG_FILE, words)
    workload, spec = open_workload(config), model_spec(config)
    sweeps = open_transfer_sweeps(config, workload)
    module = build_module(config, workload, sweeps, workload.groups).eval()
    saved = torch.load(last_checkpoint(run), map_location="cpu", weights_only=True)
    module.load_state_dict(saved["state_dict"])
    source, target = load_ontology(config.teacher.ontology), load_ontology(config.ontology)  # type: ignore[union-attr]
    mapping = torch.from_numpy(load_mapping(config.teacher.mapping, source, target))  # type: ignore[union-attr]
    matrices: dict[str, ConfusionMatrix] = defaultdict(lambda: ConfusionMatrix(len(target)))
    collate, rng = TransferCollator(spec), np.random.default_rng(0)
    for index in range(len(sweeps)):
        scene = sweeps.read(index, rng)
        pairs = scene.pairs.select_points(scene.points.attributes[INDEX], scene.size)
        batch = collate([TransferDraw(scene.points, pairs, scene.maps, scene.tags)])
        truth = batch.labels[batch.pair_point].numpy().astype(np.uint8)
        for name, labels in label_pairs(module, batch, mapping):
            matrices[name].update(truth, labels.numpy().astype(np.uint8))
    return matrices


@torch.inference_mode()
def label_pairs(module: MSDKT, batch: TransferBatch, mapping: torch.Tensor) -> Labels:
    """Yields labels of all pairs of a point and a view by each part."""
    given, _ = sample_maps(batch.maps, batch.pair_view, batch.pair_uv[:, None])
    yield "2D teacher", mapping[given[:, 0].argmax(dim=1)]
    levels = module.network.levels(batch.coords, batch.features)
    for scale, guide in enumerate(module.guides):
        rows = batch.of_point
        if scale > 0:
            parent = rows_at(levels[scale].indices, batch.coords, scale)
            rows = torch.where(rows >= 0, parent[rows], -1)
        hidden = levels[scale].features[rows[batch.pair_point]]
        maps = pyramid(batch.maps, scale)
        yield f"guide {scale}", guide(hidden, maps, batch.pair_view, batch.pair_uv).argmax(dim=1)
    logits = module.network.head(levels[0].features)[batch.of_point[batch.pair_point]]
    yield "3D network", logits.argmax(dim=1)


if __name__ == "__main__":
    main()
