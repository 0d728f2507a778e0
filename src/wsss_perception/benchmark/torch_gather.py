"""A peer of the engines: the lowered graph, which gathers and multiplies, run by torch itself."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file

from wsss_perception.benchmark.torch_graph import TorchGraph, now
from wsss_perception.bundle import Bundle
from wsss_perception.engines.gpu_tables import GpuTables
from wsss_perception.engines.limits import (
    INDEXED,
    check_memory,
    checked_tables,
    most_voxels,
    needed_memory,
)
from wsss_perception.engines.options import Options
from wsss_perception.engines.torch_device import find_device
from wsss_perception.lowering import FEATURES, lower
from wsss_perception.networks.presets import sizes_of


class TorchGather:
    """The lowered graph, which gathers and multiplies, operator by operator in torch.

    On a GPU the index tables are built there too, by torch; on a CPU by numpy.

    Args:
        bundle: the model.
        device: where it runs.
        precision: in which the graph computes.

    Attributes:
        seconds: of each stage of the last call.
    """

    name = "torch-gather"
    kept: Path | None = None

    def __init__(self, bundle: Bundle, device: torch.device, precision: str) -> None:
        self.device, self.precision = str(device), precision
        self._device = device
        self._graph = TorchGraph(lower(bundle.spec, load_file(bundle.weights), precision), device)
        self._stem_kernel = sizes_of(bundle.spec.network).stem_kernel
        self._limits = most_voxels(bundle.spec)
        self._needed = needed_memory(bundle.spec, precision)
        self._gpu_tables = GpuTables(device, self._stem_kernel, self._limits, INDEXED)
        self.seconds: dict[str, float] = {}

    def __call__(
        self, coords: NDArray[np.int32], features: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Computes logits [V, C] of voxels at ``coords`` [V, 3] with ``features`` [V, F].

        Raises:
            EngineError: more voxels than runtimes can index, or than fit into memory.
        """
        inputs = torch.from_numpy(features).to(self._device)
        start = now(self._device)
        tables = self._tables(coords)
        middle = now(self._device)
        (logits,) = self._graph({FEATURES: inputs, **tables})
        self.seconds = {"tables": middle - start, "network": now(self._device) - middle}
        return logits.cpu().numpy()

    def _tables(self, coords: NDArray[np.int32]) -> dict[str, torch.Tensor]:
        if self._device.type == "cuda":
            return self._gpu_tables(coords)
        built = checked_tables(coords, self._stem_kernel, self._limits)
        check_memory([len(table) for table in built.neighbors], self._needed)
        return {name: torch.from_numpy(t) for name, t in built.named(self._stem_kernel).items()}


def load(bundle: Bundle, options: Options) -> TorchGather:
    """Loads a bundle's lowered graph into torch.

    Raises:
        EngineError: the device is not there.
        BundleError: the weights are not the network's.
    """
    device = find_device(options.device)
    if options.threads:
        torch.set_num_threads(options.threads)
    return TorchGather(bundle, device, options.precision_on(device.type == "cuda"))
