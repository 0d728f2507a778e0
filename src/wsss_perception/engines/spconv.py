"""The spconv engine: the trained network as it is, on CPU or CUDA."""

import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from wsss_perception.bundle import Bundle
from wsss_perception.engines.options import Options
from wsss_perception.engines.torch_device import find_device
from wsss_perception.errors import EngineError
from wsss_perception.networks.minkunet import MinkUNet


class SpconvEngine:
    """Runs a MinkUNet on spconv.

    Args:
        network: the network, in evaluation mode on ``device``, of ``precision``.
        device: where it runs.
        precision: ``fp32`` or, on a GPU alone, ``fp16``.

    Attributes:
        network: the network.
        seconds: of the last call; tables are built inside the network and not told apart.
    """

    name = "spconv"
    kept: Path | None = None

    def __init__(self, network: MinkUNet, device: torch.device, precision: str = "fp32") -> None:
        self.device, self.precision = str(device), precision
        self.network, self._device = network, device
        self.seconds: dict[str, float] = {}
        self._dtype = torch.float16 if precision == "fp16" else torch.float32

    @torch.inference_mode()
    def __call__(
        self, coords: NDArray[np.int32], features: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Computes logits [V, C] of voxels at ``coords`` [V, 3] with ``features`` [V, F].

        Raises:
            EngineError: it failed, such as for want of memory.
        """
        start = time.perf_counter()
        try:
            batched = torch.from_numpy(np.pad(coords, ((0, 0), (1, 0)))).to(self._device)
            inputs = torch.from_numpy(features).to(self._device, self._dtype)
            logits = self.network(batched, inputs).float().cpu().numpy()  # waits for the device
        except RuntimeError as error:
            raise EngineError(f"spconv, {len(coords)} voxels: {error}") from error
        self.seconds = {"network": time.perf_counter() - start}
        return logits


def load(bundle: Bundle, options: Options) -> SpconvEngine:
    """Loads a bundle's network.

    Raises:
        EngineError: the device is not there or cannot compute so, or the weights are not the
            network's.
    """
    device = find_device(options.device)
    precision = options.precision_on(device.type == "cuda")
    if precision == "fp16" and device.type == "cpu":
        raise EngineError(
            "engine 'spconv' computes in fp32 alone on a CPU; take precision: fp32 or engine: "
            "onnxruntime"
        )
    if options.threads:
        torch.set_num_threads(options.threads)
    spec = bundle.spec
    network = MinkUNet(spec.network, len(spec.features), spec.outputs)
    try:
        network.load_state_dict(load_file(bundle.weights))
    except RuntimeError as error:
        raise EngineError(
            f"{bundle.weights}: not the weights of {spec.network}: {error}"
        ) from error
    try:
        network = network.to(device, torch.float16 if precision == "fp16" else torch.float32)
    except RuntimeError as error:  # such as for want of memory
        raise EngineError(f"engine 'spconv' cannot use {device}: {error}") from error
    return SpconvEngine(network.eval(), device, precision)
