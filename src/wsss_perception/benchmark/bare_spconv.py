"""A peer of the engines: the spconv network alone, with no engine around it."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from wsss_perception.benchmark.torch_graph import now
from wsss_perception.bundle import Bundle
from wsss_perception.engines import spconv
from wsss_perception.engines.options import Options


class BareSpconv:
    """The spconv network alone: torch tensors in, torch tensors out, its indices built inside.

    Args:
        network: in evaluation mode.
        device: where it is.
        precision: of its weights.

    Attributes:
        seconds: of the last call.
    """

    name = "bare-spconv"
    kept: Path | None = None

    def __init__(self, network: torch.nn.Module, device: torch.device, precision: str) -> None:
        self.device, self.precision = str(device), precision
        self._network, self._device = network, device
        self._dtype = torch.float16 if precision == "fp16" else torch.float32
        self.seconds: dict[str, float] = {}

    @torch.inference_mode()
    def __call__(
        self, coords: NDArray[np.int32], features: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Computes logits [V, C] of voxels at ``coords`` [V, 3] with ``features`` [V, F]."""
        batched = torch.from_numpy(np.pad(coords, ((0, 0), (1, 0)))).to(self._device)
        inputs = torch.from_numpy(features).to(self._device, self._dtype)
        start = now(self._device)
        logits = self._network(batched, inputs)
        self.seconds = {"network": now(self._device) - start}
        return logits.float().cpu().numpy()


def load(bundle: Bundle, options: Options) -> BareSpconv:
    """Loads a bundle's network as the spconv engine does.

    Raises:
        EngineError: the spconv engine cannot run here.
    """
    engine = spconv.load(bundle, options)
    return BareSpconv(engine.network, torch.device(engine.device), engine.precision)
