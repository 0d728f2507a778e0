"""The index tables on a torch device, for engines whose network runs there too.

The same sorted keys and searches as on the CPU, see ``wsss_perception.tables``.
"""

import torch

from wsss_perception.tables import BITS, LEVELS, OFFSET, key_columns

_LAST = torch.iinfo(torch.int64).max


def build_tables(coords: torch.Tensor, stem_kernel: int) -> dict[str, torch.Tensor]:
    """Builds all tables of one cloud, by the names of ``table_shapes``.

    Args:
        coords: int32 [V, 3], unique and sorted by x, then y, then z; within +-1 M. Not checked: a
            check would wait for the device.
        stem_kernel: kernel size of the first convolution, odd.

    Returns:
        int32 tables on the device of ``coords``.
    """
    x, y, z = (coords.long() + OFFSET).unbind(1)
    keys = (x << 2 * BITS) | (y << BITS) | z
    tables = {"neighbors0": find_neighbors(keys, 3)}
    if stem_kernel != 3:
        tables["stem"] = find_neighbors(keys, stem_kernel)
    for level in range(LEVELS - 1):
        keys, tables[f"children{level}"], tables[f"parents{level}"] = halve(keys)
        tables[f"neighbors{level + 1}"] = find_neighbors(keys, 3)
    return tables


def find_neighbors(keys: torch.Tensor, kernel: int) -> torch.Tensor:
    """Finds the voxels around each voxel, int32 [V, kernel ** 3]; V where there is none.

    Args:
        keys: of the voxels, int64 [V], ascending.
        kernel: edge of the cube in voxels, odd.
    """
    count, reach = len(keys), kernel // 2
    padded = torch.cat([keys, keys.new_full((kernel,), _LAST)])
    rows = torch.arange(count, device=keys.device)
    table = keys.new_full((count + 1, kernel**3), count)  # the last row takes what is not found
    table[:count, kernel**3 // 2] = rows
    for column, step in key_columns(kernel):
        lowest = keys + step - reach
        first = rows + 1 if step == 0 else torch.searchsorted(keys, lowest)
        for number in range(reach if step == 0 else kernel):
            found = first + number
            height = padded[found] - lowest
            is_near = height < kernel
            position = torch.where(is_near, kernel * column + height, 0)
            row, found = torch.where(is_near, rows, count), torch.where(is_near, found, count)
            table[row, position] = found
            table[found, kernel**3 - 1 - position] = row
    return table[:count].int()


def halve(keys: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Halves the resolution; arguments and results as on the CPU."""
    mask = (1 << BITS) - 1
    x, y, z = keys >> 2 * BITS, (keys >> BITS) & mask, keys & mask
    place = ((x & 1) << 2) | ((y & 1) << 1) | (z & 1)
    packed = ((x >> 1) << 2 * BITS) | ((y >> 1) << BITS) | (z >> 1)
    coarse, parent = torch.unique(packed, sorted=True, return_inverse=True)
    slot = 8 * parent + place
    children = keys.new_full((8 * len(coarse),), len(keys))
    children[slot] = torch.arange(len(keys), device=keys.device)
    return coarse, children.reshape(-1, 8).int(), slot.int()
