from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsss_perception.voxels import voxelize


@given(st.integers(0, 2**32 - 1), st.integers(0, 60), st.booleans())
def test_voxelize_equals_brute_force(seed, count, ranged):
    rng = np.random.default_rng(seed)
    xyz = rng.uniform(-3, 3, size=(count, 3)).astype(np.float32)
    xyz[rng.random(xyz.shape) < 0.02] = rng.choice([np.nan, np.inf, -np.inf, 3e38])
    values = rng.normal(size=(count, 2)).astype(np.float32)
    point_range = (-2.0, -1.0, -2.5, 1.0, 2.0, 2.5) if ranged else None

    members = defaultdict(list)
    for i, point in enumerate(xyz):
        if not np.isfinite(point).all() or (point > 1e30).any():
            continue
        low, high = np.reshape(point_range, (2, 3)) if ranged else (-np.inf, np.inf)
        if (point < low).any() or (point >= high).any():
            continue
        members[tuple(int(np.floor(c * 2)) for c in point)].append(i)

    grid = voxelize(xyz, 0.5, point_range)
    assert {tuple(c) for c in grid.coords.tolist()} == set(members)
    assert len(grid.coords) == len(members)
    expected = np.full(count, -1)
    means = grid.mean(values)
    for voxel, coord in enumerate(grid.coords.tolist()):
        expected[members[tuple(coord)]] = voxel
        np.testing.assert_allclose(
            means[voxel], values[members[tuple(coord)]].mean(axis=0), atol=1e-5
        )
    np.testing.assert_array_equal(grid.point_voxel, expected)


def test_voxel_zero_covers_zero_up_to_its_size():
    xyz = np.float32([[0, 0, 0], [0.49, 0.49, 0.49], [0.5, 0, 0], [-0.01, 0, 0]])
    grid = voxelize(xyz, 0.5)
    coords = grid.coords[grid.point_voxel]
    np.testing.assert_array_equal(coords, [[0, 0, 0], [0, 0, 0], [1, 0, 0], [-1, 0, 0]])
    assert grid.coords.dtype == np.int32


def test_far_coordinates_do_not_collide():
    xyz = np.float32([[50000, -50000, 0], [-50000, 50000, 0], [0, 0, 50000], [0, 1, -50000]])
    grid = voxelize(xyz, 0.0625)
    np.testing.assert_array_equal(grid.coords[grid.point_voxel], xyz * 16)


def test_points_beyond_the_key_are_in_no_voxel():
    grid = voxelize(np.float32([[200000, 0, 0], [1, 0, 0]]), 0.1)
    np.testing.assert_array_equal(grid.point_voxel, [-1, 0])


def test_to_points_gives_values_of_the_voxel_or_the_fill():
    xyz = np.float32([[1, 0, 0], [np.nan, 0, 0], [0, 0, 0], [1, 0, 0]])
    grid = voxelize(xyz, 0.5)
    values = grid.coords[:, 0].astype(np.uint8)
    np.testing.assert_array_equal(grid.to_points(values, 255), [2, 255, 0, 2])
    assert grid.to_points(grid.coords, -9).tolist()[1] == [-9, -9, -9]


def test_no_points_give_no_voxels():
    for xyz in (np.zeros((0, 3)), np.full((3, 3), np.nan)):
        grid = voxelize(xyz.astype(np.float32), 0.1)
        assert grid.coords.shape == (0, 3)
        assert grid.mean(np.zeros((len(xyz), 4), dtype=np.float32)).shape == (0, 4)
        assert grid.to_points(np.zeros(0, dtype=np.uint8), 255).tolist() == [255] * len(xyz)


@pytest.mark.parametrize("size", [0.0, -0.1, float("nan")])
def test_voxelize_refuses_size(size):
    with pytest.raises(ValueError, match="voxel_size"):
        voxelize(np.zeros((1, 3), dtype=np.float32), size)
