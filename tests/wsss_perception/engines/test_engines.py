import logging

import pytest
from made_networks import write_random

from wsss_perception import engines
from wsss_perception.engines import load_engine
from wsss_perception.errors import EngineError


def test_load_engine_names_the_known_engines_and_a_missing_library(tmp_path, monkeypatch):
    bundle, _ = write_random(tmp_path / "bundle")
    with pytest.raises(EngineError, match=r"warp.*auto, tensorrt, spconv, onnxruntime"):
        load_engine("warp", bundle)
    monkeypatch.setitem(engines._ENGINES, "spconv", "library_that_is_not_there")
    with pytest.raises(EngineError, match="library_that_is_not_there"):
        load_engine("spconv", bundle)


def test_auto_takes_the_first_engine_that_works_and_says_why_not_the_others(
    tmp_path, monkeypatch, caplog
):
    bundle, _ = write_random(tmp_path / "bundle")
    with caplog.at_level(logging.INFO):
        assert load_engine("auto", bundle, "cpu").name == "spconv"
    assert "spconv is used instead: engine 'tensorrt' cannot run here" in caplog.text
    monkeypatch.setitem(engines._ENGINES, "spconv", "library_that_is_not_there")
    with caplog.at_level(logging.INFO):
        assert load_engine("auto", bundle, "cpu").name == "onnxruntime"
    assert "onnxruntime is used instead" in caplog.text
    assert "library_that_is_not_there" in caplog.text


def test_auto_names_every_reason_where_no_engine_works(tmp_path):
    bundle, _ = write_random(tmp_path / "bundle")
    with pytest.raises(EngineError, match=r"(?s)no engine can run here.*tensorrt.*tpu.*tpu"):
        load_engine("auto", bundle, "tpu")
