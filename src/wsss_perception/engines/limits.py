"""How large a cloud the engines that gather can take."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wsss_perception import memory
from wsss_perception.bundle import ModelSpec
from wsss_perception.errors import EngineError
from wsss_perception.networks.presets import Sizes, sizes_of
from wsss_perception.tables import LEVELS, Tables, build_tables

INDEXED = (
    "this network's graph can index; give the model a point_range or larger voxels, or, where "
    "torch and spconv are installed, take engine: spconv"
)
_MOST_VALUES = 2**31 - 1
"""Runtimes count the values of a tensor in 32 bits."""


def most_voxels(spec: ModelSpec) -> tuple[int, ...]:
    """Most voxels of each level for which every tensor of the graph can be indexed."""
    widths = widest_rows(sizes_of(spec.network), len(spec.features))
    return tuple(_MOST_VALUES // width for width in widths)


def widest_rows(sizes: Sizes, inputs: int) -> list[int]:
    """Most values that the graph holds for one voxel of each level.

    Those are what a convolution gathers, kernel positions times channels, and for each coarse voxel
    the features of its eight children.
    """
    planes = sizes.planes
    before = (sizes.stem, *planes[:4])  # channels of each level on the way down
    after = (*planes[:3:-1], 0)  # and on the way up
    widths = [27 * (down + up) for down, up in zip(before, after, strict=True)]
    for level in range(1, LEVELS):
        widths[level] = max(widths[level], 27 * before[level - 1], 8 * after[level - 1])
    widths[0] = max(widths[0], sizes.stem_kernel**3 * inputs)
    return widths


def needed_memory(spec: ModelSpec, precision: str) -> tuple[int, ...]:
    """Bytes that the graph needs at least for one voxel of each level: its largest tensor's."""
    widths = widest_rows(sizes_of(spec.network), len(spec.features))
    size = 2 if precision == "fp16" else 4
    return tuple(width * size for width in widths)


def check_memory(counts: Sequence[int], needed: Sequence[int], base: int = 0) -> None:
    """Checks that the largest tensor of a graph that runs in this process fits into memory.

    What has it may still run short: the tensor is the least that the graph needs.

    Args:
        counts: voxels of each level.
        needed: bytes for one voxel of each level, see ``needed_memory``; none for no check.
        base: bytes that the process held when the engine was loaded. What it holds beyond, a
            runtime keeps for the next cloud.

    Raises:
        EngineError: it is larger than what the process can get and has for it already.
    """
    most = max((count * size for count, size in zip(counts, needed, strict=False)), default=0)
    left, held = memory.available(), memory.resident()
    if left is None or held is None:
        return
    room = left + max(held - base, 0)
    if most > room:
        raise EngineError(
            f"{counts[0]} voxels need at least {most / 1e9:.1f} GB of memory for one convolution; "
            f"there are {room / 1e9:.1f} GB: give the model a point_range or larger voxels, or, "
            "where torch and spconv are installed, take engine: spconv"
        )


def checked_tables(
    coords: NDArray[np.int32], stem_kernel: int, limits: Sequence[int], why: str = INDEXED
) -> Tables:
    """Builds the tables of a cloud that an engine can take.

    Args:
        coords: voxels [V, 3], in the order of ``voxelize``.
        stem_kernel: kernel size of the network's first convolution.
        limits: most voxels of each level.
        why: what the limits come from, and what to do about them.

    Raises:
        EngineError: a level has more voxels, or they are beyond what tables can hold.
    """
    check_counts([len(coords)], limits, why)
    try:
        tables = build_tables(coords, stem_kernel)
    except ValueError as error:
        raise EngineError(f"{error}; give the model a point_range") from error
    check_counts([len(table) for table in tables.neighbors], limits, why)
    return tables


def check_counts(counts: Sequence[int], limits: Sequence[int], why: str = INDEXED) -> None:
    """Checks the voxels of the first levels, or of all.

    Raises:
        EngineError: there are more than a level's limit.
    """
    for count, limit in zip(counts, limits, strict=False):
        if count > limit:
            raise EngineError(f"{count} voxels are more than the {limit} that {why}")
