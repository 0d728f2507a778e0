import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wsss_training.losses.pairs import draw_pairs, limit_pairs


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def shuffled_views(sizes, seed=0):
    """Pairs of views 0, 10, 20... of the given sizes, in random order."""
    view = np.repeat(np.arange(len(sizes)) * 10, sizes)
    return torch.from_numpy(np.random.default_rng(seed).permutation(view))


@given(
    st.lists(st.integers(0, 20), max_size=6),
    st.integers(1, 12),
    st.integers(0, 12),
    st.integers(0, 10**6),
)
def test_draw_pairs_draws_from_each_view_that_sees_enough(sizes, most, least, seed):
    view = shuffled_views(sizes, seed)
    index = draw_pairs(view, seeded(seed), pairs_per_view=most, min_visible=least)
    assert (index.diff() > 0).all()  # ascending, so without replacement
    drawn = view[index].tolist()
    for v, size in enumerate(sizes):
        assert drawn.count(v * 10) == (min(size, most) if size > least else 0)


def test_draw_pairs_takes_512_of_views_with_more_than_64_pairs():
    view = shuffled_views([64, 65, 600])
    counts = torch.bincount(view[draw_pairs(view, seeded(0))], minlength=21)
    assert counts[[0, 10, 20]].tolist() == [0, 65, 512]


@given(st.lists(st.integers(0, 20), max_size=6), st.integers(1, 12), st.integers(0, 10**6))
def test_limit_pairs_keeps_at_most_so_many_of_each_scene(sizes, most, seed):
    scene = shuffled_views(sizes, seed)
    index = limit_pairs(scene, seeded(seed), most=most)
    assert (index.diff() > 0).all()
    kept = scene[index].tolist()
    assert [kept.count(s * 10) for s in range(len(sizes))] == [min(n, most) for n in sizes]


@pytest.mark.parametrize(
    "draw",
    [
        lambda group, generator: draw_pairs(group, generator, pairs_per_view=5, min_visible=0),
        lambda group, generator: limit_pairs(group, generator, most=5),
    ],
    ids=["draw_pairs", "limit_pairs"],
)
def test_every_pair_of_a_group_is_as_likely_to_be_drawn(draw):
    group = shuffled_views([10, 20])
    generator, draws = seeded(0), 2000
    counts = torch.zeros(30)
    for _ in range(draws):
        counts[draw(group, generator)] += 1
    expected = torch.where(group == 0, draws * 5 / 10, draws * 5 / 20)
    np.testing.assert_allclose(counts, expected, rtol=0.2)


def test_draw_pairs_depends_on_the_generator_alone():
    view = shuffled_views([200, 300])
    first, again = (draw_pairs(view, seeded(1), pairs_per_view=50) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, draw_pairs(view, seeded(2), pairs_per_view=50))
