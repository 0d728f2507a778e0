"""The TensorRT engine on stand-ins for its libraries; the real ones need a GPU."""

import gc
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import PIPE

import numpy as np
import pytest
import torch
from made_networks import made_voxels, write_random
from stand_in_gpu import GPU_TABLES, TIMINGS, TensorRT, stand_in_gpu

from wsss_perception.engines import gpu_tables, load_engine
from wsss_perception.engines.cache import keep, read_kept, user_cache
from wsss_perception.errors import EngineError

HELPERS = Path(__file__).parents[2] / "helpers"


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
    assert gpu.streams
    del engine
    gc.collect()
    assert not gpu.memory
    assert not gpu.streams


def test_a_load_that_fails_gives_its_stream_back(bundle, gpu, monkeypatch):
    monkeypatch.setattr(TensorRT.Builder, "build_serialized_network", lambda *given: None)
    with pytest.raises(EngineError, match="cannot build"):
        load_engine("tensorrt", bundle)
    gc.collect()
    assert gpu.streams == 0


def test_engine_computes_in_the_precision_that_is_asked_for(bundle, gpu):
    coords, features = made_voxels()
    expected = load_engine("spconv", bundle, "cpu")(coords, features)
    whole, half = (load_engine("tensorrt", bundle, precision=p) for p in ("fp32", "auto"))
    assert (whole.precision, half.precision, half.device) == ("fp32", "fp16", "cuda:0")
    assert whole.kept != half.kept
    np.testing.assert_allclose(whole(coords, features), expected, atol=1e-5)
    assert (half(coords, features) != whole(coords, features)).any()


def test_tables_are_built_where_torch_can_use_the_gpu(bundle, gpu, monkeypatch):
    coords, features = made_voxels()
    expected = load_engine("tensorrt", bundle)(coords, features)
    monkeypatch.setitem(sys.modules, GPU_TABLES, gpu_tables)
    # of the stand-in, whose memory is the host's
    monkeypatch.setattr(gpu_tables, "device_of", lambda number: torch.device("cpu"))
    engine = load_engine("tensorrt", bundle)
    for count in (len(coords), 50, 1, len(coords)):
        found = engine(coords[:count], features[:count])
    np.testing.assert_array_equal(found, expected)
    assert len(gpu.memory) == 2  # features and logits; the tables are bound as they lie
    with pytest.raises(EngineError, match="point_range"):
        engine(np.array([[0, 0, 0], [1 << 20, 0, 0]], dtype=np.int32), features[:2])
    with pytest.raises(EngineError, match="sorted"):
        engine(coords[::-1].copy(), features)
    many = np.broadcast_to(np.zeros(3, dtype=np.int32), (160_001, 3))
    with pytest.raises(EngineError, match="its TensorRT engine was built for"):
        engine(many, np.zeros((160_001, 1), dtype=np.float32))


def test_engine_is_built_once_and_anew_where_it_is_damaged(bundle, gpu, monkeypatch, caplog):
    told = []
    load_engine("tensorrt", bundle, tell=told.append)
    load_engine("tensorrt", bundle, tell=told.append)
    assert TensorRT.builds == len(told) == 1
    assert "Stand-in sm90, fp16" in told[0]
    (kept,) = user_cache().glob("*.engine")
    kept.write_bytes(kept.read_bytes()[5:])
    load_engine("tensorrt", bundle)
    assert TensorRT.builds == 2
    assert "damaged" in caplog.text
    monkeypatch.setattr(TensorRT, "__version__", "11.0.stand-in")
    load_engine("tensorrt", bundle)
    assert TensorRT.builds == 3


def test_another_gpu_gets_an_engine_and_timings_of_its_own(bundle, gpu):
    first = load_engine("tensorrt", bundle).kept
    content = first.read_bytes()
    gpu.title = b"Another"
    second = load_engine("tensorrt", bundle).kept
    assert TensorRT.builds == 2
    assert second != first
    assert first.read_bytes() == content
    assert len(list(user_cache().glob("*.timing"))) == 2


def test_what_a_build_measured_serves_the_next_one_on_this_gpu(bundle, gpu):
    load_engine("tensorrt", bundle)
    (timings,) = user_cache().glob("*.timing")
    assert read_kept(timings) == TIMINGS
    load_engine("tensorrt", bundle, precision="fp32")
    assert read_kept(timings) == TIMINGS + b"one build;"


@pytest.mark.parametrize("damage", [b"", b"cut", None])
def test_timings_that_cannot_be_used_are_measured_anew(bundle, gpu, damage):
    load_engine("tensorrt", bundle)
    (timings,) = user_cache().glob("*.timing")
    if damage is None:  # of another GPU or version: TensorRT refuses it
        keep(timings, b"whole but foreign")
    else:
        timings.write_bytes(damage)
    load_engine("tensorrt", bundle, precision="fp32")
    assert read_kept(timings) == TIMINGS


def test_processes_that_start_together_build_one_engine(bundle, tmp_path):
    (tmp_path / "meeting").mkdir()
    first = start(bundle, tmp_path)
    wait_until(lambda: builders(tmp_path), first)
    second = start(bundle, tmp_path)
    results = [process.communicate(timeout=600) for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], results
    assert results[0][0] == results[1][0] != ""
    assert len(builders(tmp_path)) == 1


def test_a_process_killed_while_it_builds_stops_no_other(bundle, tmp_path):
    (tmp_path / "meeting").mkdir()
    first = start(bundle, tmp_path)
    wait_until(lambda: builders(tmp_path), first)
    first.kill()
    first.communicate(timeout=600)
    (tmp_path / "meeting" / "waits").touch()
    second = start(bundle, tmp_path)
    assert second.communicate(timeout=600)[0]
    assert second.returncode == 0
    assert len(builders(tmp_path)) == 2


def test_engine_works_where_nothing_can_be_kept(bundle, gpu, monkeypatch, caplog):
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/self/no_folder")
    engine = load_engine("tensorrt", bundle)
    assert engine(*made_voxels()).shape[1] == 19
    assert engine.kept is None
    assert "cannot be kept" in caplog.text


@pytest.mark.parametrize(
    ("gpus", "device", "reason"),
    [(0, "auto", "0 GPUs"), (1, "cuda:3", "1 GPUs"), (1, "cpu", "needs a GPU")],
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


def start(bundle, folder: Path) -> subprocess.Popen:
    """A process that loads the engine, with a cache and a meeting that others share."""
    words = [HELPERS / "builds_engine.py", bundle.folder, folder / "cache", folder / "meeting"]
    return subprocess.Popen([sys.executable, *map(str, words)], stdout=PIPE, stderr=PIPE, text=True)


def builders(folder: Path) -> list[Path]:
    return list((folder / "meeting").glob("builds-*"))


def wait_until(done, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 600
    while not done():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_auto_goes_on_to_another_engine_where_tensorrt_is_not_installed(bundle):
    with pytest.raises(EngineError, match="cannot run here"):
        load_engine("tensorrt", bundle)
    assert load_engine("auto", bundle, "cpu").name == "spconv"
