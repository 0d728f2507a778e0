import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsss_training.data.draw_order import DrawOrder, group_by_share

SOURCE = np.repeat([0, 1, 2], [40, 7, 13])


def drawn(shares, seed=0, draws=1000):
    groups = group_by_share(np.arange(len(SOURCE)), SOURCE, shares)
    order = DrawOrder(groups, seed, draws)
    return np.array([order[draw] for draw in range(draws)])


@pytest.mark.parametrize("seed", [0, 7])
def test_without_shares_the_order_is_one_permutation_of_all_sweeps_after_the_other(seed):
    indices = np.array([3, 5, 6, 9, 40])
    order = DrawOrder(group_by_share(indices, SOURCE, [None] * 3), seed, 23)
    expected = [
        np.random.default_rng([seed, 0, draw // 5]).permutation(indices)[draw % 5]
        for draw in range(23)
    ]
    assert [order[draw] for draw in range(len(order))] == expected


@settings(max_examples=25)
@given(st.floats(0.02, 0.9), st.integers(0, 900))
def test_any_stretch_of_draws_has_close_to_the_shares(share, start):
    source = SOURCE[drawn([None, share, None])][start : start + 100]
    assert abs(np.count_nonzero(source == 1) - 100 * share) < 4


def test_sources_without_a_share_have_the_rest_by_their_number_of_sweeps():
    counts = np.bincount(SOURCE[drawn([None, 0.5, None], draws=1060)])
    np.testing.assert_allclose(counts, [400, 530, 130], atol=6)


def test_every_sweep_of_a_source_is_drawn_before_any_is_again():
    order = drawn([0.25, 0.5, 0.25])
    for number, size in enumerate(np.bincount(SOURCE)):
        mine = order[SOURCE[order] == number]
        for start in range(0, len(mine) - size, size):
            assert len(set(mine[start : start + size])) == size
        assert (mine[:size] != mine[size : 2 * size]).any()


def test_order_follows_from_seed_and_draw_alone():
    shares = [None, 0.3, 0.2]
    order = drawn(shares)
    np.testing.assert_array_equal(drawn(shares, draws=300), order[:300])
    assert (drawn(shares, seed=1) != order).any()


def test_sources_with_shares_have_random_orders_of_their_own():
    source = np.repeat([0, 1, 2], 50)
    groups = group_by_share(np.arange(150), source, [None, 0.3, 0.3])
    orders = [DrawOrder([group], 0, 50) for group in groups]
    first, second, third = ([order[draw] % 50 for draw in range(50)] for order in orders)
    assert first != second
    assert second != third
    assert 1 not in [group.stream for group in groups], "the augmentation's"
