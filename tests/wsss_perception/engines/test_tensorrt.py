"""The TensorRT engine on stand-ins for its libraries; the real ones need a GPU."""

import gc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from made_networks import made_voxels, write_random
from stand_in_gpu import TensorRT, stand_in_gpu

from wsss_perception.engines import load_engine
from wsss_perception.engines.cache import user_cache
from wsss_perception.errors import EngineError


@pytest.fixture
def bundle(tmp_path):
    return write_random(tmp_path / "bundle")[0]


@pytest.fixture
def gpu(tmp_path):
    with stand_in_gpu(tmp_path / "cache") as runtime:
        yield runtime


def test_engine_gives_the_logits_of_spconv(bundle, gpu):
    coords, features = made_voxels()
    found = load_engine("tensorrt", bundle)(coords, features)
    expected = load_engine("spconv", bundle, "cpu")(coords, features)
    np.testing.assert_allclose(found, expected, atol=0.02 * np.abs(expected).max())  # fp16
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).mean() > 0.99


def test_buffers_are_made_anew_only_where_a_cloud_is_larger(bundle, gpu):
    engine = load_engine("tensorrt", bundle)
    coords, features = made_voxels()
    engine(coords, features)
    held = set(gpu.memory)
    small = engine(coords[:50], features[:50])
    again = engine(coords, features)
    assert set(gpu.memory) == held
    larger = made_voxels(extent=60)
    assert engine(*larger).shape == (len(larger[0]), 19)
    assert set(gpu.freed) <= held
    np.testing.assert_array_equal(engine(coords, features), again)
    np.testing.assert_array_equal(engine(coords[:50], features[:50]), small)


def test_engine_runs_in_another_thread_and_gives_its_memory_back(bundle, gpu):
    engine = load_engine("tensorrt", bundle, "cuda:0")
    with ThreadPoolExecutor(1) as other:
        assert other.submit(engine, *made_voxels()).result().shape[1] == 19
    assert gpu.memory
    del engine
    gc.collect()
    assert not gpu.memory


def test_engine_is_built_once_and_anew_where_it_is_damaged(bundle, gpu, monkeypatch, caplog):
    load_engine("tensorrt", bundle)
    load_engine("tensorrt", bundle)
    assert TensorRT.builds == 1
    (kept,) = user_cache().glob("*.engine")
    kept.write_bytes(kept.read_bytes()[5:])
    load_engine("tensorrt", bundle)
    assert TensorRT.builds == 2
    assert "built anew" in caplog.text
    monkeypatch.setattr(TensorRT, "__version__", "11.0.stand-in")
    load_engine("tensorrt", bundle)
    assert TensorRT.builds == 3


@pytest.mark.parametrize(
    ("gpus", "device", "reason"),
    [(0, "auto", "0 GPUs"), (1, "cuda:3", "1 GPUs"), (1, "cpu", "unknown device 'cpu'")],
)
def test_engine_refuses_a_gpu_that_is_not_there(bundle, tmp_path, gpus, device, reason):
    with stand_in_gpu(tmp_path, gpus), pytest.raises(EngineError, match=reason):
        load_engine("tensorrt", bundle, device)


def test_clouds_beyond_what_the_engine_was_built_for_are_refused(bundle, gpu):
    engine = load_engine("tensorrt", bundle)
    voxels = 160_001  # four typical clouds and one voxel
    coords = np.broadcast_to(np.zeros(3, dtype=np.int32), (voxels, 3))
    with pytest.raises(EngineError, match="the 160000 that its TensorRT engine was built for"):
        engine(coords, np.zeros((voxels, 1), dtype=np.float32))


def test_auto_goes_on_to_another_engine_where_tensorrt_is_not_installed(bundle):
    with pytest.raises(EngineError, match="cannot run here"):
        load_engine("tensorrt", bundle)
    assert load_engine("auto", bundle, "cpu").name == "spconv"
