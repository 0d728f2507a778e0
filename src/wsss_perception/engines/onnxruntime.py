"""The ONNX Runtime engine: the network as plain operators over index tables; needs no torch."""

import time
from collections.abc import Sequence

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from safetensors.numpy import load_file

from wsss_perception.bundle import Bundle
from wsss_perception.engines.limits import checked_tables, most_voxels
from wsss_perception.errors import EngineError
from wsss_perception.lowering import LOGITS, lower
from wsss_perception.networks.presets import sizes_of

CUDA = "CUDAExecutionProvider"


class OnnxRuntimeEngine:
    """Runs a lowered network in ONNX Runtime.

    Args:
        session: of the network's graph.
        stem_kernel: kernel size of the network's first convolution.
        limits: most voxels of each level that the graph can index.

    Attributes:
        seconds: of each stage of the last call.
    """

    name = "onnxruntime"

    def __init__(
        self, session: onnxruntime.InferenceSession, stem_kernel: int, limits: Sequence[int]
    ) -> None:
        self._session, self._stem_kernel, self._limits = session, stem_kernel, limits
        self.seconds: dict[str, float] = {}

    def __call__(
        self, coords: NDArray[np.int32], features: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Computes logits [V, C] of voxels at ``coords`` [V, 3] with ``features`` [V, F].

        Raises:
            EngineError: too many voxels, or the runtime fails, such as for want of memory.
        """
        start = time.perf_counter()
        built = checked_tables(coords, self._stem_kernel, self._limits)
        tables = built.named(self._stem_kernel)
        middle = time.perf_counter()
        try:
            logits = self._session.run([LOGITS], {"features": features, **tables})[0]
        except Exception as error:  # the runtime's own errors have no common base but this
            raise EngineError(f"ONNX Runtime, {len(coords)} voxels: {error}") from error
        self.seconds = {"tables": middle - start, "network": time.perf_counter() - middle}
        return logits


def load(bundle: Bundle, device: str) -> OnnxRuntimeEngine:
    """Loads a bundle's network as a graph made of its weights.

    Raises:
        EngineError: the device is not there, or the runtime refuses the graph.
        BundleError: the weights are not the network's.
    """
    providers = _providers(device)
    graph = lower(bundle.spec, load_file(bundle.weights)).SerializeToString()
    try:
        session = onnxruntime.InferenceSession(graph, providers=providers)
    except Exception as error:  # see above
        raise EngineError(f"{bundle.folder}: ONNX Runtime refuses the network: {error}") from error
    if device.startswith("cuda") and session.get_providers()[0] != CUDA:  # it falls back silently
        raise EngineError(f"ONNX Runtime cannot use {CUDA} here; see what it printed above")
    sizes = sizes_of(bundle.spec.network)
    return OnnxRuntimeEngine(session, sizes.stem_kernel, most_voxels(bundle.spec))


def _providers(device: str) -> list[str | tuple[str, dict[str, int]]]:
    """What a session may run on, the best first."""
    available = onnxruntime.get_available_providers()
    kind, _, number = device.partition(":")
    if kind not in ("auto", "cpu", "cuda") or (
        number and not (kind == "cuda" and number.isdigit())
    ):
        raise EngineError(f"unknown device '{device}'; known: auto, cpu, cuda, cuda:<n>")
    if kind == "cpu" or (kind == "auto" and CUDA not in available):
        return ["CPUExecutionProvider"]
    if CUDA not in available:
        raise EngineError(
            "this ONNX Runtime has no CUDA; install onnxruntime-gpu in the place of onnxruntime, "
            "or take device: cpu"
        )
    return [(CUDA, {"device_id": int(number or 0)}), "CPUExecutionProvider"]
