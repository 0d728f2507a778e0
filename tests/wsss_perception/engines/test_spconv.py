import numpy as np
import pytest
import torch
from safetensors.torch import save

from wsss_perception import engines
from wsss_perception.bundle import WEIGHTS_FILE, ModelSpec, NetworkSpec, write_bundle
from wsss_perception.engines import load_engine
from wsss_perception.errors import EngineError
from wsss_perception.features import Feature
from wsss_perception.networks.minkunet import MinkUNet
from wsss_perception.ontology import load_ontology


def write_random(folder, written_width=0.5):
    """A bundle of a `small` network of width 0.5 with random weights, and the network."""
    torch.manual_seed(0)
    spec = ModelSpec(
        load_ontology("semantic_kitti"), NetworkSpec("small", 0.5), (Feature("z"),), 0.2
    )
    network = MinkUNet(NetworkSpec("small", written_width), 1, len(spec.ontology)).eval()
    return write_bundle(folder, spec, {WEIGHTS_FILE: save(network.state_dict())}), network


def test_spconv_engine_gives_the_networks_logits(tmp_path):
    bundle, network = write_random(tmp_path / "bundle")
    rng = np.random.default_rng(0)
    coords = np.unique(rng.integers(-30, 30, (500, 3)), axis=0).astype(np.int32)
    features = rng.standard_normal((len(coords), 1)).astype(np.float32)
    logits = load_engine("spconv", bundle, "cpu")(coords, features)
    with torch.no_grad():
        batched = torch.from_numpy(np.pad(coords, ((0, 0), (1, 0))))
        expected = network(batched, torch.from_numpy(features)).numpy()
    np.testing.assert_allclose(logits, expected, atol=1e-5)


@pytest.mark.parametrize("device", ["tpu", "mps", "meta", "cuda:99", "cpux"])
def test_spconv_engine_refuses_devices_it_cannot_use(tmp_path, device):
    bundle, _ = write_random(tmp_path / "bundle")
    with pytest.raises(EngineError, match=device):
        load_engine("spconv", bundle, device)


def test_spconv_engine_refuses_the_weights_of_another_network(tmp_path):
    bundle, _ = write_random(tmp_path / "bundle", written_width=1.0)
    with pytest.raises(EngineError, match="not the weights"):
        load_engine("spconv", bundle, "cpu")


def test_load_engine_names_the_known_engines_and_a_missing_library(tmp_path, monkeypatch):
    bundle, _ = write_random(tmp_path / "bundle")
    with pytest.raises(EngineError, match=r"warp.*spconv"):
        load_engine("warp", bundle)
    monkeypatch.setitem(engines._ENGINES, "spconv", "library_that_is_not_there")
    with pytest.raises(EngineError, match="library_that_is_not_there"):
        load_engine("spconv", bundle)
