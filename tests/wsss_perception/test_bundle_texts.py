"""Bundles of networks that answer texts."""

from dataclasses import replace

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from wsss_perception.bundle import (
    ModelSpec,
    NetworkSpec,
    _sealed,
    default_bundle,
    read_bundle,
    write_bundle,
)
from wsss_perception.bundle_texts import embedding_files, load_class_texts
from wsss_perception.errors import BundleError
from wsss_perception.features import Feature
from wsss_perception.model_spec import EmbeddingSpec
from wsss_perception.ontology import Ontology
from wsss_perception.texts import TextEmbeddings, encode_texts

ONTOLOGY = Ontology("t", ("low", "high"), ((255, 0, 0), (0, 0, 255)), ((1,), (2,)))
TEACHER = "CLIP übung, weights 0123"
SIZE, OUTPUTS = 12, 5


def unit_rows(count, size=SIZE):
    rows = np.random.default_rng(size).standard_normal((count, size))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


TEXTS = TextEmbeddings(("high", "low", "low", "a cat"), unit_rows(4), TEACHER)
BASIS = np.linalg.qr(np.random.default_rng(0).standard_normal((SIZE, OUTPUTS)))[0].astype("f4")
EMBEDDING = EmbeddingSpec(OUTPUTS, 100.0, TEACHER)
SPEC = ModelSpec(ONTOLOGY, NetworkSpec("small"), (Feature("z"),), 0.1, embedding=EMBEDDING)
FILES = {"weights.safetensors": bytes(50), **embedding_files(EMBEDDING, TEXTS, BASIS)}


@pytest.fixture
def folder(tmp_path):
    return write_bundle(tmp_path / "bundle", SPEC, FILES).folder


def reseal(folder, change):
    path = folder / "model.yaml"
    data = yaml.safe_load(path.read_text())
    del data["sha256"]
    change(data)
    path.write_bytes(_sealed(yaml.safe_dump(data, sort_keys=False).encode()))


def test_a_bundle_with_texts_reads_back_equal(folder):
    spec = read_bundle(folder).spec
    assert spec == SPEC
    assert spec.outputs == OUTPUTS
    assert spec.embedding.texts.texts.names == TEXTS.names
    np.testing.assert_array_equal(spec.embedding.texts.texts.vectors, TEXTS.vectors)
    np.testing.assert_array_equal(spec.embedding.texts.basis, BASIS)
    assert replace(SPEC, embedding=None).outputs == 2


@given(
    st.integers(1, 2**40),
    st.floats(min_value=1e-30, allow_infinity=False, allow_nan=False),
    st.text(min_size=1),
)
def test_every_embedding_is_written_as_it_is_read(size, scale, teacher):
    from wsss_perception.bundle import _embedding_from_dict, _embedding_to_dict

    embedding = EmbeddingSpec(size, scale, teacher, "a", "b")
    text = yaml.safe_dump({"schema": 2, "embedding": _embedding_to_dict(embedding)})
    assert _embedding_from_dict(yaml.safe_load(text)) == embedding


def test_a_written_bundle_has_its_texts_at_once(tmp_path):
    spec = write_bundle(tmp_path / "bundle", SPEC, FILES).spec
    outputs = np.random.default_rng(0).standard_normal((7, OUTPUTS)).astype(np.float32)
    assert spec.class_logits(outputs).shape == (7, 2)
    with pytest.raises(BundleError, match="not loaded; take the spec of its read bundle"):
        SPEC.class_logits(outputs)
    assert replace(SPEC, embedding=None).class_logits(outputs) is outputs


def test_only_bundles_with_texts_have_the_newer_schema(folder, tmp_path):
    assert yaml.safe_load((folder / "model.yaml").read_text())["schema"] == 2
    old = read_bundle(default_bundle())
    files = {"weights.safetensors": old.weights.read_bytes()}
    written = write_bundle(tmp_path / "old", old.spec, files).folder / "model.yaml"
    keys = list(yaml.safe_load(written.read_text()))
    assert keys == list(yaml.safe_load((old.folder / "model.yaml").read_text()))
    assert yaml.safe_load(written.read_text())["schema"] == 1


@pytest.mark.parametrize("name", ["texts.safetensors", "basis.safetensors"])
def test_texts_and_basis_are_hashed_and_needed(folder, name):
    path = folder / name
    content = path.read_bytes()
    for position in range(0, len(content), max(1, len(content) // 30)):
        changed = bytearray(content)
        changed[position] ^= 1
        path.write_bytes(changed)
        with pytest.raises(BundleError, match=name):
            read_bundle(folder)
    path.unlink()
    with pytest.raises(BundleError, match=name):
        read_bundle(folder)
    reseal(folder, lambda data: data["files"].pop(name))
    with pytest.raises(BundleError, match=f"embedding needs the file '{name}'"):
        read_bundle(folder)
    with pytest.raises(BundleError, match=f"embedding needs the file '{name}'"):
        write_bundle(folder, SPEC, {k: v for k, v in FILES.items() if k != name})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"texts": b"texts"}, r"texts\.safetensors: not text embeddings"),
        ({"texts": encode_texts(replace(TEXTS, teacher="other"))}, "made by 'other', the model's"),
        ({"texts": encode_texts(replace(TEXTS, vectors=unit_rows(4, 9)))}, "space has 12"),
        (
            {"texts": encode_texts(replace(TEXTS, names=("high", "b", "c", "d")))},
            r"texts\.safetensors: no text of the classes \['low'\]",
        ),
        ({"basis": b""}, r"basis\.safetensors: no basis"),
        ({"basis": save({"other": BASIS})}, r"basis\.safetensors: no basis"),
        ({"basis": save({"basis": BASIS.astype("f8")})}, "not float32"),
        ({"basis": save({"basis": BASIS[0]})}, "not float32"),
        ({"basis": save({"basis": BASIS[:, :4].copy()})}, "4 columns, the network has 5 outputs"),
        ({"basis": save({"basis": BASIS * 2})}, "not orthonormal"),
        ({"basis": save({"basis": BASIS * np.float32("nan")})}, "not orthonormal"),
    ],
)
def test_texts_that_do_not_fit_are_refused_and_nothing_is_written(tmp_path, change, message):
    files = {**FILES, **{f"{name}.safetensors": content for name, content in change.items()}}
    with pytest.raises(BundleError, match=message):
        write_bundle(tmp_path / "bundle", SPEC, files)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.update(schema=1),
        lambda data: data.pop("embedding"),
        lambda data: data.update(embedding=None),
        lambda data: data["embedding"].pop("teacher"),
        lambda data: data["embedding"].update(texts=None),
        lambda data: data["embedding"].update(size=0),
        lambda data: data["embedding"].update(size=5.0),
        lambda data: data["embedding"].update(size=True),
        lambda data: data["embedding"].update(size=6),
        lambda data: data["embedding"].update(logit_scale=0),
        lambda data: data["embedding"].update(logit_scale=float("inf")),
        lambda data: data["embedding"].update(logit_scale="much"),
        lambda data: data["embedding"].update(teacher=""),
        lambda data: data["embedding"].update(teacher="other"),
        lambda data: data["embedding"].update(text_file=["a"]),
        lambda data: data["embedding"].update(text_file="basis.safetensors"),
        lambda data: data["embedding"].update(text_file="weights.safetensors"),
        lambda data: data["embedding"].update(text_file="../texts.safetensors"),
    ],
)
def test_read_refuses_an_embedding_that_does_not_fit(folder, change):
    reseal(folder, change)
    with pytest.raises(BundleError, match=r"bundle"):
        read_bundle(folder)


@given(st.data())
def test_files_of_any_bytes_are_refused_by_name(tmp_path_factory, data):
    name = data.draw(st.sampled_from(["texts.safetensors", "basis.safetensors"]))
    content = bytearray(FILES[name])
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    folder = tmp_path_factory.getbasetemp()
    with pytest.raises(BundleError, match=name):
        load_class_texts(EMBEDDING, ONTOLOGY.classes, {**FILES, name: cut}, folder)
