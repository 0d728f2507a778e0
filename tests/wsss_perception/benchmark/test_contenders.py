import numpy as np
import pytest
from made_networks import made_voxels, write_random

from wsss_perception import memory
from wsss_perception.benchmark import contenders
from wsss_perception.benchmark.contenders import CONTENDERS, PEERS, choose, load
from wsss_perception.engines import ENGINES, load_engine
from wsss_perception.engines.options import Options
from wsss_perception.errors import EngineError


def test_auto_and_nothing_choose_everyone():
    assert choose([]) == choose(["auto"]) == choose(["spconv", "auto"]) == CONTENDERS
    assert {*CONTENDERS} == {*ENGINES, *PEERS}


def test_names_are_chosen_once_and_in_their_order():
    assert choose(["onnxruntime", "bare-spconv", "onnxruntime"]) == ("onnxruntime", "bare-spconv")


def test_a_name_that_nobody_has_is_refused():
    with pytest.raises(EngineError, match="unknown engine 'spcnov'; known: auto, tensorrt"):
        choose(["spconv", "spcnov"])


@pytest.mark.parametrize("name", PEERS)
def test_peers_give_the_logits_of_the_engines(tmp_path, name):
    bundle, _ = write_random(tmp_path / "bundle")
    coords, features = made_voxels()
    expected = load_engine("spconv", bundle, "cpu")(coords, features)
    peer = load(name, bundle, Options("cpu"))
    found = peer(coords, features)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())
    assert (peer.name, peer.device, peer.precision) == (name, "cpu", "fp32")
    assert set(peer.seconds) == ({"network"} if name == "bare-spconv" else {"tables", "network"})
    assert min(peer.seconds.values()) > 0


def test_the_graph_in_torch_refuses_what_cannot_fit_into_memory(tmp_path, monkeypatch):
    bundle, _ = write_random(tmp_path / "bundle")
    peer = load("torch-gather", bundle, Options("cpu"))
    monkeypatch.setattr(memory, "available", lambda: 0)
    monkeypatch.setattr(memory, "resident", lambda: 1)
    with pytest.raises(EngineError, match="voxels need at least"):
        peer(*made_voxels())


def test_engines_tell_the_seconds_of_their_network(tmp_path):
    bundle, _ = write_random(tmp_path / "bundle")
    for name, stages in (("spconv", {"network"}), ("onnxruntime", {"tables", "network"})):
        engine = load(name, bundle, Options("cpu"))
        engine(*made_voxels())
        assert set(engine.seconds) == stages
        assert min(engine.seconds.values()) > 0


def test_the_bare_network_refuses_what_spconv_refuses(tmp_path):
    bundle, _ = write_random(tmp_path / "bundle")
    with pytest.raises(EngineError, match="fp32 alone on a CPU"):
        load("bare-spconv", bundle, Options("cpu", "fp16"))


def test_a_peer_whose_library_is_missing_is_told_with_the_reason(tmp_path, monkeypatch):
    bundle, _ = write_random(tmp_path / "bundle")
    monkeypatch.setitem(contenders.PEERS, "bare-spconv", "no_such_library")
    with pytest.raises(EngineError, match="'bare-spconv' cannot run here: No module named"):
        load("bare-spconv", bundle, Options())
