import re

import numpy as np
import onnx
import pytest
from made_networks import made_voxels, write_random

from wsss_perception.bundle import ModelSpec, NetworkSpec
from wsss_perception.engines import load_engine, onnxruntime
from wsss_perception.engines.limits import checked_tables, most_voxels, widest_rows
from wsss_perception.errors import BundleError, EngineError
from wsss_perception.features import Feature
from wsss_perception.lowering import lower
from wsss_perception.networks.minkunet import MinkUNet
from wsss_perception.networks.presets import PRESETS, sizes_of
from wsss_perception.ontology import load_ontology


def test_onnxruntime_engine_gives_the_logits_of_spconv(tmp_path):
    bundle, _ = write_random(tmp_path / "bundle")
    coords, features = made_voxels()
    engine = load_engine("onnxruntime", bundle, "cpu")
    expected = load_engine("spconv", bundle, "cpu")(coords, features)
    np.testing.assert_allclose(engine(coords, features), expected, atol=1e-5)
    assert engine.seconds.keys() == {"tables", "network"}
    one = engine(coords[:1], features[:1])
    assert one.shape == (1, 19)
    assert np.isfinite(one).all()


def test_onnxruntime_engine_refuses_a_device_it_cannot_use(tmp_path, monkeypatch):
    bundle, _ = write_random(tmp_path / "bundle")
    for device in ("tpu", "cuda:x", "cpux"):
        with pytest.raises(EngineError, match=device):
            load_engine("onnxruntime", bundle, device)
    cpu = ["CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime.onnxruntime, "get_available_providers", lambda: cpu)
    with pytest.raises(EngineError, match="onnxruntime-gpu"):
        load_engine("onnxruntime", bundle, "cuda")
    assert load_engine("onnxruntime", bundle, "auto").name == "onnxruntime"


def test_a_gpu_that_the_runtime_cannot_use_is_an_error_only_where_it_was_asked_for(
    tmp_path, monkeypatch
):
    bundle, _ = write_random(tmp_path / "bundle")
    runtime, asked, told = onnxruntime.onnxruntime, [], []
    both = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(runtime, "get_available_providers", lambda: both)
    session = runtime.InferenceSession

    def fall_back(graph, settings, providers, **how):  # as the runtime does without a driver
        asked.append((graph, providers))
        return session(graph, settings, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(runtime, "InferenceSession", fall_back)
    with pytest.raises(EngineError, match="CUDAExecutionProvider"):
        load_engine("onnxruntime", bundle, "cuda:1")
    ((graph, providers),) = asked
    assert providers[0] == ("CUDAExecutionProvider", {"device_id": 1})
    assert is_half(graph)
    with pytest.raises(EngineError, match="CUDAExecutionProvider"):
        load_engine("onnxruntime", bundle, "cuda:1", "fp32")
    assert asked[-1][1][0] == ("CUDAExecutionProvider", {"device_id": 1, "use_tf32": 0})
    engine = load_engine("onnxruntime", bundle, "auto", tell=told.append)
    assert (engine.device, engine.precision) == ("cpu", "fp32")
    assert not is_half(asked[-1][0])
    assert any("takes the CPU instead" in line for line in told)


def is_half(graph: bytes) -> bool:
    kinds = {tensor.data_type for tensor in onnx.load_from_string(graph).graph.initializer}
    return onnx.TensorProto.FLOAT16 in kinds


def test_half_precision_runs_on_a_cpu_where_it_is_asked_for(tmp_path):
    bundle, _ = write_random(tmp_path / "bundle")
    coords, features = made_voxels()
    whole, half = (load_engine("onnxruntime", bundle, "cpu", p) for p in ("auto", "fp16"))
    assert (whole.precision, half.precision) == ("fp32", "fp16")
    expected = whole(coords, features)
    difference = np.abs(half(coords, features) - expected).max()
    assert 0 < difference < 0.02 * np.abs(expected).max()


@pytest.mark.parametrize("threads", [0, 1, 2])
def test_threads_are_those_that_are_asked_for(tmp_path, threads):
    bundle, _ = write_random(tmp_path / "bundle")
    engine = load_engine("onnxruntime", bundle, "cpu", threads=threads)
    assert engine._session.get_session_options().intra_op_num_threads == threads


def test_voxels_that_tables_cannot_hold_are_an_engines_error(tmp_path):
    far = np.array([[0, 0, 0], [1 << 20, 0, 0]], dtype=np.int32)
    with pytest.raises(EngineError, match="point_range"):
        checked_tables(far, 3, [9] * 5)
    with pytest.raises(EngineError, match="more than the 1 that"):
        checked_tables(np.array([[0, 0, 0], [4, 0, 0]], dtype=np.int32), 3, [9, 1, 9, 9, 9])


def test_onnxruntime_engine_refuses_the_weights_of_another_network(tmp_path):
    bundle, _ = write_random(tmp_path / "bundle", written_width=1.0)
    with pytest.raises(BundleError, match="not the weights"):
        load_engine("onnxruntime", bundle, "cpu")


def test_too_many_voxels_are_refused_before_anything_is_allocated(tmp_path):
    bundle, _ = write_random(tmp_path / "bundle")
    limit = most_voxels(bundle.spec)[0]
    assert limit * 27 * 24 < 2**31 <= (limit + 1) * 27 * 24  # 16 channels from below and 8 beside
    coords = np.broadcast_to(np.zeros(3, dtype=np.int32), (limit + 1, 3))  # of no memory
    features = np.broadcast_to(np.zeros(1, dtype=np.float32), (limit + 1, 1))
    with pytest.raises(EngineError, match="point_range"):
        load_engine("onnxruntime", bundle, "cpu")(coords, features)


def test_widest_rows_count_what_the_graph_gathers():
    """By hand, of the 18A network with 4 features."""
    assert widest_rows(PRESETS["minkunet18a"], 4) == [
        27 * (96 + 32),
        27 * (96 + 32),
        27 * (128 + 64),
        27 * (128 + 128),
        27 * 256,
    ]
    assert widest_rows(PRESETS["minkunet18a"], 40)[0] == 125 * 40


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_no_tensor_of_the_graph_has_wider_rows(name, tmp_path):
    spec = ModelSpec(load_ontology("nuscenes"), NetworkSpec(name), (Feature("z"),), 0.2)
    weights = MinkUNet(spec.network, 1, 16).state_dict()
    model = lower(spec, {key: value.numpy() for key, value in weights.items()})
    widths = widest_rows(sizes_of(spec.network), 1)
    found = [0] * 5
    for value in onnx.shape_inference.infer_shapes(model).graph.value_info:
        size = value.type.tensor_type.shape.dim
        level = re.fullmatch(r"voxels([0-4])", size[0].dim_param)
        if level:
            width = int(np.prod([d.dim_value for d in size[1:]]))
            found[int(level[1])] = max(found[int(level[1])], width)
    assert all(0 < width <= most for width, most in zip(found, widths, strict=True))
