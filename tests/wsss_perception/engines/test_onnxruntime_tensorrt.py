"""ONNX Runtime's TensorRT provider on a stand-in for it; the real one needs a GPU."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from made_networks import made_voxels, write_random

from wsss_perception.engines import load_engine, onnxruntime_tensorrt
from wsss_perception.engines.kept_folder import keep_folder
from wsss_perception.errors import EngineError

TENSORRT, CPU = "TensorrtExecutionProvider", "CPUExecutionProvider"
NAME = "onnxruntime-tensorrt"


class Provider:
    """Keeps an engine as the provider does, refuses one that was cut, computes on the CPU."""

    def __init__(self) -> None:
        self.options, self.graphs, self.builds, self.falls_back = [], [], 0, False
        self.fails, self.loaded = "", []
        self._session = onnxruntime.InferenceSession

    def __call__(self, graph, settings, providers, enable_fallback):
        (name, options), *rest = providers
        assert name == TENSORRT
        assert [rest[0][0], rest[1]] == ["CUDAExecutionProvider", CPU]
        assert enable_fallback == 0
        self.options.append(options)
        self.graphs.append(graph)
        if self.falls_back:
            return self._session(graph, settings, providers=[CPU])
        if options.get("trt_engine_cache_enable"):
            self._load_or_build(Path(options["trt_engine_cache_path"]) / "graph_sm90.engine")
            if options.get("trt_timing_cache_enable"):
                timings = Path(options["trt_timing_cache_path"]) / "sm90.timing"
                timings.write_text(timings.read_text() + "+" if timings.exists() else "timings")
        else:
            self.builds += 1
        session = self._session(graph, settings, providers=[CPU])
        session.get_providers = lambda: [TENSORRT, CPU]
        return session

    def _load_or_build(self, path: Path) -> None:
        if not path.exists():
            self.builds += 1
            path.write_text("an engine")
        else:
            self.loaded.append(path.read_text())
        if self.fails:
            raise RuntimeError(self.fails)
        if path.read_text() != "an engine":
            raise RuntimeError("TensorRT EP could not deserialize engine from cache")


@pytest.fixture
def bundle(tmp_path):
    return write_random(tmp_path / "bundle")[0]


@pytest.fixture
def provider(tmp_path, monkeypatch):
    provider = Provider()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [TENSORRT, CPU])
    monkeypatch.setattr(onnxruntime, "InferenceSession", provider)
    return provider


def test_engine_computes_what_the_graph_says_in_the_precision_asked_for(bundle, provider):
    coords, features = made_voxels()
    expected = load_engine("spconv", bundle, "cpu")(coords, features)
    engine = load_engine(NAME, bundle, "cuda:1", "fp32")
    assert (engine.name, engine.device, engine.precision) == (NAME, "cuda:1", "fp32")
    np.testing.assert_allclose(engine(coords, features), expected, atol=1e-5)
    half = load_engine(NAME, bundle)
    assert (half.device, half.precision) == ("cuda:0", "fp16")
    assert half.kept != engine.kept
    assert [o["device_id"] for o in provider.options] == [1, 0]
    assert [o["trt_fp16_enable"] for o in provider.options] == [False, True]
    assert (half(coords, features) != engine(coords, features)).any()


def test_every_input_of_the_graph_has_its_sizes(bundle, provider):
    load_engine(NAME, bundle)
    (options,), (graph,) = provider.options, provider.graphs
    inputs = {
        value.name: [size.dim_value for size in value.type.tensor_type.shape.dim][1:]
        for value in onnx.load_from_string(graph).graph.input
    }
    for which, voxels in (("min", 1), ("opt", 40_000), ("max", 160_000)):
        text = options[f"trt_profile_{which}_shapes"]
        shapes = dict(part.split(":") for part in text.split(","))
        assert shapes.keys() == inputs.keys()
        for name, columns in inputs.items():
            first, *rest = map(int, shapes[name].split("x"))
            assert rest == columns
            assert first == voxels or name not in ("features", "neighbors0", "parents0")


def test_engine_is_built_once_for_weights_and_kept_apart_from_others(bundle, provider):
    told = []
    first = load_engine(NAME, bundle, tell=told.append)
    again = load_engine(NAME, bundle, tell=told.append)
    assert provider.builds == len(told) == 1
    assert first.kept == again.kept
    # the provider itself would take one for the other: their graphs differ in weights alone
    weights = bundle.weights.read_bytes()
    bundle.weights.write_bytes(weights[:-4] + b"\0\0\0\x3f")
    assert load_engine(NAME, bundle).kept != first.kept
    assert provider.builds == 2


@pytest.mark.parametrize("damage", ["cut", "another file", "no manifest", "cut manifest"])
def test_a_damaged_engine_is_built_anew_and_never_reaches_the_library(
    bundle, provider, caplog, damage
):
    kept = load_engine(NAME, bundle).kept
    (file,) = kept.glob("*.engine")
    if damage == "cut":
        file.write_text("cut")
    elif damage == "another file":
        (kept / "other.engine").write_text("an engine")
    elif damage == "no manifest":
        (kept / "manifest.json").unlink()
    else:
        (kept / "manifest.json").write_text("{")
    assert load_engine(NAME, bundle).kept == kept
    assert file.read_text() == "an engine"
    assert (provider.builds, provider.loaded) == (2, [])
    assert str(kept) in caplog.text
    load_engine(NAME, bundle)
    assert (provider.builds, provider.loaded) == (2, ["an engine"])


def test_an_engine_that_tensorrt_refuses_is_built_anew(bundle, provider, caplog):
    kept = load_engine(NAME, bundle).kept
    (kept / "graph_sm90.engine").write_text("of another version")
    (kept / "manifest.json").unlink()
    keep_folder(kept.rename(kept.with_suffix(".new")), kept)
    assert load_engine(NAME, bundle).kept == kept
    assert provider.builds == 2
    assert (kept / "graph_sm90.engine").read_text() == "an engine"
    assert "built anew" in caplog.text


@pytest.mark.parametrize("fails", ["CUDA failure 2: out of memory", ""])
def test_a_start_that_fails_for_another_reason_loses_no_engine(bundle, provider, fails):
    kept = load_engine(NAME, bundle).kept
    provider.fails, provider.falls_back = fails, not fails
    with pytest.raises(EngineError, match=fails or "cannot use"):
        load_engine(NAME, bundle)
    assert provider.builds == (2 if fails else 1)
    assert len(provider.options) == (3 if fails else 2)  # without the provider no build is tried
    provider.fails, provider.falls_back, provider.builds = "", False, 0
    assert load_engine(NAME, bundle).kept == kept
    assert provider.builds == 0
    assert not [*kept.parent.glob("*.new"), *kept.parent.glob("*.timings")]


def test_a_process_killed_while_it_builds_leaves_no_engine(bundle, provider, monkeypatch):
    def kill(self: Provider, path: Path) -> None:
        path.write_text("an eng")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Provider, "_load_or_build", kill)
        with pytest.raises(KeyboardInterrupt):
            load_engine(NAME, bundle)
    assert load_engine(NAME, bundle).kept
    assert (provider.builds, provider.loaded) == (1, [])


def test_another_gpu_or_tensorrt_gets_an_engine_of_its_own(bundle, provider, monkeypatch):
    kept = {load_engine(NAME, bundle).kept}
    monkeypatch.setattr(onnxruntime_tensorrt, "gpu_name", lambda number: f"RTX 3090 {number} sm86")
    kept |= {load_engine(NAME, bundle, device).kept for device in ("cuda:0", "cuda:1")}
    monkeypatch.setattr(onnxruntime_tensorrt, "tensorrt_version", lambda user: "101401")
    kept |= {load_engine(NAME, bundle).kept}
    assert provider.builds == len(kept) == 4


def test_what_a_build_measured_serves_the_next_one_on_this_gpu(bundle, provider):
    load_engine(NAME, bundle)
    load_engine(NAME, bundle)
    kept = load_engine(NAME, bundle, precision="fp32").kept
    (timings,) = kept.parent.glob("*-timings/*.timing")
    assert timings.read_text() == "timings+"
    timings.write_text("cut")
    load_engine(NAME, bundle, precision="fp32").kept.rename(kept.with_suffix(".away"))
    load_engine(NAME, bundle, precision="fp32")
    assert timings.read_text() == "timings"


def test_engine_works_where_nothing_can_be_kept(bundle, provider, monkeypatch, caplog):
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/self/no_folder")
    engine = load_engine(NAME, bundle)
    assert engine(*made_voxels()).shape[1] == 19
    assert engine.kept is None
    assert "no engine can be kept" in caplog.text


def test_a_provider_that_the_runtime_leaves_out_is_an_error(bundle, provider):
    provider.falls_back = True
    with pytest.raises(EngineError, match=f"cannot use {TENSORRT} here"):
        load_engine(NAME, bundle)


def test_clouds_beyond_what_the_engine_was_built_for_are_refused(bundle, provider):
    coords = np.broadcast_to(np.zeros(3, dtype=np.int32), (160_001, 3))
    with pytest.raises(EngineError, match="the 160000 that its TensorRT engine was built for"):
        load_engine(NAME, bundle)(coords, np.zeros((160_001, 1), dtype=np.float32))


@pytest.mark.parametrize(
    ("device", "reason"), [("cpu", "needs a GPU"), ("cuda:x", "unknown"), ("auto", "no TensorRT")]
)
def test_engine_says_why_it_cannot_run(bundle, monkeypatch, device, reason):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CPU])
    with pytest.raises(EngineError, match=reason):
        load_engine(NAME, bundle, device)
