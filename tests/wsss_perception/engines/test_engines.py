import logging

import numpy as np
import pytest
from made_networks import made_voxels, write_random

from wsss_perception import engines
from wsss_perception.engines import describe, load_engine
from wsss_perception.engines.options import Options, parse_device
from wsss_perception.errors import EngineError


@pytest.fixture
def bundle(tmp_path):
    return write_random(tmp_path / "bundle")[0]


def test_load_engine_names_the_known_engines_and_a_missing_library(bundle, monkeypatch):
    known = r"warp.*auto, tensorrt, onnxruntime-tensorrt, spconv, onnxruntime$"
    with pytest.raises(EngineError, match=known):
        load_engine("warp", bundle)
    monkeypatch.setitem(engines._ENGINES, "spconv", "library_that_is_not_there")
    with pytest.raises(EngineError, match="library_that_is_not_there"):
        load_engine("spconv", bundle)


def test_auto_takes_the_first_engine_that_works_and_says_why_not_the_others(
    bundle, monkeypatch, caplog
):
    with caplog.at_level(logging.INFO):
        assert load_engine("auto", bundle, "cpu").name == "spconv"
    assert "spconv is used instead: engine 'tensorrt' cannot run here" in caplog.text
    assert "spconv is used instead: engine 'onnxruntime-tensorrt' needs a GPU" in caplog.text
    monkeypatch.setitem(engines._ENGINES, "spconv", "library_that_is_not_there")
    told = []
    assert load_engine("auto", bundle, "cpu", tell=told.append).name == "onnxruntime"
    assert len(told) == 3
    assert all("onnxruntime is used instead" in line for line in told)
    assert "library_that_is_not_there" in told[-1]


def test_auto_names_every_reason_where_no_engine_works(bundle):
    with pytest.raises(EngineError, match=r"(?s)no engine can run here.*tensorrt.*(tpu.*){3}"):
        load_engine("auto", bundle, "tpu")


def test_half_precision_on_a_cpu_is_left_to_the_engine_that_can(bundle):
    told = []
    engine = load_engine("auto", bundle, "cpu", "fp16", tell=told.append)
    assert describe(engine) == "onnxruntime, fp16 on cpu"
    assert any("fp32 alone on a CPU" in line for line in told)
    coords, features = made_voxels()
    whole, half = load_engine("spconv", bundle, "cpu")(coords, features), engine(coords, features)
    assert 0 < np.abs(half - whole).max() < 0.02 * np.abs(whole).max()


@pytest.mark.parametrize("name", ["auto", "onnxruntime", "spconv"])
def test_an_unknown_precision_is_refused_with_the_known_ones(bundle, name):
    with pytest.raises(EngineError, match="'int8'; known: auto, fp32, fp16"):
        load_engine(name, bundle, "cpu", "int8")


def test_precision_follows_the_device_unless_it_is_given():
    assert [Options().precision_on(is_gpu) for is_gpu in (True, False)] == ["fp16", "fp32"]
    for given in ("fp32", "fp16"):
        both = {Options(precision=given).precision_on(is_gpu) for is_gpu in (True, False)}
        assert both == {given}


@pytest.mark.parametrize(
    ("name", "device"),
    [("auto", ("auto", 0)), ("cpu", ("cpu", 0)), ("cuda", ("cuda", 0)), ("cuda:12", ("cuda", 12))],
)
def test_devices_are_read_by_kind_and_number(name, device):
    assert parse_device(name) == device


@pytest.mark.parametrize("name", ["", "tpu", "cuda:", "cuda:x", "cuda:-1", "cuda:²", "cpu:0"])
def test_what_is_no_device_is_refused(name):
    with pytest.raises(EngineError, match="known: auto, cpu, cuda, cuda:<n>"):
        parse_device(name)
