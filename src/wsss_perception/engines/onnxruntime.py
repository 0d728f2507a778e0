"""The ONNX Runtime engine: the network as plain operators over index tables; needs no torch."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from wsss_perception import memory
from wsss_perception.bundle import Bundle
from wsss_perception.engines.graph import write_graph
from wsss_perception.engines.limits import (
    INDEXED,
    check_memory,
    checked_tables,
    most_voxels,
    needed_memory,
)
from wsss_perception.engines.options import Options, parse_device
from wsss_perception.errors import EngineError
from wsss_perception.lowering import LOGITS
from wsss_perception.networks.presets import sizes_of

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"

Providers = Sequence[str | tuple[str, dict[str, Any]]]


class ProviderError(EngineError):
    """ONNX Runtime goes on without a provider, such as for want of a library."""


class OnnxRuntimeEngine:
    """Runs a lowered network in ONNX Runtime.

    Args:
        session: of the network's graph.
        device: where it runs, ``cpu`` or ``cuda:<n>``.
        precision: of the graph.
        stem_kernel: kernel size of the network's first convolution.
        limits: most voxels of each level.
        why: what the limits come from, and what to do about them.
        needed: bytes of this machine's memory that a voxel of each level needs at least.

    Attributes:
        seconds: of each stage of the last call.
    """

    name = "onnxruntime"
    kept: Path | None = None

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        device: str,
        precision: str,
        stem_kernel: int,
        limits: Sequence[int],
        why: str = INDEXED,
        needed: Sequence[int] = (),
    ) -> None:
        self.device, self.precision = device, precision
        self._session, self._stem_kernel = session, stem_kernel
        self._limits, self._why, self._needed = limits, why, needed
        self._held = memory.resident() or 0
        self.seconds: dict[str, float] = {}

    def __call__(
        self, coords: NDArray[np.int32], features: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Computes logits [V, C] of voxels at ``coords`` [V, 3] with ``features`` [V, F].

        Raises:
            EngineError: too many voxels, or the runtime fails, such as for want of memory.
        """
        start = time.perf_counter()
        built = checked_tables(coords, self._stem_kernel, self._limits, self._why)
        check_memory([len(table) for table in built.neighbors], self._needed, self._held)
        tables = built.named(self._stem_kernel)
        middle = time.perf_counter()
        try:
            logits = self._session.run([LOGITS], {"features": features, **tables})[0]
        except Exception as error:  # the runtime's own errors have no common base but this
            raise EngineError(f"ONNX Runtime, {len(coords)} voxels: {error}") from error
        self.seconds = {"tables": middle - start, "network": time.perf_counter() - middle}
        return logits


def load(bundle: Bundle, options: Options) -> OnnxRuntimeEngine:
    """Loads a bundle's network as a graph made of its weights.

    Raises:
        EngineError: the device is not there, or the runtime refuses the graph.
        BundleError: the weights are not the network's.
    """
    kind, number = parse_device(options.device)
    has_cuda = CUDA in onnxruntime.get_available_providers()
    if kind == "cuda" and not has_cuda:
        raise EngineError(
            "this ONNX Runtime has no CUDA; install onnxruntime-gpu in the place of onnxruntime, "
            "or take device: cpu"
        )
    if kind == "cpu" or not has_cuda:
        return _load_on_cpu(bundle, options)
    try:
        return _load_on_gpu(bundle, options, number)
    except EngineError as error:
        if kind == "cuda":
            raise
        options.tell(f"ONNX Runtime takes the CPU instead: {error}")
    return _load_on_cpu(bundle, options)


def open_session(graph: bytes, providers: Providers, threads: int = 0) -> Any:
    """Opens a session on the first of some providers.

    Args:
        graph: the ONNX file's content.
        providers: in which to run; the others take what operators the first one cannot.
        threads: of the CPU; 0 leaves them to the runtime.

    Raises:
        EngineError: the runtime refuses the graph.
        ProviderError: it cannot use the first provider, such as for want of a driver.
    """
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    first = providers[0] if isinstance(providers[0], str) else providers[0][0]
    try:
        session = onnxruntime.InferenceSession(
            graph, settings, providers=providers, enable_fallback=0
        )
    except Exception as error:  # see above
        reason = " ".join(str(error).split())
        raise EngineError(f"ONNX Runtime refuses the network on {first}: {reason}") from error
    if session.get_providers()[0] != first:  # it goes on without a library that cannot be loaded
        raise ProviderError(f"ONNX Runtime cannot use {first} here; see what it printed above")
    return session


def _load_on_cpu(bundle: Bundle, options: Options) -> OnnxRuntimeEngine:
    precision = options.precision_on(is_gpu=False)
    session = open_session(write_graph(bundle, precision), [CPU], options.threads)
    return _engine(bundle, session, "cpu", precision, needed_memory(bundle.spec, precision))


def _load_on_gpu(bundle: Bundle, options: Options, number: int) -> OnnxRuntimeEngine:
    precision = options.precision_on(is_gpu=True)
    settings = {"device_id": number}
    if precision == "fp32":
        settings["use_tf32"] = 0  # it is on by default: fp32 would not be fp32
    providers: Providers = [(CUDA, settings), CPU]
    session = open_session(write_graph(bundle, precision), providers, options.threads)
    return _engine(bundle, session, f"cuda:{number}", precision)


def _engine(
    bundle: Bundle, session: Any, device: str, precision: str, needed: Sequence[int] = ()
) -> OnnxRuntimeEngine:
    kernel, limits = sizes_of(bundle.spec.network).stem_kernel, most_voxels(bundle.spec)
    return OnnxRuntimeEngine(session, device, precision, kernel, limits, needed=needed)
