"""Writes the model bundle of a 3DSS-VLG run, which answers texts."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save

from wsss_perception.bundle import WEIGHTS_FILE, Bundle, EmbeddingSpec, ModelSpec, write_bundle
from wsss_perception.bundle_texts import embedding_files
from wsss_perception.embedding import ClassTexts, reduce_head
from wsss_perception.errors import ConfigError
from wsss_perception.networks.minkunet import MinkUNet
from wsss_training.calibration import fit_temperature
from wsss_training.checkpoints import read_part, read_steps
from wsss_training.config import load_config
from wsss_training.export import held_back_scores, input_statistics, provenance
from wsss_training.fusing import open_vision_language
from wsss_training.run_folder import CONFIG_FILE
from wsss_training.stages_vlg import NETWORK, pseudo_labelled
from wsss_training.training import last_checkpoint
from wsss_training.workload import Workload, held_back_loader, model_spec, open_workload

Tensors = dict[str, torch.Tensor]


def export_vlg(run: Path, folder: Path) -> Bundle:
    """Exports the averaged weights of a run's last checkpoint, calibrated, as a bundle.

    The head is reduced to the dimensions that it can reach. The temperature is fitted against the
    pseudo-labels of the held-back sweeps.

    Args:
        run: the training run's output folder.
        folder: where the bundle goes.

    Raises:
        ConfigError: the run has no checkpoint of its network.
        BundleError: the bundle cannot be written.
    """
    checkpoint = last_checkpoint(run / NETWORK)
    if not checkpoint.exists():
        raise ConfigError(f"{run}: no checkpoint at {checkpoint}; train first")
    config = replace(load_config(run / CONFIG_FILE), output=str(run))
    language = open_vision_language(config)
    workload = open_workload(pseudo_labelled(config))
    state, basis = with_reduced_head(read_part(checkpoint, "network"))
    texts, spec = language.texts, model_spec(config)
    embedding = EmbeddingSpec(
        basis.shape[1],
        language.logit_scale,
        texts.teacher,
        texts=ClassTexts(texts, basis, spec.ontology.classes),
    )
    spec = replace(spec, embedding=embedding)
    network = MinkUNet(spec.network, len(spec.features), spec.outputs).eval()
    network.load_state_dict(state)
    logits, labels = held_back_logits(network, workload, spec)
    temperature = fit_temperature(logits, labels)
    scores = held_back_scores(workload.reference, logits / temperature, labels, "")
    made_by = {"vision_language_teacher": language.maps[0].teacher}
    spec = replace(
        spec,
        temperature=round(temperature, 4),
        input_statistics=input_statistics(workload, spec),
        provenance=provenance(config, read_steps(checkpoint)) | made_by | scores,
    )
    files = embedding_files(embedding, texts, basis)
    return write_bundle(folder, spec, {WEIGHTS_FILE: save(state), **files})


def with_reduced_head(state: Tensors) -> tuple[Tensors, np.ndarray]:
    """A network's weights with a reduced head, and its basis [D, K]."""
    weight, bias, basis = reduce_head(state["head.weight"].numpy(), state["head.bias"].numpy())
    head = {"head.weight": torch.from_numpy(weight), "head.bias": torch.from_numpy(bias)}
    return {key: value.contiguous() for key, value in (state | head).items()}, basis


@torch.inference_mode()
def held_back_logits(
    network: MinkUNet, workload: Workload, spec: ModelSpec
) -> tuple[torch.Tensor, torch.Tensor]:
    """Class logits [P, C] at labelled points of held-back sweeps, and the labels [P]."""
    logits, labels = [torch.zeros(0, len(spec.ontology))], [torch.zeros(0, dtype=torch.int64)]
    for batch in held_back_loader(workload):
        outputs = network(batch.coords, batch.features)[batch.voxels]
        logits.append(torch.from_numpy(spec.class_logits(outputs.numpy())))
        labels.append(batch.labels)
    return torch.cat(logits), torch.cat(labels)
