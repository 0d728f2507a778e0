"""Networks that answer texts, in every engine."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from made_networks import made_voxels, write_answering, write_random
from stand_in_gpu import stand_in_gpu

from wsss_perception.benchmark.contenders import load
from wsss_perception.engines import check_results, load_engine
from wsss_perception.engines.graph import write_graph
from wsss_perception.engines.options import Options
from wsss_perception.errors import EngineError
from wsss_perception.new_classes import find_texts, ontology_of, write_new_classes


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return write_answering(tmp_path_factory.mktemp("answering") / "bundle")


def expected_logits(bundle, network, full):
    """Logits of the head before it was reduced: the best of the two vectors of each class."""
    coords, features = made_voxels()
    batched = torch.from_numpy(np.pad(coords, ((0, 0), (1, 0))))
    with torch.inference_mode():
        whole = full(network.backbone(batched, torch.from_numpy(features))).numpy()
    texts = bundle.spec.embedding.texts.texts
    cosine = whole @ texts.vectors.T / np.linalg.norm(whole, axis=1, keepdims=True)
    return 100 * np.maximum(cosine[:, :19], cosine[:, 19:38])


@pytest.mark.parametrize("name", ["spconv", "onnxruntime", "bare-spconv", "torch-gather"])
def test_every_engine_gives_the_logits_of_the_whole_head(made, name):
    bundle, network, full = made
    engine = load(name, bundle, Options("cpu", "fp32", 1))
    outputs = engine(*made_voxels())
    assert outputs.shape[1] == bundle.spec.outputs == 17
    logits, expected = bundle.spec.class_logits(outputs), expected_logits(bundle, network, full)
    assert len(np.unique(expected.argmax(axis=1))) > 5
    assert (logits.argmax(axis=1) == expected.argmax(axis=1)).mean() >= 0.999
    np.testing.assert_allclose(logits, expected, atol=0.02)


def test_half_precision_gives_the_same_labels(made):
    bundle, network, full = made
    outputs = load_engine("onnxruntime", bundle, "cpu", "fp16")(*made_voxels())
    labels = bundle.spec.class_logits(outputs).argmax(axis=1)
    assert (labels == expected_logits(bundle, network, full).argmax(axis=1)).mean() >= 0.99


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_the_graph_does_not_depend_on_the_classes(made, tmp_path, precision):
    """An engine is kept under the hash of its graph: one built for a bundle serves the other."""
    bundle = made[0]
    ontology = ontology_of(("car", "a red chair"), "two", bundle.spec.ontology)
    texts = find_texts(bundle, ontology.classes)
    other = write_new_classes(tmp_path / "other", bundle, ontology, texts)
    assert len(other.spec.ontology) == 2
    assert other.spec.outputs == bundle.spec.outputs
    assert write_graph(other, precision) == write_graph(bundle, precision)


def test_an_engine_built_for_a_bundle_serves_its_other_classes(made, tmp_path, monkeypatch):
    bundle = made[0]
    ontology = ontology_of(("car", "a red chair"), "two", bundle.spec.ontology)
    texts = find_texts(bundle, ontology.classes)
    other = write_new_classes(tmp_path / "other", bundle, ontology, texts)
    coords, features = made_voxels()
    expected = load_engine("spconv", bundle, "cpu")(coords, features)
    with stand_in_gpu(tmp_path / "cache"):
        engine = load_engine("tensorrt", bundle, precision="fp32")
        np.testing.assert_allclose(engine(coords, features), expected, atol=1e-4)
        refuse = "wsss_perception.engines.tensorrt.build"
        monkeypatch.setattr(refuse, lambda *given: pytest.fail("built again"))
        again = load_engine("tensorrt", other, precision="fp32")
        assert again.kept == engine.kept
        np.testing.assert_allclose(again(coords, features), expected, atol=1e-4)


@pytest.mark.parametrize("size", [16, 18])
def test_weights_of_another_size_are_refused(made, tmp_path, size):
    bundle = made[0]
    wrong = replace(
        bundle, spec=replace(bundle.spec, embedding=replace(bundle.spec.embedding, size=size))
    )
    with pytest.raises(EngineError, match="not the weights"):
        load_engine("spconv", wrong, "cpu")
    with pytest.raises(Exception, match=r"not the weights.*head\.weight"):
        load_engine("onnxruntime", wrong, "cpu")
    with pytest.raises(EngineError, match="not the weights"):  # of a network without embedding
        load_engine("spconv", replace(bundle, spec=replace(bundle.spec, embedding=None)), "cpu")


class Told:
    """An engine that says it runs on a GPU, and computes outputs with some noise."""

    name, device, precision = "told", "cuda:0", "fp16"

    def __init__(self, engine, change):
        self.engine, self.change = engine, change

    def __call__(self, coords, features):
        return self.change(self.engine(coords, features))


def test_an_engine_on_a_gpu_is_judged_by_its_labels(made):
    """Outputs of an embedding are no logits: which of them is largest says nothing."""
    bundle = made[0]
    engine = load_engine("onnxruntime", bundle, "cpu")
    check_results(Told(engine, lambda outputs: 3 * outputs), bundle)
    with pytest.raises(EngineError, match="of the labels that the CPU gives"):
        check_results(Told(engine, lambda outputs: -outputs), bundle)

    def keep_largest(outputs):
        return np.where(outputs == outputs.max(axis=1, keepdims=True), outputs, np.float32(0))

    with pytest.raises(EngineError, match="of the labels that the CPU gives"):
        check_results(Told(engine, keep_largest), bundle)


def test_a_network_of_classes_is_judged_as_ever(tmp_path):
    bundle, _ = write_random(tmp_path / "bundle")
    engine = load_engine("onnxruntime", bundle, "cpu")
    check_results(Told(engine, lambda logits: logits + 5), bundle)
    with pytest.raises(EngineError, match="of the labels"):
        check_results(Told(engine, lambda logits: -logits), bundle)
