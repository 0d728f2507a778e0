import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wsss_perception.tables import (
    LEVELS,
    build_tables,
    find_neighbors,
    halve,
    on_torch,
    sorted_keys,
    table_shapes,
)
from wsss_perception.voxels import voxelize


def random_voxels(seed: int, count: int, extent: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return np.unique(generator.integers(-extent, extent, (count, 3)), axis=0).astype(np.int32)


def look_up(voxels: np.ndarray, wanted: np.ndarray) -> int:
    """Row of a voxel; the number of voxels where there is none."""
    rows = np.flatnonzero((voxels == wanted).all(axis=1))
    return int(rows[0]) if len(rows) else len(voxels)


@settings(max_examples=40)
@given(st.integers(0, 9999), st.integers(1, 120), st.integers(1, 6), st.sampled_from([1, 3, 5]))
def test_neighbors_agree_with_a_search_of_every_place(seed, count, extent, kernel):
    voxels, reach = random_voxels(seed, count, extent), kernel // 2
    table = find_neighbors(sorted_keys(voxels), kernel)
    assert table.dtype == np.int32
    steps = np.stack(np.meshgrid(*[np.arange(-reach, reach + 1)] * 3, indexing="ij"), axis=-1)
    expected = [
        [look_up(voxels, voxel + step) for step in steps.reshape(-1, 3)] for voxel in voxels
    ]
    np.testing.assert_array_equal(table, np.reshape(expected, table.shape))


@settings(max_examples=40)
@given(st.integers(0, 9999), st.integers(1, 150), st.integers(1, 40))
def test_children_and_parents_agree_with_floor_division_at_every_level(seed, count, extent):
    voxels = random_voxels(seed, count, extent)
    tables = build_tables(voxels, 3)
    for level in range(LEVELS - 1):
        coarse = np.unique(voxels // 2, axis=0)
        children, parents = tables.children[level], tables.parents[level]
        assert len(children) == len(coarse)
        for row, voxel in enumerate(voxels):
            parent, place = divmod(int(parents[row]), 8)
            np.testing.assert_array_equal(coarse[parent], voxel // 2)
            np.testing.assert_array_equal(
                2 * coarse[parent] + np.unravel_index(place, (2, 2, 2)), voxel
            )
            assert children[parent, place] == row
        assert (children < len(voxels)).sum() == len(voxels)
        voxels = coarse
        np.testing.assert_array_equal(
            tables.neighbors[level + 1], find_neighbors(sorted_keys(coarse), 3)
        )


@settings(max_examples=25)
@given(st.integers(0, 9999), st.integers(0, 150), st.integers(1, 40), st.sampled_from([3, 5]))
def test_tables_of_a_torch_device_are_those_of_the_cpu(seed, count, extent, kernel):
    voxels = random_voxels(seed, count, extent)
    expected = build_tables(voxels, kernel).named(kernel)
    found = on_torch.build_tables(torch.from_numpy(voxels), kernel)
    assert found.keys() == expected.keys() == table_shapes(kernel).keys()
    for name, table in expected.items():
        assert found[name].dtype == torch.int32
        np.testing.assert_array_equal(found[name].numpy(), table, err_msg=name)


def test_stem_has_its_own_table_where_its_kernel_is_larger():
    voxels = random_voxels(0, 60, 4)
    tables = build_tables(voxels, 3)
    assert tables.stem is tables.neighbors[0]
    np.testing.assert_array_equal(
        build_tables(voxels, 5).stem, find_neighbors(sorted_keys(voxels), 5)
    )


@pytest.mark.parametrize("corner", [64 - (1 << 20), (1 << 20) - 65])
def test_the_corners_of_the_range_have_tables(corner):
    tables = build_tables(np.full((1, 3), corner, dtype=np.int32), 5)
    assert all((table == 1).sum() == table.size - 1 for table in tables.neighbors)


def test_no_voxels_give_empty_tables():
    tables = build_tables(np.zeros((0, 3), dtype=np.int32), 5)
    assert [len(table) for table in (*tables.neighbors, tables.stem)] == [0] * 6
    assert [len(table) for table in (*tables.children, *tables.parents)] == [0] * 8


def test_voxels_of_a_cloud_are_in_the_order_that_tables_need():
    xyz = np.random.default_rng(0).uniform(-50, 50, (5000, 3)).astype(np.float32)
    grid = voxelize(xyz, 0.5)
    assert len(build_tables(grid.coords, 3).neighbors[0]) == len(grid.coords)


@pytest.mark.parametrize(
    ("voxels", "reason"),
    [
        ([[1, 0, 0], [0, 0, 0]], "sorted"),
        ([[0, 0, 0], [0, 0, 0]], "unique"),
        ([[1 << 20, 0, 0]], "within"),
        ([[0, -(1 << 20), 0]], "within"),
    ],
)
def test_voxels_that_tables_cannot_be_built_of_are_refused(voxels, reason):
    with pytest.raises(ValueError, match=reason):
        build_tables(np.array(voxels, dtype=np.int32), 3)


def test_halve_keeps_the_order():
    keys, children, _ = halve(sorted_keys(random_voxels(3, 200, 20)))
    assert (np.diff(keys) > 0).all()
    assert children.shape == (len(keys), 8)
