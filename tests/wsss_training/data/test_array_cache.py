import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest

from wsss_training.data.array_cache import ArrayCache, digest_arrays, user_cache


class Computation:
    """Computes a set of arrays and counts how often."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> dict[str, np.ndarray]:
        self.calls += 1
        return {
            "xyz": np.arange(12, dtype=np.float32).reshape(4, 3)[::2],
            "mask": np.array([True, False]),
            "none": np.zeros((0, 3)),
        }


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "input.bin"
    path.write_bytes(b"input")
    return path


@pytest.mark.parametrize("traced", [False, True])
def test_arrays_are_computed_once_and_come_back_the_same(tmp_path, source, traced):
    compute = Computation()

    def get():
        cache = ArrayCache(tmp_path / "cache", "1")
        if traced:
            return cache.get_traced("a/b", lambda: (compute(), [source]))
        return cache.get("a/b", [source], compute)

    first, second = get(), get()
    assert compute.calls == 1
    for name, array in Computation()().items():
        np.testing.assert_array_equal(first[name], array)
        np.testing.assert_array_equal(second[name], array)
        assert second[name].dtype == array.dtype


@pytest.mark.parametrize("traced", [False, True])
@pytest.mark.parametrize("change", ["size", "time", "removed", "version", "damaged"])
def test_what_changed_is_computed_anew(tmp_path, source, traced, change):
    compute = Computation()

    def get(version="1"):
        cache = ArrayCache(tmp_path / "cache", version)
        if traced:
            return cache.get_traced("set", lambda: (compute(), [source]))
        return cache.get("set", [source], compute)

    get()
    if change == "size":
        source.write_bytes(b"longer input")
    elif change == "time":
        os.utime(source, ns=(0, 0))
    elif change == "removed":
        source.unlink()
    elif change == "damaged":
        (file,) = (tmp_path / "cache").rglob("*.safetensors")
        file.write_bytes(file.read_bytes()[:-1])
    get("2" if change == "version" else "1")
    assert compute.calls == 2
    get("2" if change == "version" else "1")
    assert compute.calls == 2


def test_an_input_that_appears_later_is_noticed(tmp_path):
    compute, late = Computation(), tmp_path / "late"
    cache = ArrayCache(tmp_path / "cache", "1")
    cache.get("set", [late], compute)
    cache.get("set", [late], compute)
    assert compute.calls == 1
    late.touch()
    cache.get("set", [late], compute)
    assert compute.calls == 2


def test_another_list_of_inputs_is_noticed(tmp_path, source):
    compute, other = Computation(), tmp_path / "other"
    other.touch()
    cache = ArrayCache(tmp_path / "cache", "1")
    cache.get("set", [source], compute)
    cache.get("set", [source, other], compute)
    assert compute.calls == 2


def test_cache_that_cannot_be_written_computes_each_time_and_warns_once(tmp_path, source, caplog):
    (tmp_path / "cache").write_text("a file, where the folder should be")
    compute = Computation()
    cache = ArrayCache(tmp_path / "cache", "1")
    for name in ("a", "b"):
        assert len(cache.get(name, [source], compute)) == 3
    assert compute.calls == 2
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert str(tmp_path / "cache") in caplog.text


def test_failed_computation_leaves_nothing(tmp_path, source):
    cache = ArrayCache(tmp_path / "cache", "1")
    with pytest.raises(ZeroDivisionError):
        cache.get("set", [source], lambda: {"x": np.array(1 / 0)})
    assert not list((tmp_path / "cache").rglob("*"))


def fill(folder: Path, source: Path, number: int) -> None:
    cache = ArrayCache(folder, "1")
    for _ in range(20):
        array = cache.get("set", [source], lambda: {"x": np.full(100_000, number)})["x"]
        assert (array == array[0]).all()
        (cache.folder / "set.safetensors").unlink(missing_ok=True)


def test_processes_that_share_a_cache_never_see_half_a_file(tmp_path, source):
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=fill, args=(tmp_path, source, n)) for n in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]


def test_user_cache_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert user_cache() == tmp_path / "wsss_training"


def test_a_digest_tells_names_types_shapes_and_values_but_not_order():
    a, b = np.arange(6, dtype=np.float32), np.arange(6, dtype=np.float32) + 1
    known = digest_arrays({"a": a, "b": b})
    assert digest_arrays({"b": b, "a": a.copy()}) == known
    others = [
        {"a": b, "b": a},
        {"a": a},
        {"a": a.astype(np.int32), "b": b},
        {"a": a.reshape(2, 3), "b": b},
    ]
    assert len({known, *map(digest_arrays, others)}) == 5
