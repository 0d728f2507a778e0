from dataclasses import replace

import numpy as np
import pytest
from made_networks import made_texts, write_answering, write_random

from wsss_perception import new_classes
from wsss_perception.bundle import read_bundle
from wsss_perception.errors import BundleError, OntologyError, TextsError
from wsss_perception.new_classes import (
    class_names,
    find_texts,
    ontology_of,
    write_new_classes,
)
from wsss_perception.texts import TextEmbeddings


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_answering(tmp_path_factory.mktemp("answering") / "bundle")[0]


def test_classes_keep_what_they_had_and_get_colours_of_their_own(bundle):
    former = bundle.spec.ontology
    names = ("road", "sofa", "lamp", "car")
    made = ontology_of(names, "mine", former)
    assert (made.name, made.classes, made.ground) == ("mine", names, ("road",))
    assert made.colors[0] == former.colors[former.index("road")]
    assert made.colors[3] == former.colors[former.index("car")]
    assert made.raw_ids == ((1,), (2,), (3,), (4,))
    many = ontology_of([f"class {number}" for number in range(60)], "many", former)
    assert len(set(many.colors)) == 60
    with pytest.raises(OntologyError, match="not unique"):
        ontology_of(("car", "car"), "mine", former)


def test_class_names_leave_out_background_prompts():
    texts = made_texts(("wall", "background: sky", "chair", "wall"))
    assert class_names(texts) == ("wall", "chair")


def test_the_new_bundle_answers_by_its_texts_and_keeps_the_former_ones(bundle, tmp_path):
    fresh = made_texts(("a red chair", "sofa", "sofa"), teacher="made up")
    ontology = ontology_of(("sofa", "a red chair"), "two", bundle.spec.ontology)
    made = write_new_classes(tmp_path / "new", bundle, ontology, fresh)
    spec = read_bundle(made.folder).spec
    assert spec == made.spec
    assert spec.ontology == ontology
    assert spec.temperature == bundle.spec.temperature
    assert spec.provenance["trained_classes"] == list(bundle.spec.ontology.classes)
    assert made.weights.read_bytes() == bundle.weights.read_bytes()
    texts, own = spec.embedding.texts.texts, bundle.spec.embedding.texts.texts
    np.testing.assert_array_equal(texts.of("sofa"), fresh.vectors[1:])
    np.testing.assert_array_equal(texts.of("a red chair"), fresh.vectors[:1])  # the fresh one
    np.testing.assert_array_equal(texts.of("car"), own.of("car"))
    outputs = np.random.default_rng(0).standard_normal((30, 17)).astype(np.float32)
    basis = bundle.spec.embedding.texts.basis
    unit = outputs / np.linalg.norm(outputs, axis=1, keepdims=True)
    cosine = unit @ basis.T @ fresh.vectors.T
    expected = 100 * np.stack([cosine[:, 1:].max(axis=1), cosine[:, 0]], axis=1)
    np.testing.assert_allclose(spec.class_logits(outputs), expected, atol=1e-3)

    back = write_new_classes(tmp_path / "back", made, bundle.spec.ontology, texts)
    assert back.spec.provenance == spec.provenance
    np.testing.assert_array_equal(
        back.spec.class_logits(outputs), bundle.spec.class_logits(outputs)
    )


def test_texts_of_another_teacher_or_space_are_refused(bundle, tmp_path):
    ontology = ontology_of(("sofa",), "one", bundle.spec.ontology)
    for texts in (
        made_texts(("sofa",), teacher="another"),
        made_texts(("sofa",), size=32, teacher="made up"),
    ):
        with pytest.raises(BundleError, match="take texts of the same teacher"):
            write_new_classes(tmp_path / "new", bundle, ontology, texts)
    lamp, sofa = replace(ontology, classes=("lamp",)), made_texts(("sofa",), teacher="made up")
    with pytest.raises(BundleError, match=r"no text of the classes \['lamp'\]"):
        write_new_classes(tmp_path / "new", bundle, lamp, sofa)
    assert not list(tmp_path.iterdir())


def test_a_bundle_of_trained_classes_alone_is_refused(tmp_path):
    plain, _ = write_random(tmp_path / "bundle")
    with pytest.raises(BundleError, match="has no 'embedding'"):
        find_texts(plain, ("car",))


def test_names_are_found_among_the_bundle_s_texts_or_encoded(bundle, monkeypatch):
    assert (
        find_texts(bundle, ("car", "a red chair")).names == bundle.spec.embedding.texts.texts.names
    )
    asked = []

    def encode(embedding, phrases, text_model):
        asked.append((list(phrases), text_model))
        return made_texts(("x", "y")).vectors[: len(phrases)]

    monkeypatch.setattr(new_classes, "encode_phrases", encode)
    found = find_texts(bundle, ("desk-lamp", "car", "sofa"), "ViT-X tag")
    assert asked == [(["desk lamp", "sofa"], "ViT-X tag")]
    assert isinstance(found, TextEmbeddings)
    np.testing.assert_array_equal(found.of("sofa"), made_texts(("x", "y")).vectors[1:])

    def refuse(*_):
        raise TextsError("no open_clip")

    monkeypatch.setattr(new_classes, "encode_phrases", refuse)
    with pytest.raises(TextsError, match=r"^lamp: not among .* no open_clip; or give --texts"):
        find_texts(bundle, ("lamp", "car"))
