import numpy as np
import pytest
import torch
from made_networks import made_voxels, write_random

from wsss_perception.engines import load_engine
from wsss_perception.engines.spconv import SpconvEngine
from wsss_perception.errors import EngineError
from wsss_perception.networks.minkunet import MinkUNet


def test_spconv_engine_gives_the_networks_logits(tmp_path):
    bundle, network = write_random(tmp_path / "bundle")
    coords, features = made_voxels()
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


def test_a_network_of_half_precision_gets_half_features_and_gives_whole_logits():
    def network(batched: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        assert inputs.dtype == torch.float16
        return inputs * 2

    coords, features = made_voxels()
    logits = SpconvEngine(network, torch.device("cpu"), "fp16")(coords, features)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, 2 * features, rtol=1e-3)


def test_a_device_without_memory_is_an_engines_error(tmp_path, monkeypatch):
    bundle, _ = write_random(tmp_path / "bundle")

    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    engine = load_engine("spconv", bundle, "cpu")
    monkeypatch.setattr(MinkUNet, "forward", fail)
    coords, features = made_voxels()
    with pytest.raises(EngineError, match=f"{len(coords)} voxels: CUDA out of memory"):
        engine(coords, features)
    monkeypatch.setattr(MinkUNet, "to", fail)
    with pytest.raises(EngineError, match="cannot use cpu: CUDA out of memory"):
        load_engine("spconv", bundle, "cpu")
    assert load_engine("auto", bundle, "cpu").name == "onnxruntime"
