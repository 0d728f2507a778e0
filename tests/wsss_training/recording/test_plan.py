from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from wsss_training.recording.plan import cut, keep_apart, travelled

SECOND = 1_000_000_000
stamp_lists = st.lists(st.integers(0, 200 * SECOND), min_size=1, max_size=60, unique=True).map(
    lambda stamps: np.array(sorted(stamps), dtype=np.int64)
)
places = st.lists(
    st.none() | st.tuples(*[st.floats(-1e3, 1e3)] * 3).map(np.array), min_size=1, max_size=40
)


@given(stamp_lists, st.integers(1, 60 * SECOND))
def test_a_cut_by_time_puts_each_sweep_into_one_scene_in_order(stamps, limit):
    parts = cut(stamps, limit)
    np.testing.assert_array_equal(np.concatenate([stamps[part] for part in parts]), stamps)
    for part in parts:
        assert stamps[part][-1] - stamps[part][0] < limit
    for part, following in pairwise(parts):  # no scene ends early
        assert stamps[following][0] - stamps[part][0] >= limit


@given(places, st.floats(0.1, 500))
def test_a_cut_by_distance_puts_each_sweep_into_one_scene_in_order(places, limit):
    distances = travelled(places)
    if distances is None:
        assert all(place is None for place in places)
        return
    parts = cut(distances, limit)
    index = np.arange(len(places))
    np.testing.assert_array_equal(np.concatenate([index[part] for part in parts]), index)
    assert all(distances[part][-1] - distances[part][0] <= limit for part in parts)


@given(places)
def test_the_distance_travelled_is_the_length_of_the_path_through_the_known_places(places):
    distances = travelled(places)
    known = [place for place in places if place is not None]
    if not known:
        assert distances is None
        return
    assert len(distances) == len(places)
    assert distances[0] == 0
    assert (np.diff(distances) >= 0).all()
    length = sum(np.linalg.norm(b - a) for a, b in pairwise(known))
    np.testing.assert_allclose(distances[-1], length, rtol=1e-9, atol=1e-9)


def test_a_sweep_without_a_place_counts_as_not_moved():
    line = [None, np.zeros(3), None, np.array([3.0, 4, 0]), None]
    np.testing.assert_array_equal(travelled(line), [0, 0, 0, 5, 5])


@given(stamp_lists, st.integers(0, 60 * SECOND))
def test_kept_sweeps_are_apart_and_none_is_dropped_needlessly(stamps, interval):
    kept = keep_apart(stamps, interval)
    assert kept[0] == 0
    assert (np.diff(stamps[kept]) >= interval).all()
    if interval == 0:
        assert len(kept) == len(stamps)
    for index in np.setdiff1d(np.arange(len(stamps)), kept):
        before = stamps[kept[kept < index][-1]]
        assert stamps[index] - before < interval
