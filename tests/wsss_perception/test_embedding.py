import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsss_perception.embedding import ClassTexts, reduce_head, similarities
from wsss_perception.errors import TextsError
from wsss_perception.texts import TextEmbeddings


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def made_head(rng, size, planes, rank):
    """An affine head of at most this rank, and features on which it is not zero."""
    factors = rng.standard_normal((size, rank)) @ rng.standard_normal((rank, planes + 1))
    affine = factors.astype(np.float32)
    return affine[:, :-1], affine[:, -1], rng.standard_normal((50, planes)).astype(np.float32)


@given(st.integers(1, 40), st.integers(1, 24), st.integers(1, 25), st.integers(0, 99))
def test_a_reduced_head_keeps_lengths_and_products_with_every_text(size, planes, rank, seed):
    rng = np.random.default_rng(seed)
    weight, bias, h = made_head(rng, size, planes, rank)
    small, offset, basis = reduce_head(weight, bias)
    columns = min(size, planes + 1)
    assert (small.shape, offset.shape, basis.shape) == (
        (columns, planes),
        (columns,),
        (size, columns),
    )
    assert small.dtype == offset.dtype == basis.dtype == np.float32
    texts = unit(rng.standard_normal((7, size)))
    full, reduced = h @ weight.T + bias, h @ small.T + offset
    lengths = np.linalg.norm(full, axis=1)
    scale = lengths.max()
    np.testing.assert_allclose(np.linalg.norm(reduced, axis=1), lengths, atol=1e-5 * scale)
    products = reduced @ (texts @ basis).T
    np.testing.assert_allclose(products, full @ texts.T, atol=1e-5 * scale)
    np.testing.assert_allclose(basis.T @ basis, np.eye(columns), atol=1e-5)


def test_a_head_of_zeros_is_reduced_to_zeros():
    small, offset, basis = reduce_head(np.zeros((6, 3), np.float32), np.zeros(6, np.float32))
    assert not small.any()
    assert not offset.any()
    np.testing.assert_allclose(basis.T @ basis, np.eye(4), atol=1e-6)


@pytest.mark.parametrize("bad", ["weight", "bias", "shape", "vector"])
def test_what_is_no_finite_head_is_refused(bad):
    weight, bias = np.ones((6, 3), np.float32), np.ones(6, np.float32)
    if bad == "weight":
        weight[1, 2] = np.inf
    elif bad == "bias":
        bias[0] = np.nan
    given_bias = bias[:5] if bad == "shape" else bias
    with pytest.raises(ValueError, match=r"not finite|no affine head"):
        reduce_head(weight[0] if bad == "vector" else weight, given_bias)


CLASSES = ("floor", "chair", "wall")
NAMES = ("floor", "a stool", "chair", "wall", "background: sky", "chair", "chair", "wall")


def made_texts(size=16, planes=6, seed=0):
    """Texts in another order than the classes, with 3, 2 and 1 vectors, and a head's basis."""
    rng = np.random.default_rng(seed)
    texts = TextEmbeddings(NAMES, unit(rng.standard_normal((len(NAMES), size))), "teacher")
    weight, bias, h = made_head(rng, size, planes, planes + 1)
    small, offset, basis = reduce_head(weight, bias)
    return texts, basis, h @ weight.T + bias, h @ small.T + offset


@pytest.mark.parametrize("classes", [CLASSES, ("wall", "chair"), ("floor",)])
def test_logits_are_the_scaled_cosines_to_each_class_s_nearest_vector(classes):
    texts, basis, full, reduced = made_texts()
    logits = ClassTexts(texts, basis, classes).logits(reduced, 100.0)
    cosines = unit(full) @ texts.vectors.T
    names = np.array(NAMES)
    expected = np.stack([100 * cosines[:, names == c].max(axis=1) for c in classes], axis=1)
    assert logits.dtype == np.float32
    assert logits.shape == (50, len(classes))
    np.testing.assert_allclose(logits, expected, atol=1e-3)
    assert (cosines[:, 4] > cosines[:, names != "background: sky"].max(axis=1)).any()


def test_similarities_are_cosines_to_the_nearest_vector_of_a_phrase():
    texts, basis, full, reduced = made_texts()
    space = ClassTexts(texts, basis, CLASSES)
    cosines = unit(full) @ texts.vectors.T
    for phrase, columns in (("a stool", [1]), ("chair", [2, 5, 6])):
        found = similarities(reduced, space.find(phrase))
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, cosines[:, columns].max(axis=1), atol=1e-5)
    assert space.find("a table") is None
    other = unit(np.random.default_rng(5).standard_normal((1, 16)))
    expected = (unit(full) @ other.T)[:, 0]
    np.testing.assert_allclose(similarities(reduced, space.project(other)), expected, atol=1e-5)


def test_an_embedding_without_direction_is_like_nothing():
    texts, basis, _, reduced = made_texts()
    space = ClassTexts(texts, basis, CLASSES)
    reduced[:3] = np.array([[0.0], [np.nan], [np.inf]])
    reduced[3, 0] = 1e30  # its square overflows
    logits, found = space.logits(reduced, 100.0), similarities(reduced, space.find("chair"))
    for values in (logits.T[0], found):
        np.testing.assert_array_equal(np.isnan(values), np.arange(50) < 4)


def test_no_voxel_has_no_logits():
    texts, basis, _, reduced = made_texts()
    space = ClassTexts(texts, basis, CLASSES)
    assert space.logits(reduced[:0], 1.0).shape == (0, 3)
    assert similarities(reduced[:0], space.find("chair")).shape == (0,)


def test_texts_that_do_not_fit_classes_or_space_are_refused():
    texts, basis, *_ = made_texts()
    with pytest.raises(TextsError, match=r"no text of the classes \['table'\]"):
        ClassTexts(texts, basis, ("chair", "table"))
    with pytest.raises(TextsError, match="vectors of 16 numbers, the model's space has 15"):
        ClassTexts(texts, basis[1:], CLASSES)
