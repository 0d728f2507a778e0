import pytest

from wsss_training.losses.ramp import ramp


@pytest.mark.parametrize(
    ("step", "warm_up", "expected"),
    [(0, 10, 0.0), (1, 10, 0.1), (5, 10, 0.5), (10, 10, 1.0), (99, 10, 1.0), (0, 0, 1.0)],
)
def test_ramp_grows_linearly_to_one(step, warm_up, expected):
    assert ramp(step, warm_up) == pytest.approx(expected)
