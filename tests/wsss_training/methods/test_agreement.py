import pytest
import torch

from wsss_perception.bundle import ModelSpec, NetworkSpec
from wsss_perception.features import Feature
from wsss_perception.frame import PointCloud
from wsss_perception.networks.minkunet import MinkUNet
from wsss_perception.ontology import load_ontology
from wsss_training.config import OptimizationConfig
from wsss_training.data.labelled_points import LabelledPoints
from wsss_training.data.training_set import Voxelizer
from wsss_training.methods.projected_prior import ProjectedPrior

SPEC = ModelSpec(
    load_ontology("semantic_kitti"),
    NetworkSpec("small", 0.25),
    (Feature("z"),),
    0.2,
    (-5,) * 3 + (5,) * 3,
)


def cloud(count: int, at: float = 0.0) -> LabelledPoints:
    xyz = torch.rand(count, 3).numpy() * 4 + at
    labels = torch.randint(19, (count,), dtype=torch.uint8).numpy()
    return LabelledPoints(PointCloud(xyz.astype("float32")), labels, torch.ones(count).numpy())


@pytest.fixture
def module(monkeypatch) -> ProjectedPrior:
    network = MinkUNet(SPEC.network, 1, len(SPEC.ontology))
    weights = torch.ones(len(SPEC.ontology)).numpy()
    made = ProjectedPrior(network, OptimizationConfig(), weights)
    monkeypatch.setattr(made, "log", lambda *_, **__: None)
    return made


@pytest.mark.parametrize("empty", [cloud(0), cloud(50, at=100.0)], ids=["empty", "out of range"])
def test_a_held_back_cloud_without_points_is_not_counted(module, empty):
    module.eval().validation_step(Voxelizer(SPEC)([empty]), 0)
    assert (module._agreeing, module._compared) == (0, 0)
    module.validation_step(Voxelizer(SPEC)([cloud(50)]), 0)
    assert module._compared == 50


def test_a_batch_without_points_teaches_nothing_and_ends_no_run(module):
    before = {key: value.clone() for key, value in module.network.state_dict().items()}
    loss = module.train().training_step(Voxelizer(SPEC)([cloud(0), cloud(50, at=100.0)]), 0)
    loss.backward()
    assert loss.item() == 0
    assert all((p.grad == 0).all() for p in module.network.parameters())
    for key, value in module.network.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            torch.testing.assert_close(value, before[key], rtol=0, atol=0)
    module.training_step(Voxelizer(SPEC)([cloud(500)]), 0)
    name = next(key for key in before if key.endswith("running_mean"))
    assert (module.network.state_dict()[name] != before[name]).any()
