"""Which voxel of a coarser level each voxel of a network's input is in."""

import torch

from wsss_perception.networks.sparse import to_grid


def rows_at(level_indices: torch.Tensor, coords: torch.Tensor, level: int) -> torch.Tensor:
    """Finds the voxels' rows at a decoder level of ``MinkUNet.levels``.

    Args:
        level_indices: int32 [V_s, 4] of (batch, x, y, z), the level's ``indices``; unique.
        coords: int32 [V, 4], *all* voxels that the network was given, at least one: the lowest of
            them say how they were shifted.
        level: s, how many times the level's edges were doubled.

    Returns:
        int64 [V], rows of the level; -1 where it has no such voxel.
    """
    wanted = to_grid(coords).long()
    wanted[:, 1:] >>= level
    known = level_indices.long()
    extent = torch.cat([wanted, known]).amax(dim=0) + 1
    ordered, rows = _keys(known, extent).sort()
    keys = _keys(wanted, extent)
    place = torch.searchsorted(ordered, keys)
    ordered = torch.cat([ordered, ordered.new_full((1,), -1)])  # what is beyond the last
    rows = torch.cat([rows, rows.new_full((1,), -1)])
    return torch.where(ordered[place] == keys, rows[place], -1)


def _keys(indices: torch.Tensor, extent: torch.Tensor) -> torch.Tensor:
    """Numbers the cells of a grid of (batch, x, y, z) [4] of that extent: int64 [V]."""
    batch, x, y, z = indices.unbind(1)
    return ((batch * extent[1] + x) * extent[2] + y) * extent[3] + z
