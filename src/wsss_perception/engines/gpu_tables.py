"""Index tables built by torch on the GPU that uses them: no copy, and no wait for the CPU."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from wsss_perception.engines.limits import check_counts
from wsss_perception.errors import EngineError
from wsss_perception.tables import LEVELS, on_torch, sorted_keys


class GpuTables:
    """Builds the tables of clouds on a torch device.

    Args:
        device: where the tables are wanted.
        stem_kernel: kernel size of the network's first convolution.
        limits: most voxels of each level.
        why: what the limits come from, and what to do about them.
    """

    def __init__(
        self, device: torch.device, stem_kernel: int, limits: Sequence[int], why: str
    ) -> None:
        self._device, self._stem_kernel = device, stem_kernel
        self._limits, self._why = limits, why

    def __call__(self, coords: NDArray[np.int32]) -> dict[str, torch.Tensor]:
        """Builds all tables of voxels [V, 3], by the names of ``table_shapes``.

        They are complete when this returns: any stream of the device may read them.

        Raises:
            EngineError: a level has too many voxels, they are beyond what tables can hold, or
                the GPU has no memory for them.
        """
        check_counts([len(coords)], self._limits, self._why)
        try:
            sorted_keys(coords)  # checks what the device would not say
        except ValueError as error:
            raise EngineError(f"{error}; give the model a point_range") from error
        try:
            voxels = torch.from_numpy(coords).to(self._device)
            tables = on_torch.build_tables(voxels, self._stem_kernel)
            if self._device.type == "cuda":
                torch.cuda.current_stream(self._device).synchronize()
        except RuntimeError as error:  # such as for want of memory
            raise EngineError(f"tables of {len(coords)} voxels on the GPU: {error}") from error
        counts = [len(tables[f"neighbors{level}"]) for level in range(LEVELS)]
        check_counts(counts, self._limits, self._why)
        return tables


def device_of(number: int) -> torch.device | None:
    """A GPU by its number; None where torch cannot use it."""
    is_there = torch.cuda.is_available() and number < torch.cuda.device_count()
    return torch.device("cuda", number) if is_there else None
