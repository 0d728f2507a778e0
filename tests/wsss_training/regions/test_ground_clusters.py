import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsss_training.regions.ground import find_ground
from wsss_training.regions.ground_clusters import ground_clusters
from wsss_training.regions.ground_patches import bimodal_parts, ground_patches

from .conftest import BEAMS, HEIGHT, assert_dense, box, look_at_ground, noisy, same_partition


@settings(max_examples=10)
@given(st.floats(-0.1, 0.1), st.floats(-0.1, 0.1), st.floats(-3, 3))
def test_ground_is_found_on_slopes_and_at_any_sensor_height(rise_x, rise_y, lift):
    xyz = noisy(look_at_ground((rise_x, rise_y)) + [0, 0, lift], 0.01)
    assert find_ground(xyz).on_ground.mean() > 0.98


def test_ground_is_found_behind_a_kerb_and_on_a_road_that_begins_to_climb():
    flat = look_at_ground()
    kerb = flat.copy()
    kerb[flat[:, 1] > 4, 2] += 0.15
    assert find_ground(noisy(kerb, 0.01)).on_ground.mean() > 0.98
    hill = flat.copy()
    hill[:, 2] += 0.06 * np.maximum(flat[:, 0] - 12, 0)
    assert find_ground(noisy(hill, 0.01)).on_ground.mean() > 0.95


def test_ground_is_not_what_stands_on_it():
    car = box((6, -1, -HEIGHT), (10, 1, 0), 0.1)
    wall = box((-20, 8, -HEIGHT), (20, 8.2, 3), 0.2)
    ground = look_at_ground()
    hidden = (np.abs(ground[:, 1]) < 1) & (ground[:, 0] > 6)
    ground = ground[~hidden & (ground[:, 1] < 8)]
    xyz = noisy(np.concatenate([ground, car, wall]), 0.01)
    found = find_ground(xyz)
    assert found.on_ground[: len(ground)].mean() > 0.98
    tall = np.flatnonzero(xyz[:, 2] > -HEIGHT + 0.3)
    tall = tall[tall >= len(ground)]
    assert found.on_ground[tall].mean() < 0.01
    np.testing.assert_allclose(found.height[tall], xyz[tall, 2] + HEIGHT, atol=0.2)


def test_ground_clusters_keep_a_pole_apart_from_the_ground():
    angle = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    z = np.arange(-HEIGHT, 2.0, 0.08)
    pole = np.array([[8 + 0.1 * np.cos(a), 0.7 + 0.1 * np.sin(a), h] for a in angle for h in z])
    ground = look_at_ground()
    region = ground_clusters(noisy(np.concatenate([ground, pole]), 0.01))
    of_pole = region[len(ground) :][pole[:, 2] > -HEIGHT + 0.2]
    assert (of_pole >= 0).all()
    assert len(np.unique(of_pole)) <= 5
    assert not np.isin(region[: len(ground)], of_pole).any()


def test_ground_clusters_part_what_stands_a_metre_apart():
    cars = [box((x, 2, -1.5), (x + 3, 4, -0.2), 0.1) for x in (5.0, 9.0)]
    xyz = noisy(np.concatenate([look_at_ground(), *cars]), 0.01)
    region = ground_clusters(xyz)
    second, first = region[-len(cars[1]) :], region[-2 * len(cars[1]) : -len(cars[1])]
    assert not np.isin(first, second).any()


def test_ground_clusters_join_far_sparse_rings_of_one_wall():
    """At 40 m the rings of 64 beams are 0.3 m apart, points on them 0.05 m."""
    elevation = BEAMS[np.deg2rad(-1.5) < BEAMS]
    azimuth = np.deg2rad(np.arange(-3.0, 3.0, 0.08))
    wall = np.array([[40, 40 * np.tan(a), 40 * np.tan(e)] for a in azimuth for e in elevation])
    xyz = noisy(np.concatenate([look_at_ground(), wall]), 0.01)
    found = ground_clusters(xyz)[-len(wall) :]
    assert (found >= 0).all()
    rings = np.tile(np.arange(len(elevation)), len(azimuth))
    spans = [len(np.unique(rings[found == number])) for number in np.unique(found)]
    assert np.mean(spans) >= 3


def test_ground_patches_split_at_a_kerb_and_at_a_change_of_paving():
    x, y = (grid.ravel() for grid in np.meshgrid(np.arange(0.1, 8, 0.1), np.arange(0.1, 8, 0.1)))
    high = x > 3
    xyz = np.column_stack([x, y, np.where(high, 0.12, 0.0)])
    patch = ground_patches(noisy(xyz, 0.01).astype(np.float64))
    share = np.bincount(patch, high) / np.bincount(patch)
    assert np.minimum(share, 1 - share).max() == 0
    assert patch.max() + 1 == 4 * 5
    flat = xyz * [1, 1, 0]
    assert ground_patches(flat).max() + 1 == 16
    paving = np.where(high, 0.4, 0.2) + np.random.default_rng(0).normal(0, 0.05, len(x))
    patch = ground_patches(flat, paving)
    share = np.bincount(patch, high) / np.bincount(patch)
    assert np.minimum(share, 1 - share)[patch].mean() < 0.03


def test_bimodal_parts_leave_slopes_whole():
    values = np.concatenate([np.linspace(0, 0.2, 100), np.repeat([0.0, 0.1], 50)])
    group = np.repeat([0, 1], 100)
    parts = bimodal_parts(group, values, 0.05, 0.8)
    assert (parts[:100] == 0).all()
    np.testing.assert_array_equal(parts[100:], np.repeat([0, 1], 50))
    assert (bimodal_parts(group, values, 0.15, 0.8) == 0).all()


@settings(max_examples=15)
@given(st.integers(0, 999), st.integers(0, 600))
def test_ground_clusters_are_dense_and_do_not_depend_on_order(seed, count):
    rng = np.random.default_rng(seed)
    xyz = (rng.normal(0, 1, (count, 3)) * [20, 20, 1]).astype(np.float32)
    xyz[rng.random(count) < 0.1] = np.inf
    intensity = rng.random(count).astype(np.float32)
    region = ground_clusters(xyz, intensity)
    assert_dense(region, count) if (region >= 0).any() else None
    assert (region[~np.isfinite(xyz).all(axis=1)] == -1).all()
    order = rng.permutation(count)
    assert same_partition(ground_clusters(xyz[order], intensity[order]), region[order])


@pytest.mark.parametrize("count", [0, 1, 3])
def test_ground_clusters_of_few_points_fail_in_no_way(count):
    assert ground_clusters(np.ones((count, 3), np.float32)).shape == (count,)
    assert (ground_clusters(np.full((count, 3), np.nan, np.float32)) == -1).all()


def test_ground_clusters_of_a_whole_sweep_take_seconds_at_most():
    rng = np.random.default_rng(0)
    rays = np.repeat(look_at_ground()[:20000], 3, axis=0)
    clutter = rng.normal(0, 1, (60000, 3)) * [20, 20, 1] + [0, 0, 1]
    xyz = noisy(np.concatenate([rays, clutter]), 0.02)
    start = time.process_time()
    ground_clusters(xyz)
    assert time.process_time() - start < 8.0  # 0.6 on an idle core
