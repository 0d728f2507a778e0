"""The spconv engine: the trained network as it is, on CPU or CUDA."""

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from wsss_perception.bundle import Bundle
from wsss_perception.errors import EngineError
from wsss_perception.networks.minkunet import MinkUNet


class SpconvEngine:
    """Runs a MinkUNet on spconv.

    Args:
        network: the network, in evaluation mode on ``device``.
        device: where it runs.
    """

    name = "spconv"

    def __init__(self, network: MinkUNet, device: torch.device) -> None:
        self._network, self._device = network, device

    @torch.inference_mode()
    def __call__(
        self, coords: NDArray[np.int32], features: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Computes logits [V, C] of voxels at ``coords`` [V, 3] with ``features`` [V, F]."""
        batched = torch.from_numpy(np.pad(coords, ((0, 0), (1, 0)))).to(self._device)
        inputs = torch.from_numpy(features).to(self._device)
        return self._network(batched, inputs).cpu().numpy()


def load(bundle: Bundle, device: str) -> SpconvEngine:
    """Loads a bundle's network.

    Raises:
        EngineError: the device is not there, or the weights are not the network's.
    """
    place = _find_device(device)
    spec = bundle.spec
    network = MinkUNet(spec.network, len(spec.features), len(spec.ontology))
    try:
        network.load_state_dict(load_file(bundle.weights))
    except RuntimeError as error:
        raise EngineError(
            f"{bundle.weights}: not the weights of {spec.network}: {error}"
        ) from error
    return SpconvEngine(network.to(place).eval(), place)


def _find_device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise EngineError(f"unknown device '{name}'; known: auto, cpu, cuda, cuda:0...")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise EngineError(
            f"device '{name}': PyTorch sees {torch.cuda.device_count()} CUDA GPUs here; use one of "
            "them, cpu or auto"
        )
    return device
