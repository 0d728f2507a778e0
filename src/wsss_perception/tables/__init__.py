"""Index tables of the sparse U-Net: where each convolution finds its inputs; numpy alone.

With these tables the network needs no sparse library: a convolution gathers rows and multiplies.
Everything rests on sorted keys. A voxel's key packs x, y and z so that voxels of a column follow
each other; one binary search a column of the kernel then finds all its voxels, and sorted
searches walk through memory in order. No hash table, nothing to compile.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEVELS = 5
"""Resolutions of the U-Net: that of the voxels, and four times half of it."""

BITS = 21
"""Of each axis in a packed key, which so reaches +-1 M voxels."""
OFFSET = 1 << (BITS - 1)
"""Added to coordinates, so that keys are positive."""
_LAST = np.iinfo(np.int64).max
_MARGIN = 64
"""Voxels so near the ends of the range are refused: neighbours need keys too, at all levels."""

Table = NDArray[np.int32]


@dataclass(frozen=True)
class Tables:
    """Where each convolution of a U-Net finds its inputs.

    A row number equal to the number of rows means no voxel: the networks append a row of zeros.
    Kernel positions count x first and z last, as the weights do.

    Attributes:
        neighbors: of each level, int32 [V_l, 27], the voxels of the 3x3x3 around each voxel.
        stem: int32 [V_0, K * K * K], those of the first convolution; ``neighbors[0]`` for K = 3.
        children: of levels 1 to 4, int32 [V_l, 8], the voxels of the finer level that each covers.
        parents: of levels 0 to 3, int32 [V_l]: 8 * p + k for child k of voxel p.
    """

    neighbors: tuple[Table, ...]
    stem: Table
    children: tuple[Table, ...]
    parents: tuple[Table, ...]

    def named(self, stem_kernel: int) -> dict[str, Table]:
        """Returns the tables under the names that networks take them by; see ``table_shapes``."""
        levels = {
            **{f"neighbors{level}": table for level, table in enumerate(self.neighbors)},
            **{f"children{level}": table for level, table in enumerate(self.children)},
            **{f"parents{level}": table for level, table in enumerate(self.parents)},
        }
        return levels if stem_kernel == 3 else {"stem": self.stem, **levels}


def table_shapes(stem_kernel: int) -> dict[str, tuple[int, int]]:
    """Tells of each table by name the level of its rows and its columns; 0 for a vector."""
    shapes = {} if stem_kernel == 3 else {"stem": (0, stem_kernel**3)}
    shapes |= {f"neighbors{level}": (level, 27) for level in range(LEVELS)}
    shapes |= {f"children{level}": (level + 1, 8) for level in range(LEVELS - 1)}
    return shapes | {f"parents{level}": (level, 0) for level in range(LEVELS - 1)}


def build_tables(coords: NDArray[np.int32], stem_kernel: int) -> Tables:
    """Builds all tables of one cloud.

    Args:
        coords: voxels [V, 3], unique and sorted by x, then y, then z, as ``voxelize`` gives them.
        stem_kernel: kernel size K of the first convolution, odd.

    Raises:
        ValueError: the voxels are not sorted, not unique, or beyond +-1 M.
    """
    keys = sorted_keys(coords)
    neighbors, children, parents = [find_neighbors(keys, 3)], [], []
    stem = neighbors[0] if stem_kernel == 3 else find_neighbors(keys, stem_kernel)
    for _ in range(LEVELS - 1):
        keys, below, above = halve(keys)
        children.append(below)
        parents.append(above)
        neighbors.append(find_neighbors(keys, 3))
    return Tables(tuple(neighbors), stem, tuple(children), tuple(parents))


def sorted_keys(coords: NDArray[np.int32]) -> NDArray[np.int64]:
    """Packs voxels into keys that have their order.

    Raises:
        ValueError: as for ``build_tables``.
    """
    reach = OFFSET - _MARGIN
    if len(coords) and (coords.min() < -reach or coords.max() >= reach):
        raise ValueError(f"voxels must lie within {-reach}..{reach - 1}")
    x, y, z = (coords.T.astype(np.int64)) + OFFSET
    keys = (x << 2 * BITS) | (y << BITS) | z
    if (np.diff(keys) <= 0).any():
        raise ValueError("voxels must be unique and sorted by x, then y, then z")
    return keys


def find_neighbors(keys: NDArray[np.int64], kernel: int) -> Table:
    """Finds the voxels around each voxel.

    Args:
        keys: of the voxels [V], ascending.
        kernel: edge of the cube in voxels, odd.

    Returns:
        int32 [V, kernel ** 3]; V where there is no voxel.
    """
    count, reach = len(keys), kernel // 2
    table = np.full((count, kernel**3), count, dtype=np.int32)
    table[:, kernel**3 // 2] = np.arange(count)
    padded = np.concatenate([keys, np.full(kernel, _LAST)])
    for column, step in key_columns(kernel):
        lowest = keys + step - reach
        # of the own column everything above the voxel: what is below has it as its neighbour
        first = np.arange(1, count + 1) if step == 0 else np.searchsorted(keys, lowest)
        for number in range(reach if step == 0 else kernel):
            found = first + number
            height = padded[found] - lowest
            rows = np.flatnonzero(height < kernel)
            position, found = kernel * column + height[rows], found[rows]
            table[rows, position] = found
            table[found, kernel**3 - 1 - position] = rows  # a neighbour's neighbour is oneself
    return table


def key_columns(kernel: int) -> Iterator[tuple[int, int]]:
    """Yields number and step of key of half of a kernel's columns, the middle one included."""
    reach = kernel // 2
    for x in range(reach + 1):
        for y in range(-reach if x else 0, reach + 1):
            yield (x + reach) * kernel + y + reach, (x << 2 * BITS) + (y << BITS)


def halve(keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], Table, Table]:
    """Halves the resolution.

    Args:
        keys: of the voxels [V], ascending.

    Returns:
        The coarser voxels' keys [W], ascending; children int32 [W, 8] of each of them, V for
        none; and 8 * p + k int32 [V], where p is a voxel's parent and k its place in it.
    """
    mask = (1 << BITS) - 1
    axes = (keys >> 2 * BITS, (keys >> BITS) & mask, keys & mask)
    x, y, z = (axis >> 1 for axis in axes)
    place = sum((axis & 1) << shift for axis, shift in zip(axes, (2, 1, 0), strict=True))
    coarse, parent = np.unique((x << 2 * BITS) | (y << BITS) | z, return_inverse=True)
    # halves of the offset stay in the keys of the coarser levels: only differences matter
    slot = 8 * parent + place
    children = np.full(8 * len(coarse), len(keys), dtype=np.int32)
    children[slot] = np.arange(len(keys))
    return coarse, children.reshape(-1, 8), slot.astype(np.int32)
