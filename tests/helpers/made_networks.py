"""Bundles of random networks, and voxels to run them on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save

from wsss_perception.bundle import WEIGHTS_FILE, Bundle, ModelSpec, NetworkSpec, write_bundle
from wsss_perception.bundle_texts import embedding_files
from wsss_perception.embedding import reduce_head
from wsss_perception.features import Feature
from wsss_perception.model_spec import EmbeddingSpec
from wsss_perception.networks.minkunet import MinkUNet
from wsss_perception.ontology import load_ontology
from wsss_perception.texts import TextEmbeddings


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


def write_answering(folder: Path, seed: int = 0) -> tuple[Bundle, MinkUNet, torch.nn.Linear]:
    """A bundle of a random network that answers texts, the network, and its head before reduction.

    Its space has 64 dimensions; its texts are two vectors for each class, and `a red chair`.
    """
    torch.manual_seed(seed)
    ontology = load_ontology("semantic_kitti")
    spec = ModelSpec(ontology, NetworkSpec("small", 0.5), (Feature("z"),), 0.2)
    full = torch.nn.Linear(16, 64)
    network = MinkUNet(spec.network, 1, 17).eval()
    coords, features = made_voxels()
    batched = torch.from_numpy(np.pad(coords, ((0, 0), (1, 0))))
    with torch.no_grad():  # outputs around 0 have all directions
        middle = network.backbone(batched, torch.from_numpy(features)).mean(dim=0)
        full.bias.copy_(-full.weight @ middle)
        weight, bias, basis = reduce_head(full.weight.numpy(), full.bias.numpy())
        network.head.weight.copy_(torch.from_numpy(weight))
        network.head.bias.copy_(torch.from_numpy(bias))
    texts = made_texts((*ontology.classes, *ontology.classes, "a red chair"))
    embedding = EmbeddingSpec(len(bias), 100.0, texts.teacher)
    spec = replace(spec, embedding=embedding, temperature=2.0)
    files = {WEIGHTS_FILE: save(network.state_dict()), **embedding_files(embedding, texts, basis)}
    return write_bundle(folder, spec, files), network, full


def made_texts(names: tuple[str, ...], size: int = 64, teacher: str = "made up") -> TextEmbeddings:
    """Random vectors of names; equal names at equal places have equal vectors."""
    vectors = np.random.default_rng(len(teacher)).standard_normal((len(names), size))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return TextEmbeddings(names, vectors.astype(np.float32), teacher)


def as_answering(bundle: Bundle, folder: Path) -> Bundle:
    """A bundle that gives the labels of another one by texts: its logits are the embedding."""
    weights = load_file(bundle.weights)
    head = (weights["head.weight"].numpy(), weights["head.bias"].numpy())
    weight, bias, basis = reduce_head(*head)
    weights |= {"head.weight": torch.from_numpy(weight), "head.bias": torch.from_numpy(bias)}
    classes = bundle.spec.ontology.classes
    texts = TextEmbeddings(classes, np.eye(len(classes), dtype=np.float32), "logits")
    embedding = EmbeddingSpec(len(bias), 10.0, "logits")
    files = {WEIGHTS_FILE: save(weights), **embedding_files(embedding, texts, basis)}
    return write_bundle(folder, replace(bundle.spec, embedding=embedding), files)
