"""How large a cloud the engines that gather can take."""

from collections.abc import Sequence

from wsss_perception.bundle import ModelSpec
from wsss_perception.errors import EngineError
from wsss_perception.networks.presets import Sizes, sizes_of
from wsss_perception.tables import LEVELS

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


def check_size(voxels: Sequence[int], limits: Sequence[int]) -> None:
    """Raises EngineError if a level has more voxels than an engine can take.

    Args:
        voxels: of each level, the first alone or all.
        limits: of each level, see ``most_voxels``.
    """
    for count, limit in zip(voxels, limits, strict=False):
        if count > limit:
            raise EngineError(
                f"{count} voxels are more than the {limit} that this network's graph can index; "
                "give the model a point_range or larger voxels, or take engine: spconv"
            )
