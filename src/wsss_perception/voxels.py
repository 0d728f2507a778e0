"""Voxelisation: points to integer voxel coordinates, features to voxels, labels back to points."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_BITS = 21  # per axis of a packed key: +-1 M voxels
_LIMIT = 1 << (_BITS - 1)


@dataclass(frozen=True)
class VoxelGrid:
    """Which voxel each point is in.

    Attributes:
        coords: int32 [V, 3], integer coordinates (x, y, z) of the occupied voxels.
        point_voxel: int32 [N], index into ``coords`` of each point's voxel; -1 for points that
            are not finite or out of range.
        order: int64 [M], the M points in a voxel, sorted by voxel.
        starts: int64 [V], where each voxel's points begin in ``order``.
    """

    coords: NDArray[np.int32]
    point_voxel: NDArray[np.int32]
    order: NDArray[np.int64]
    starts: NDArray[np.int64]

    def mean(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Averages point values [N, C] over each voxel -> float32 [V, C]."""
        if not len(self.starts):
            return np.zeros((0, values.shape[1]), dtype=np.float32)
        sums = np.add.reduceat(values[self.order], self.starts, axis=0, dtype=np.float32)
        counts = np.diff(np.append(self.starts, len(self.order)))
        sums /= counts[:, None]
        return sums

    def to_points(self, values: NDArray, fill: float) -> NDArray:
        """Gives every point its voxel's value: [V, ...] -> [N, ...]; ``fill`` where it has none."""
        padded = np.concatenate([values, np.full((1, *values.shape[1:]), fill, values.dtype)])
        return padded[self.point_voxel]


def voxelize(
    xyz: NDArray[np.float32],
    voxel_size: float,
    point_range: tuple[float, ...] | None = None,
) -> VoxelGrid:
    """Sorts points into cubic voxels; voxel (0, 0, 0) covers [0, voxel_size) on each axis.

    Args:
        xyz: points [N, 3] in metres; those not finite are in no voxel.
        voxel_size: edge of a voxel in metres.
        point_range: (x_min, y_min, z_min, x_max, y_max, z_max) in metres; points outside are in
            no voxel.

    Raises:
        ValueError: voxel_size is not positive.
    """
    if not voxel_size > 0:
        raise ValueError(f"voxel_size must be positive, got {voxel_size}")
    # One axis at a time: numpy is several times faster on columns than on rows of three.
    with np.errstate(over="ignore", invalid="ignore"):  # inf and huge values are dropped below
        cells = [np.floor(column * np.float32(1.0 / voxel_size)) for column in xyz.T]
    inside = np.ones(len(xyz), dtype=bool)
    for axis, cell in enumerate(cells):
        # NaN compares false, so this drops points that are not finite as well
        inside &= (cell >= -_LIMIT) & (cell < _LIMIT)
        if point_range is not None:
            low, high = np.float32(point_range[axis]), np.float32(point_range[axis + 3])
            inside &= (xyz[:, axis] >= low) & (xyz[:, axis] < high)
    index = np.flatnonzero(inside)
    keys = _pack([cell[index] for cell in cells])
    sorting = np.argsort(keys)
    order, keys = index[sorting], keys[sorting]
    is_start = np.empty(len(keys), dtype=bool)
    is_start[:1] = True
    np.not_equal(keys[1:], keys[:-1], out=is_start[1:])
    starts = np.flatnonzero(is_start)
    point_voxel = np.full(len(xyz), -1, dtype=np.int32)
    point_voxel[order] = np.cumsum(is_start, dtype=np.int32) - 1
    return VoxelGrid(_unpack(keys[starts]), point_voxel, order, starts)


def _pack(cells: list[NDArray[np.float32]]) -> NDArray[np.int64]:
    x, y, z = (cell.astype(np.int64) + _LIMIT for cell in cells)
    return (x << 2 * _BITS) | (y << _BITS) | z


def _unpack(keys: NDArray[np.int64]) -> NDArray[np.int32]:
    mask = (1 << _BITS) - 1
    axes = (keys >> 2 * _BITS, (keys >> _BITS) & mask, keys & mask)
    return (np.stack(axes, axis=1) - _LIMIT).astype(np.int32)
