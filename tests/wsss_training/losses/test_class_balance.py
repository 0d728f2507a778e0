import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsss_training.losses.class_balance import class_weights


def test_class_weights_of_a_hand_computed_case():
    weights = class_weights(np.array([90.0, 10.0, 0.0]), exponent=0.5)
    raw = np.array([0.9**-0.5, 0.1**-0.5])
    np.testing.assert_allclose(weights[:2], raw / (0.9 * raw[0] + 0.1 * raw[1]), rtol=1e-6)
    assert weights[2] > weights[1]  # not seen in the sweeps counted, but may be in others


@given(
    st.lists(st.floats(0, 1e6), min_size=1, max_size=20),
    st.floats(0, 1),
)
def test_class_weights_have_a_mean_of_one_over_points_and_favour_the_rare(counts, exponent):
    counts = np.array(counts)
    weights = class_weights(counts, exponent).astype(np.float64)
    if not counts.sum() > 0:
        assert (weights == 1).all()
        return
    assert (weights * counts).sum() / counts.sum() == pytest.approx(1.0, rel=1e-4)
    occurring = counts > 0
    order = np.argsort(counts[occurring])
    assert (np.diff(weights[occurring][order]) <= 1e-4 * weights.max()).all()


def test_class_weights_do_not_let_single_points_dominate():
    weights = class_weights(np.array([1e6, 1.0]), exponent=0.5)
    assert weights[1] / weights[0] == pytest.approx(100, rel=0.01)
