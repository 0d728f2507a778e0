import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsss_training.regions.graph import components, nearest_neighbours
from wsss_training.regions.supervoxels import supervoxels

from .conftest import assert_dense, noisy, same_partition


def test_supervoxels_stop_at_an_edge(corner):
    xyz, truth = corner
    region = supervoxels(xyz)
    away = np.maximum(xyz[:, 0], xyz[:, 2]) > 0.15
    share = np.bincount(region[away], truth[away]) / np.bincount(region[away])
    assert np.minimum(share, 1 - share)[region[away]].mean() < 0.005
    assert 60 < region.max() + 1 < 130  # 8 m2 of cells of 0.09 m2


def test_supervoxels_do_not_jump_a_gap():
    rng = np.random.default_rng(0)
    floor = np.column_stack([rng.uniform(0, 0.1, (8, 2)), np.full(8, 0.02)])
    above = floor + [0, 0, 0.2]  # so few points are all neighbours
    region = supervoxels(np.concatenate([floor, above]).astype(np.float32))
    np.testing.assert_array_equal(region, np.repeat([0, 1], 8))


def test_supervoxels_stop_where_colour_changes():
    rng = np.random.default_rng(0)
    xyz = np.column_stack([rng.uniform(0, 2, (8000, 2)), np.zeros(8000)]).astype(np.float32)
    dark = xyz[:, 0] < 1.13
    colors = np.where(dark[:, None], 0.1, 0.9) * np.ones(3)

    def mixed(region):
        share = np.bincount(region, dark) / np.bincount(region)
        return np.minimum(share, 1 - share)[region].mean()

    assert mixed(supervoxels(xyz, colors=colors, color_weight=5.0)) < 0.2 * mixed(supervoxels(xyz))


@settings(max_examples=15)
@given(st.integers(0, 999), st.integers(0, 400), st.floats(0.05, 2.0))
def test_supervoxels_hold_every_valid_point_once_in_any_order(seed, count, size):
    rng = np.random.default_rng(seed)
    xyz = rng.normal(0, 1, (count, 3)).astype(np.float32)
    xyz[rng.random(count) < 0.1, 1] = np.nan
    region = supervoxels(xyz, size=size, gap=0.5)
    assert_dense(region, count) if (region >= 0).any() else None
    assert ((region >= 0) == np.isfinite(xyz).all(axis=1)).all()
    order = rng.permutation(count)
    assert same_partition(supervoxels(xyz[order], size=size, gap=0.5), region[order])


def test_supervoxels_move_with_the_cloud(corner):
    xyz = corner[0].astype(np.float64)
    assert same_partition(supervoxels(xyz), supervoxels(xyz + [16.0, -8.0, 4.0]))


def test_supervoxels_hang_together(corner):
    region = supervoxels(corner[0])
    distance, index = nearest_neighbours(corner[0].astype(np.float64), 12)
    inside = (region[index] == region[:, None]) & (distance <= 0.15)
    assert components(index, inside).max() == region.max()


@pytest.mark.parametrize("count", [1, 2, 5])
def test_supervoxels_of_points_at_one_place_are_one_region(count):
    assert (supervoxels(np.ones((count, 3), np.float32)) == 0).all()


def test_supervoxels_of_an_empty_cloud_are_none():
    assert supervoxels(np.zeros((0, 3), np.float32)).shape == (0,)
    assert (supervoxels(np.full((4, 3), np.nan)) == -1).all()


def test_supervoxels_lone_points_take_the_nearest_region():
    rng = np.random.default_rng(0)
    patch = np.column_stack([rng.uniform(0, 0.3, (200, 2)), np.zeros(200)])
    xyz = noisy(np.concatenate([patch, patch + [5, 0, 0], [[4.0, 0, 0]]]))
    region = supervoxels(xyz, size=1.0)
    assert region.max() + 1 == 2
    assert region[-1] == region[200] != region[0]
