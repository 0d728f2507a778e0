"""What an engine on a GPU computes is checked before it is used."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from made_networks import write_random
from stand_in_gpu import Context, stand_in_gpu

from wsss_perception import engines
from wsss_perception.engines import check_results, load_engine
from wsss_perception.engines.trial import trial_voxels
from wsss_perception.errors import EngineError


@pytest.fixture
def bundle(tmp_path):
    return write_random(tmp_path / "bundle")[0]


class Fake:
    """An engine that gives the CPU's logits after ``change``."""

    name, precision, device = "fake", "fp16", "cuda:0"

    def __init__(self, bundle, change) -> None:
        self._right, self._change = load_engine("onnxruntime", bundle, "cpu"), change

    def __call__(self, coords, features):
        return self._change(self._right(coords, features))


def spoil(share):
    """Makes the labels of so many voxels other ones."""

    def change(logits):
        count = int(share * len(logits))
        logits[:count] = -logits[:count]
        return logits

    return change


def put_nan(logits):
    logits[7, 3] = np.nan
    return logits


@pytest.mark.parametrize("references", [("spconv", "onnxruntime"), ("absent", "onnxruntime")])
def test_labels_are_those_of_the_cpu(bundle, monkeypatch, references):
    monkeypatch.setattr(engines, "_REFERENCES", references)
    check_results(Fake(bundle, spoil(0.009)), bundle)
    with pytest.raises(EngineError, match=r"fake, fp16 on cuda:0 gives 9[78]\.\d% of the labels"):
        check_results(Fake(bundle, spoil(0.02)), bundle)


def test_without_another_engine_numbers_must_be_finite(bundle, monkeypatch):
    wrong, broken = Fake(bundle, spoil(0.5)), Fake(bundle, put_nan)
    monkeypatch.setattr(engines, "_REFERENCES", ("absent",))
    check_results(wrong, bundle)
    with pytest.raises(EngineError, match="not finite"):
        check_results(broken, bundle)


def test_an_engine_on_a_cpu_is_taken_as_it_is(bundle):
    check_results(SimpleNamespace(device="cpu"), bundle)  # it is not even called


def test_auto_goes_on_where_a_gpu_computes_nonsense(bundle, tmp_path, monkeypatch):
    execute = Context.execute_async_v3

    def fail(context, stream):  # such as a tensor that is bound to another's memory
        context.shapes, right = dict(context.shapes), execute(context, stream)
        address, count = context.addresses["logits"], context.shapes["features"][0]
        memory = (np.ctypeslib.ctypes.c_float * (count * 19)).from_address(address)
        np.frombuffer(memory, dtype=np.float32)[:] = np.nan
        return right

    monkeypatch.setattr(Context, "execute_async_v3", fail)
    told = []
    with stand_in_gpu(tmp_path / "cache"):
        with pytest.raises(EngineError, match="not finite"):
            load_engine("tensorrt", bundle)
        assert load_engine("tensorrt", bundle, check=False).name == "tensorrt"
        monkeypatch.setitem(sys.modules, "wsss_perception.engines.onnxruntime_tensorrt", None)
        assert load_engine("auto", bundle, tell=told.append).name == "spconv"
    assert any("engine spconv is used instead: engine tensorrt" in line for line in told)


def test_the_cloud_is_always_the_same_and_like_the_training(bundle):
    coords, features = trial_voxels(bundle.spec)
    again = trial_voxels(bundle.spec)
    np.testing.assert_array_equal(coords, again[0])
    np.testing.assert_array_equal(features, again[1])
    assert 1000 < len(coords) < 5000
    assert -2 < features.min() < features.max() < 3  # height above the sensor
