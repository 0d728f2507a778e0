"""Bundles of random networks, and voxels to run them on."""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save

from wsss_perception.bundle import WEIGHTS_FILE, Bundle, ModelSpec, NetworkSpec, write_bundle
from wsss_perception.features import Feature
from wsss_perception.networks.minkunet import MinkUNet
from wsss_perception.ontology import load_ontology


def write_random(folder: Path, written_width: float = 0.5) -> tuple[Bundle, MinkUNet]:
    """A bundle of a `small` network of width 0.5 with random weights, and the network."""
    torch.manual_seed(0)
    spec = ModelSpec(
        load_ontology("semantic_kitti"), NetworkSpec("small", 0.5), (Feature("z"),), 0.2
    )
    network = MinkUNet(NetworkSpec("small", written_width), 1, len(spec.ontology)).eval()
    return write_bundle(folder, spec, {WEIGHTS_FILE: save(network.state_dict())}), network


def made_voxels(seed: int = 0, extent: int = 30) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates [V, 3] in the order of ``voxelize`` and features [V, 1]."""
    rng = np.random.default_rng(seed)
    coords = np.unique(rng.integers(-extent, extent, (500, 3)), axis=0).astype(np.int32)
    return coords, rng.standard_normal((len(coords), 1)).astype(np.float32)
