import multiprocessing
import os
import time
from pathlib import Path

import pytest

from wsss_perception.engines.cache import load_or_build
from wsss_perception.errors import EngineError


def load(content: bytes) -> bytes | None:
    return content if content.startswith(b"good") else None


def build_slowly(path: Path, started) -> None:
    def build() -> bytes:
        with started.get_lock():
            started.value += 1
        time.sleep(0.3)
        return b"good" + str(os.getpid()).encode()

    load_or_build(path, build, load)


def refuse() -> bytes:
    raise AssertionError("built again")


def test_what_was_built_is_loaded_next_time(tmp_path):
    path = tmp_path / "deep" / "x.engine"
    assert load_or_build(path, lambda: b"good 1", load) == b"good 1"
    assert load_or_build(path, refuse, load) == b"good 1"
    assert sorted(p.name for p in path.parent.iterdir()) == ["x.engine", "x.lock"]


@pytest.mark.parametrize("content", [b"", b"bad", b"of another version"])
def test_what_cannot_be_loaded_is_built_anew(tmp_path, content):
    path = tmp_path / "x.engine"
    path.write_bytes(content)
    assert load_or_build(path, lambda: b"good", load) == b"good"
    assert path.read_bytes() == b"good"


def test_processes_that_start_together_build_once(tmp_path):
    context = multiprocessing.get_context("fork")
    started = context.Value("i", 0)
    path = tmp_path / "x.engine"
    processes = [context.Process(target=build_slowly, args=(path, started)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(20)
        assert process.exitcode == 0
    assert started.value == 1


def test_a_failed_build_leaves_nothing_and_lets_the_next_try(tmp_path):
    path = tmp_path / "x.engine"

    def fail() -> bytes:
        raise EngineError("no")

    with pytest.raises(EngineError, match="no"):
        load_or_build(path, fail, load)
    assert not path.exists()
    with pytest.raises(EngineError, match="just built"):
        load_or_build(path, lambda: b"bad", load)
    assert load_or_build(path, lambda: b"good", load) == b"good"


def test_a_full_disk_costs_the_keeping_alone(tmp_path, monkeypatch, caplog):
    def no_space(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("wsss_perception.engines.cache.NamedTemporaryFile", no_space)
    path = tmp_path / "x.engine"
    assert load_or_build(path, lambda: b"good", load) == b"good"
    assert not path.exists()
    assert "No space left" in caplog.text


def test_a_folder_that_cannot_be_made_costs_the_keeping_alone(tmp_path):
    (tmp_path / "file").write_text("")
    assert load_or_build(tmp_path / "file" / "x.engine", lambda: b"good", load) == b"good"


def test_a_file_system_without_locks_costs_the_lock_alone(tmp_path, monkeypatch, caplog):
    def no_locks(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", no_locks)
    assert load_or_build(tmp_path / "x.engine", lambda: b"good", load) == b"good"
    assert "cannot be locked" in caplog.text
    assert (tmp_path / "x.engine").exists()
