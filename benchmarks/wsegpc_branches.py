"""Compares the two branches of a WSegPC run on the points that its images show.

Labels rooms that were learned from by the averaged image network and by the averaged 3D network,
both without regions, with the rooms' tags and with centered logits:

  python benchmarks/wsegpc_branches.py out/rooms_ablation/runs/with_cmg_seed0
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from wsss_perception.ontology import load_ontology
from wsss_training.checkpoints import read_part
from wsss_training.config import TrainConfig
from wsss_training.config_wsegpc import PoolConfig
from wsss_training.data import Sample, open_dataset
from wsss_training.data.scene_views import read_views
from wsss_training.labelling import open_labeller
from wsss_training.losses.groups import group_means
from wsss_training.losses.tag_mask import center, tag_probabilities
from wsss_training.metrics import ConfusionMatrix, scannet_scores
from wsss_training.networks.cross_modal import CrossModalNetwork
from wsss_training.networks.image_resnet import STRIDE
from wsss_training.stages import build_branches, newest_checkpoint, open_run

VIEWS = 8


def main() -> None:
    """Labels and prints the scores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--rooms", type=int, default=40, help="evenly chosen (40)")
    arguments = parser.parse_args()
    config = open_run(arguments.run)
    config.wsegpc.center = True
    checkpoint, _ = newest_checkpoint(config)
    branches = open_branches(config, checkpoint)
    labeller = open_labeller(config, checkpoint, PoolConfig(regions=0.0))
    source, classes = config.sources[0], len(load_ontology(config.ontology))
    dataset = open_dataset("scannet", source.root, tags=source.tags, views=VIEWS)
    matrices = {name: ConfusionMatrix(classes) for name in ("image branch", "3D branch")}
    for index in range(0, len(dataset), -(-len(dataset) // arguments.rooms)):
        sample = dataset[index]
        assert sample.labels is not None
        seen, labels = label_by_images(branches, config, sample)
        matrices["image branch"].update(sample.labels[seen], labels)
        in_no_region = np.full(len(sample.cloud), -1, dtype=np.int32)
        labels = labeller(sample, in_no_region, None)[seen]
        matrices["3D branch"].update(sample.labels[seen], labels)
    for name, matrix in matrices.items():
        print(f"{name}, points in {VIEWS} views: {100 * scannet_scores(matrix).miou:.1f} mIoU")


def open_branches(config: TrainConfig, checkpoint: Path) -> CrossModalNetwork:
    """Loads both averaged branches."""
    network = build_branches(config).eval()
    network.load_state_dict(read_part(checkpoint, "teacher.network"))
    return network


@torch.inference_mode()
def label_by_images(
    network: CrossModalNetwork, config: TrainConfig, sample: Sample
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Indices of the points that views show, and the image branch's labels: mean over the views."""
    height, width = config.wsegpc.image_size
    views = read_views(sample.cloud.xyz, sample.images, (height, width), None)
    images = torch.from_numpy(views.images).movedim(3, 1)
    maps = network.forward_images(images)[1].movedim(1, 3)
    column, row = (torch.from_numpy(views.pair_uv) / STRIDE).long().unbind(1)
    of_pair = maps[torch.from_numpy(views.pair_view), row, column]
    seen, rows = np.unique(views.pair_point, return_inverse=True)
    logits = group_means(of_pair, torch.from_numpy(rows), len(seen))
    scene = torch.zeros(len(seen), dtype=torch.int64)
    tags = torch.from_numpy(sample.tags)[None]
    centered = center(logits, scene, 1)
    labels = tag_probabilities(centered, tags, scene, torch.tensor([True])).argmax(dim=1)
    return seen, labels.numpy().astype(np.uint8)


if __name__ == "__main__":
    main()
