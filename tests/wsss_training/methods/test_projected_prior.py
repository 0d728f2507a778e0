import numpy as np
import pytest
import torch

from wsss_perception.bundle import NetworkSpec
from wsss_perception.networks.minkunet import MinkUNet
from wsss_training.config import OptimizationConfig
from wsss_training.data.training_set import Batch
from wsss_training.losses.cross_entropy import weighted_cross_entropy
from wsss_training.losses.lovasz import lovasz_softmax
from wsss_training.methods.projected_prior import ProjectedPrior

CLASSES = 3


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_the_lovasz_loss_counts_by_its_weight_and_without_one_is_left_out(monkeypatch, weight):
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    coords = np.unique(rng.integers(0, 12, (60, 3)), axis=0)
    batch = Batch(
        torch.from_numpy(np.pad(coords, ((0, 0), (1, 0))).astype(np.int32)),
        torch.randn(len(coords), 1),
        torch.arange(len(coords)),
        torch.from_numpy(rng.integers(0, CLASSES, len(coords))),
        torch.ones(len(coords)),
    )
    module = ProjectedPrior(
        MinkUNet(NetworkSpec("small", 0.25), 1, CLASSES).eval(),
        OptimizationConfig(lovasz_weight=weight),
        np.ones(CLASSES, dtype=np.float32),
    )
    logged = {}
    monkeypatch.setattr(module, "log", lambda name, value, **_: logged.update({name: value}))
    loss = module.training_step(batch, 0)
    logits = module.network(batch.coords, batch.features)
    expected = weighted_cross_entropy(logits, batch.labels, batch.weights)
    lovasz = lovasz_softmax(logits.softmax(dim=1), batch.labels)
    torch.testing.assert_close(loss, expected + weight * lovasz)
    assert ("train/lovasz" in logged) == (weight > 0)
