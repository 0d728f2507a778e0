import pytest
from made_networks import made_voxels, write_random

from wsss_perception import memory
from wsss_perception.engines import load_engine
from wsss_perception.engines.limits import check_memory, needed_memory, widest_rows
from wsss_perception.errors import EngineError
from wsss_perception.networks.presets import sizes_of


def test_a_voxel_needs_what_its_widest_convolution_gathers(tmp_path):
    spec = write_random(tmp_path / "bundle")[0].spec
    widths = widest_rows(sizes_of(spec.network), 1)
    assert needed_memory(spec, "fp32") == tuple(4 * width for width in widths)
    assert needed_memory(spec, "fp16") == tuple(2 * width for width in widths)


def test_the_largest_level_counts_against_what_is_free_and_what_is_held(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 600)
    monkeypatch.setattr(memory, "resident", lambda: 400)
    check_memory([100, 10], [10, 100])
    check_memory([10**9], [])
    for counts in ([101, 10], [100, 11]):
        with pytest.raises(EngineError, match=r"need at least 0\.0 GB of memory"):
            check_memory(counts, [10, 100])
    check_memory([70, 7], [10, 100], base=300)  # of what is held, weights and libraries are in use
    with pytest.raises(EngineError, match="memory"):
        check_memory([71, 7], [10, 100], base=300)
    monkeypatch.setattr(memory, "available", lambda: None)  # a system that does not tell
    check_memory([10**9], [10])


def test_what_a_process_held_when_it_loaded_its_engine_is_no_room(tmp_path, monkeypatch):
    bundle, _ = write_random(tmp_path / "bundle")
    monkeypatch.setattr(memory, "resident", lambda: 10**10)
    engine = load_engine("onnxruntime", bundle, "cpu")
    monkeypatch.setattr(memory, "available", lambda: 0)
    with pytest.raises(EngineError, match=r"there are 0\.0 GB"):
        engine(*made_voxels())


def test_onnx_runtime_refuses_on_a_cpu_what_cannot_fit_before_it_begins(tmp_path, monkeypatch):
    bundle, _ = write_random(tmp_path / "bundle")
    engine = load_engine("onnxruntime", bundle, "cpu")
    coords, features = made_voxels()
    before = engine(coords, features)
    monkeypatch.setattr(memory, "available", lambda: 0)
    monkeypatch.setattr(memory, "resident", lambda: len(coords) * 100)
    monkeypatch.setattr(engine._session, "run", lambda *given: pytest.fail("it ran"), raising=False)
    with pytest.raises(EngineError, match=f"{len(coords)} voxels need at least .* point_range"):
        engine(coords, features)
    assert len(before) == len(coords)
