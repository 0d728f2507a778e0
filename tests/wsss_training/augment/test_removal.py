import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsss_training.augment.removal import remove_structures

FLOOR, CEILING, WALL, TABLE = range(4)


@pytest.fixture
def room():
    """Floor 0, ceiling 1, walls 2 to 5, a table 6 in the middle, a rug 7; one point of none."""
    rng = np.random.default_rng(0)
    parts = []
    for axis, value, count in ((2, 0, 900), (2, 1, 800), (0, 0, 700), (0, 1, 700), (1, 0, 600)):
        part = rng.uniform(0, 1, (count, 3))
        part[:, axis] = value
        parts.append(part * [6, 5, 2.6])
    part = rng.uniform(0, 1, (500, 3))
    part[:, 1] = 1
    parts.append(part * [6, 5, 2.6])
    parts.append(rng.uniform(0, 1, (2000, 3)) * [1, 1, 0.2] + [2.5, 2, 0.7])
    parts.append(rng.uniform(0, 1, (50, 3)) * [1, 1, 0.01] + [2.5, 2, 0.0])
    parts.append(np.array([[np.nan, 0, 0]]))
    region = np.repeat([*range(8), -1], [len(part) for part in parts])
    return np.concatenate(parts).astype(np.float32), region.astype(np.int32)


def removed(room, keep):
    return set(np.unique(room[1][~keep]).tolist())


def test_remove_structures_drops_floor_ceiling_and_all_four_walls_for_certain(room):
    tags = np.ones(4, dtype=bool)
    rng = np.random.default_rng(0)
    keep, left = remove_structures(*room, tags, FLOOR, CEILING, WALL, rng, probability=1.0)
    assert removed(room, keep) == {0, 1, 2, 3, 4, 5}
    assert keep[np.isin(room[1], [6, 7, -1])].all()
    np.testing.assert_array_equal(left, [False, False, False, True])
    assert tags.all(), "the input changed"


def test_remove_structures_never_drops_at_probability_0(room):
    tags = np.ones(4, dtype=bool)
    keep, left = remove_structures(*room, tags, 0, 1, 2, np.random.default_rng(0), 0.0)
    assert keep.all()
    assert left.all()


def test_remove_structures_leaves_what_the_ontology_or_the_tags_lack(room):
    tags = np.array([True, True, False, True])
    keep, left = remove_structures(*room, tags, FLOOR, None, WALL, np.random.default_rng(0), 1.0)
    assert removed(room, keep) == {0}
    np.testing.assert_array_equal(left, [False, True, False, True])


def test_remove_structures_draws_the_three_apart_with_the_probability(room):
    tags = np.ones(4, dtype=bool)
    rng = np.random.default_rng(0)
    lefts = []
    for _ in range(200):
        keep, left = remove_structures(*room, tags, FLOOR, CEILING, WALL, rng)
        expected = {0: {0}, 1: {1}, 2: {2, 3, 4, 5}}
        assert removed(room, keep) == set().union(*(expected[c] for c in range(3) if not left[c]))
        lefts.append(left[:3])
    np.testing.assert_allclose(np.mean(lefts, axis=0), 0.5, atol=0.12)
    assert len(np.unique(lefts, axis=0)) == 8


def test_remove_structures_does_not_take_the_floor_for_a_wall():
    rng = np.random.default_rng(0)
    floor = rng.uniform(0, 1, (1000, 3)) * [3, 3, 0]
    post = rng.uniform(0, 1, (20, 3)) * [0.1, 0.1, 1.0]
    xyz = np.concatenate([floor, post + [0.1, 1, 0.6]])
    region = np.repeat([0, 1], [1000, 20])
    tags = np.ones(3, dtype=bool)
    keep, left = remove_structures(xyz, region, tags, None, None, 2, np.random.default_rng(0), 1.0)
    assert keep[:1000].all()
    assert not left[2] or keep.all()


def test_remove_structures_leaves_some_points():
    xyz, region = np.random.default_rng(0).normal(size=(50, 3)), np.zeros(50, int)
    tags = np.ones(3, dtype=bool)
    keep, left = remove_structures(xyz, region, tags, 0, 1, 2, np.random.default_rng(0), 1.0)
    assert keep.all()
    assert left.all()
    nowhere = remove_structures(xyz, region - 1, tags, 0, 1, 2, np.random.default_rng(0), 1.0)
    assert nowhere[0].all()
    assert nowhere[1].all()


@settings(max_examples=40)
@given(st.integers(0, 9999), st.integers(0, 80))
def test_remove_structures_drops_whole_regions_and_only_with_a_tag(seed, count):
    rng = np.random.default_rng(seed)
    xyz = rng.uniform(-3, 3, (count, 3))
    xyz[rng.random(count) < 0.1] = np.nan
    region, tags = rng.integers(-1, 7, count), rng.random(5) < 0.5
    keep, left = remove_structures(xyz, region, tags, 0, 3, 4, rng)
    assert not np.isin(region[keep & (region >= 0)], region[~keep]).any()
    assert keep[region < 0].all()
    assert not (left & ~tags).any()
    np.testing.assert_array_equal(left[1:3], tags[1:3])
    assert keep.all() == (left == tags).all()
