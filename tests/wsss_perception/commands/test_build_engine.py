"""The command that builds an engine, on stand-ins for a GPU and its libraries."""

import re
import signal
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

import pytest
from made_networks import write_random
from stand_in_gpu import TensorRT, stand_in_gpu

from wsss_perception.__main__ import COMMANDS
from wsss_perception.cli import main

HELPERS = Path(__file__).parents[2] / "helpers"


@pytest.fixture
def words(tmp_path):
    bundle, _ = write_random(tmp_path / "bundle")
    return ["build-engine", "--bundle", str(bundle.folder)]


def run(words) -> int:
    return main("wsss_perception", COMMANDS, words)


def test_the_command_says_where_the_engine_lies_and_how_large_it_is(words, tmp_path, capsys):
    with stand_in_gpu(tmp_path / "cache"):
        assert run(words) == 0
        assert run(words) == 0
        assert TensorRT.builds == 1
        assert run([*words, "--precision", "fp32", "--device", "cuda:0"]) == 0
        assert TensorRT.builds == 2
    output = capsys.readouterr().out
    pattern = (
        r"(.*): (.*) MB, engine tensorrt, (fp\d\d) on cuda:0, "
        r"123 MB on the GPU beside its weights; after \d+ s"
    )
    found = re.findall(pattern, output)
    assert [precision for _, _, precision in found] == ["fp16", "fp16", "fp32"]
    assert found[0] == found[1]
    for path, size, _ in found:
        assert float(size) == pytest.approx(Path(path).stat().st_size / 1e6, abs=0.06)
    assert output.count("this takes minutes") == 2


def test_without_a_gpu_the_command_says_so_in_one_line(words, tmp_path, capsys):
    with stand_in_gpu(tmp_path / "cache", gpus=0):
        assert run(words) == 2
    assert capsys.readouterr().err == "error: device 'auto': this machine has 0 GPUs\n"


def test_without_the_libraries_the_command_names_what_is_missing(words, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    assert run(words) == 2
    assert "engine 'tensorrt' cannot run here: " in capsys.readouterr().err


def test_an_engine_that_cannot_be_kept_is_an_error(words, capsys):
    with stand_in_gpu(Path("/proc/self/no_folder")):
        assert run(words) == 2
    assert "cannot be kept in /proc/self/no_folder" in capsys.readouterr().err


def test_an_engine_that_cannot_replace_a_damaged_one_is_an_error(
    words, tmp_path, capsys, monkeypatch
):
    def fail(**_: object) -> None:
        raise OSError(28, "No space left on device")

    with stand_in_gpu(tmp_path / "cache"):
        assert run(words) == 0
        (kept,) = (tmp_path / "cache").rglob("*.engine")
        kept.write_bytes(b"cut")
        monkeypatch.setattr("wsss_perception.engines.cache.NamedTemporaryFile", fail)
        assert run(words) == 2
    assert "was built but cannot be kept" in capsys.readouterr().err


def test_an_interruption_ends_a_build_inside_the_library(words, tmp_path):
    """Python would handle the signal when the library returns."""
    program = f"""
import ctypes, sys
sys.path[:0] = {[str(HELPERS)]!r}
from stand_in_gpu import TensorRT, stand_in_gpu
from wsss_perception.__main__ import COMMANDS
from wsss_perception.cli import main
def build(*given):
    print("builds", flush=True)
    ctypes.PyDLL(None).sleep(60)
    sys.exit("the build went on")  # sleep returns early: that is what Python's handlers do
TensorRT.Builder.build_serialized_network = build
with stand_in_gpu({str(tmp_path / "cache")!r}):
    main("wsss_perception", COMMANDS, {words!r})
"""
    process = subprocess.Popen([sys.executable, "-c", program], stdout=PIPE, stderr=PIPE, text=True)
    while process.poll() is None and "builds" not in process.stdout.readline():
        pass
    process.send_signal(signal.SIGINT)
    errors = process.communicate(timeout=30)[1]
    assert process.returncode == -signal.SIGINT, errors


@pytest.mark.parametrize("name", ["spconv", "onnxruntime", "auto"])
def test_engines_that_are_not_built_are_no_choice(words, name, capsys):
    with pytest.raises(SystemExit):
        run([*words, "--engine", name])
    assert "choose from" in capsys.readouterr().err
