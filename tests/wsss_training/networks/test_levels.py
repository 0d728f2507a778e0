import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wsss_perception.bundle import NetworkSpec
from wsss_perception.networks.minkunet import MinkUNet
from wsss_perception.networks.sparse import to_grid
from wsss_training.networks.levels import rows_at


def random_coords(seed, count, extent=40, scenes=2):
    """Voxels in no order, of any sign."""
    rng = np.random.default_rng(seed)
    low, high = [0, -extent, -extent, -extent], [scenes, extent, extent, extent]
    coords = rng.permutation(np.unique(rng.integers(low, high, (count, 4)), axis=0))
    return torch.from_numpy(coords.astype(np.int32))


def literal_rows(level_indices, coords, level):
    low = [min(voxel[axis] for voxel in coords) // 16 * 16 for axis in (1, 2, 3)]
    known = {tuple(voxel): row for row, voxel in enumerate(level_indices)}
    return [
        known.get((b, *((v - at) // 2**level for v, at in zip(voxel, low, strict=True))), -1)
        for b, *voxel in coords
    ]


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 60), st.integers(0, 3), st.sampled_from([5, 300_000]))
def test_rows_equal_a_dictionary_also_where_a_level_lacks_voxels(seed, count, level, extent):
    coords = random_coords(seed, count, extent)
    grid = to_grid(coords)
    grid[:, 1:] >>= level
    parents = grid.unique(dim=0)
    generator = torch.Generator().manual_seed(seed)
    parents = parents[torch.randperm(len(parents), generator=generator)]
    rows = rows_at(parents, coords, level)
    assert rows.dtype == torch.int64
    assert rows.tolist() == literal_rows(parents.tolist(), coords.tolist(), level)
    assert torch.equal(parents[rows], grid)
    fewer = parents[len(parents) // 2 :]
    rows = rows_at(fewer, coords, level)
    assert rows.tolist() == literal_rows(fewer.tolist(), coords.tolist(), level)
    assert (rows < 0).any() or len(fewer) == len(parents)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return MinkUNet(NetworkSpec("small", 0.25), inputs=2, classes=5).eval()


@pytest.mark.parametrize("seed", range(3))
@torch.no_grad()
def test_every_voxel_of_a_network_has_its_parent(network, seed):
    coords = random_coords(seed, 300)
    grid = to_grid(coords)
    levels = network.levels(coords, torch.ones(len(coords), 2))
    for level, x in enumerate(levels):
        parents = x.indices[rows_at(x.indices, coords, level)]
        assert torch.equal(parents[:, 0], coords[:, 0])
        assert torch.equal(parents[:, 1:], grid[:, 1:] >> level)
    assert torch.equal(rows_at(levels[0].indices, coords, 0), torch.arange(len(coords)))


@torch.no_grad()
def test_features_of_a_voxel_are_its_own_at_every_level_in_any_order_and_batch(network):
    coords = random_coords(3, 300, scenes=1)
    features = torch.randn(len(coords), 2, generator=torch.Generator().manual_seed(0))
    order = torch.randperm(len(coords), generator=torch.Generator().manual_seed(1))
    other = random_coords(4, 200, scenes=1) + torch.tensor([1, 0, 0, 0], dtype=torch.int32)
    batch = torch.cat([other, coords[order]])
    alone = network.levels(coords, features)
    together = network.levels(batch, torch.cat([torch.ones(len(other), 2), features[order]]))
    for level in range(4):
        expected = alone[level].features[rows_at(alone[level].indices, coords, level)]
        found = together[level].features[rows_at(together[level].indices, batch, level)]
        assert not torch.equal(expected, expected[order])
        torch.testing.assert_close(found[len(other) :], expected[order], atol=1e-4, rtol=1e-4)
