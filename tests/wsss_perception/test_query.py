import sys
from dataclasses import replace

import numpy as np
import pytest
from made_networks import made_texts, write_answering

from wsss_perception import query
from wsss_perception.errors import TextsError
from wsss_perception.query import encode_phrases, find_query
from wsss_perception.text_tower import TEMPLATES, TextTower


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_answering(tmp_path_factory.mktemp("answering") / "bundle")[0]


@pytest.fixture
def towers(bundle, monkeypatch):
    """Text towers that know the bundle's names and one phrase more, by the model asked for."""
    texts = bundle.spec.embedding.texts.texts
    known = dict(zip(texts.names, texts.vectors, strict=True))
    known["a blue cup"] = made_texts(("x", "y", "z")).vectors[2]
    opened = []

    def open_tower(model):
        opened.append(model)
        if model == "absent":
            raise TextsError("no weights")
        encode = lambda filled: np.repeat(  # noqa: E731
            np.stack([known[text] for text in filled[:: len(TEMPLATES)]]), len(TEMPLATES), axis=0
        )
        return TextTower(encode, model)

    monkeypatch.setattr(query, "open_text_tower", open_tower)
    query._open.cache_clear()
    yield opened
    query._open.cache_clear()


def test_a_known_phrase_needs_no_tower(bundle, monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", None)
    texts = bundle.spec.embedding.texts
    found = find_query(bundle.spec, "car")
    np.testing.assert_array_equal(found, texts.project(texts.texts.of("car")))
    assert found.shape == (2, 17)


def test_an_unknown_phrase_without_open_clip_is_refused_with_the_known_ones(bundle, monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", None)
    query._open.cache_clear()
    with pytest.raises(TextsError, match=r"'a blue cup' is not among.*car,.*a red chair.*pip inst"):
        find_query(bundle.spec, "a blue cup")


def test_a_model_of_classes_answers_no_phrases(bundle):
    with pytest.raises(TextsError, match="its bundle has no 'embedding'"):
        find_query(replace(bundle.spec, embedding=None), "car")


def test_an_unknown_phrase_is_encoded_by_the_teacher_s_tower_which_stays_open(bundle, towers):
    found = find_query(bundle.spec, "a blue cup")
    expected = made_texts(("x", "y", "z")).vectors[2:] @ bundle.spec.embedding.texts.basis
    np.testing.assert_allclose(found, expected, atol=1e-6)
    encode_phrases(bundle.spec.embedding, ["a blue cup", "car"])
    assert towers == ["made up"]
    find_query(bundle.spec, "a blue cup", "ViT-X tag")
    assert towers == ["made up", "ViT-X tag"]


def test_the_teacher_s_record_names_the_tower(bundle, towers):
    texts = bundle.spec.embedding.texts
    embedding = replace(bundle.spec.embedding, teacher="ViT-X tag, weights 0123", texts=texts)
    encode_phrases(embedding, ["car"])
    assert towers == ["ViT-X tag"]


def test_weights_that_are_not_there_are_a_reason(bundle, towers):
    with pytest.raises(TextsError, match=r"'a blue cup' is not among .* here: no weights"):
        find_query(bundle.spec, "a blue cup", "absent")


def test_a_teacher_that_is_none_of_open_clip_s_names_can_be_named(bundle, towers):
    texts = bundle.spec.embedding.texts
    embedding = replace(bundle.spec.embedding, teacher="absent, weights 0123", texts=texts)
    with pytest.raises(TextsError, match=r"no weights; or name the teacher's model: --text-model"):
        encode_phrases(embedding, ["car"])
    with pytest.raises(TextsError, match=r"no weights$"):
        encode_phrases(embedding, ["car"], "absent")
