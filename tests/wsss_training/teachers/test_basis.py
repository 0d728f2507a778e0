import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsss_training.teachers.basis import BasisFit


def flat_vectors(rng, count=200, size=12, rank=3):
    """Vectors that lie, but for little noise, on a plane of some rank that misses the origin."""
    directions = rng.standard_normal((rank, size)) * [[9], [5], [3]][:rank]
    vectors = rng.standard_normal((count, rank)) @ directions + rng.standard_normal(size) * 4
    return (vectors + 1e-3 * rng.standard_normal((count, size))).astype(np.float32)


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.integers(1, 50))
def test_a_basis_fitted_bit_by_bit_is_orthonormal_and_keeps_what_there_is(seed, part):
    vectors = flat_vectors(np.random.default_rng(seed))
    fit = BasisFit(12)
    for start in range(0, len(vectors), part):
        fit.add(vectors[start : start + part])
    basis, share = fit.fit(3)
    np.testing.assert_allclose(basis.basis @ basis.basis.T, np.eye(3), atol=1e-5)
    assert share == pytest.approx(1, abs=1e-4)
    restored = basis.restore(basis.reduce(vectors), np.ones((len(vectors), 1), np.float32))
    np.testing.assert_allclose(restored, vectors, atol=0.05)


def test_the_share_that_a_basis_keeps_is_that_of_the_variance_along_it():
    rng = np.random.default_rng(3)
    vectors = rng.standard_normal((5000, 4)).astype(np.float32) * [6, 3, 2, 1] + 50
    fit = BasisFit(4)
    fit.add(vectors.astype(np.float32))
    basis, share = fit.fit(2)
    reduced = basis.reduce(vectors.astype(np.float32))
    assert share == pytest.approx(reduced.var(axis=0).sum() / vectors.var(axis=0).sum(), rel=1e-3)
    assert share == pytest.approx(45 / 50, abs=0.02)
    assert abs(basis.basis[0, 0]) > 0.99  # the widest direction comes first


def test_vectors_that_say_nothing_do_not_move_a_basis():
    vectors = flat_vectors(np.random.default_rng(5))
    fits = [BasisFit(12), BasisFit(12)]
    for fit in fits:
        fit.add(vectors)
    fits[1].add(np.zeros((500, 12), np.float32))
    means = [fit.fit(3)[0].mean for fit in fits]
    np.testing.assert_array_equal(*means)
