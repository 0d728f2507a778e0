import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsss_training.data.view_choice import draw_views


@given(st.integers(0, 300), st.integers(1, 40), st.one_of(st.none(), st.integers(0, 2**32 - 1)))
def test_one_frame_is_drawn_from_each_equal_part(count, views, seed):
    rng = None if seed is None else np.random.default_rng(seed)
    drawn = draw_views(count, views, rng)
    assert len(drawn) == min(count, views)
    bounds = np.arange(len(drawn) + 1) * count // max(len(drawn), 1)
    assert (drawn >= bounds[:-1]).all()
    assert (drawn < bounds[1:]).all()
    assert np.ptp(np.diff(bounds)) <= 1 if len(drawn) else count == 0


def test_middles_are_taken_without_a_generator():
    np.testing.assert_array_equal(draw_views(9, 3), [1, 4, 7])
    np.testing.assert_array_equal(draw_views(10, 2), [2, 7])


@pytest.mark.parametrize("views", [None, 5, 6])
def test_all_frames_are_taken_where_no_fewer_are_wanted(views):
    np.testing.assert_array_equal(draw_views(5, views, np.random.default_rng(0)), np.arange(5))


def test_every_frame_is_drawn_in_the_long_run_and_a_seed_repeats():
    rng = np.random.default_rng(0)
    drawn = np.concatenate([draw_views(12, 4, rng) for _ in range(100)])
    np.testing.assert_array_equal(np.unique(drawn), np.arange(12))
    again = draw_views(12, 4, np.random.default_rng(0))
    np.testing.assert_array_equal(again, drawn[:4])
