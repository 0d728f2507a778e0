import errno
import multiprocessing
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile

import pytest

from wsss_perception.engines import cache
from wsss_perception.engines.cache import keep, load_or_build, read_kept, user_cache
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
    assert load_or_build(path, lambda: b"good 1", load) == (b"good 1", True)
    assert load_or_build(path, refuse, load) == (b"good 1", True)
    assert sorted(p.name for p in path.parent.iterdir()) == ["x.engine", "x.lock"]


@pytest.mark.parametrize("content", [b"", b"bad", b"of another version"])
def test_what_cannot_be_loaded_is_built_anew(tmp_path, content, caplog):
    path = tmp_path / "x.engine"
    keep(path, content)
    assert load_or_build(path, lambda: b"good", load) == (b"good", True)
    assert load_or_build(path, refuse, load) == (b"good", True)
    assert caplog.text.count("cannot be loaded here and is built anew") == 1


def test_what_is_damaged_never_reaches_the_library(tmp_path, caplog):
    path = tmp_path / "x.engine"
    keep(path, b"good " + bytes(1000))
    whole = path.read_bytes()
    for damaged in (b"", whole[:20], whole[:-1], whole[:500] + b"!" + whole[501:], whole + b"!"):
        path.write_bytes(damaged)
        assert load_or_build(path, lambda: b"good again", load) == (b"good again", True)
        assert read_kept(path) == b"good again"
    assert caplog.text.count("damaged, and is made anew") == 5


def test_processes_that_start_together_build_once(tmp_path):
    context = multiprocessing.get_context("fork")
    started = context.Value("i", 0)
    path = tmp_path / "x.engine"
    processes = [context.Process(target=build_slowly, args=(path, started)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(600)
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
    assert load_or_build(path, lambda: b"good", load) == (b"good", True)


@contextmanager
def file_on_a_full_disk(**how: object) -> Iterator:
    def write(_: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with NamedTemporaryFile(**how) as file:
        file.write = write
        yield file


def test_a_full_disk_costs_the_keeping_alone(tmp_path, monkeypatch, caplog):
    path = tmp_path / "x.engine"
    keep(path, b"bad but there")
    before = path.read_bytes()
    monkeypatch.setattr(cache, "NamedTemporaryFile", file_on_a_full_disk)
    # whatever lies there is not what was built
    assert load_or_build(path, lambda: b"good", load) == (b"good", False)
    assert "No space left" in caplog.text
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.engine", "x.lock"]


def test_a_folder_that_cannot_be_made_costs_the_keeping_alone(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", Path("/proc/self/no_folder")):
        assert load_or_build(folder / "x.engine", lambda: b"good", load) == (b"good", False)


def test_a_file_system_without_locks_costs_the_lock_alone(tmp_path, monkeypatch, caplog):
    def no_locks(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", no_locks)
    assert load_or_build(tmp_path / "x.engine", lambda: b"good", load) == (b"good", True)
    assert "cannot be locked" in caplog.text
    assert (tmp_path / "x.engine").exists()


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    with pytest.raises(EngineError, match="no home; set XDG_CACHE_HOME"):
        user_cache()
