import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from wsss_perception.frame import UNKNOWN
from wsss_perception.heat import heat_levels, heat_palette
from wsss_perception.ontology import UNKNOWN_COLOR


@given(st.lists(st.floats(-1, 1, width=32) | st.just(float("nan")), max_size=50))
def test_levels_keep_the_order_and_leave_nan_unknown(values):
    similarity = np.array(values, dtype=np.float32)
    levels = heat_levels(similarity)
    assert levels.dtype == np.uint8
    np.testing.assert_array_equal(levels == UNKNOWN, np.isnan(similarity))
    known = levels[np.argsort(similarity)][: np.count_nonzero(~np.isnan(similarity))]
    assert (np.diff(known.astype(int)) >= 0).all()


def test_the_range_of_a_cloud_fills_the_colours():
    similarity = np.linspace(0.20, 0.24, 1000, dtype=np.float32)
    levels = heat_levels(similarity)
    assert (levels[0], levels[-1]) == (0, UNKNOWN - 1)
    assert len(np.unique(levels)) > 200
    assert set(heat_levels(np.full(5, 0.3, np.float32))) == {0}


def test_the_palette_gets_lighter_with_the_level():
    palette = heat_palette()
    assert palette.shape == (256, 3)
    assert palette.dtype == np.uint8
    luma = palette[:UNKNOWN].astype(float) @ [0.3, 0.59, 0.11]
    assert (np.diff(luma) > -0.5).all()
    assert luma[-1] - luma[0] > 180
    assert tuple(palette[UNKNOWN]) == UNKNOWN_COLOR
