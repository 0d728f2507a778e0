"""The TensorRT engine: the lowered network, built for this GPU once and kept.

Written against the documented Python interface of TensorRT 10 and 11 and of cuda-python; the graph
is strongly typed, so that no precision flag is needed.
"""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import tensorrt
from numpy.typing import NDArray

from wsss_perception.bundle import Bundle, ModelSpec
from wsss_perception.engines.cache import keep, load_or_build, read_kept, user_cache
from wsss_perception.engines.cuda_memory import Device, DeviceBuffer
from wsss_perception.engines.graph import write_graph
from wsss_perception.engines.limits import checked_tables
from wsss_perception.engines.options import Options
from wsss_perception.engines.profile import WHY, Profile, input_shapes, profile_of
from wsss_perception.errors import EngineError
from wsss_perception.lowering import FEATURES, LOGITS
from wsss_perception.networks.presets import sizes_of

MakeTables = Callable[[NDArray[np.int32]], Mapping[str, Any]]
"""Index tables of voxels by name: arrays of numpy, or tensors on the engine's GPU."""


class TensorRTEngine:
    """Runs a built network; buffers on the GPU grow to the largest cloud and stay.

    Args:
        engine: deserialised for this GPU.
        place: where it runs.
        tables: builds the index tables of a cloud, and refuses one that is too large.
        outputs: of the network, for each voxel.
        precision: that it was built for.
        kept: file that holds it; None where it could not be kept.

    Attributes:
        seconds: of each stage of the last call.
        workspace: bytes on the GPU for a cloud of the largest size; None where TensorRT does not
            tell.
    """

    name = "tensorrt"

    def __init__(
        self,
        engine: Any,
        place: Device,
        tables: MakeTables,
        outputs: int,
        precision: str,
        kept: Path | None,
    ) -> None:
        self._buffers: dict[str, DeviceBuffer] = {}
        self._engine, self._place, self._tables, self._outputs = engine, place, tables, outputs
        self.device, self.precision, self.kept = f"cuda:{place.number}", precision, kept
        self.workspace: int | None = getattr(engine, "device_memory_size_v2", None)
        self._context = engine.create_execution_context()
        if self._context is None:
            raise EngineError("TensorRT: no memory on the GPU for this network")
        self.seconds: dict[str, float] = {}

    def __call__(
        self, coords: NDArray[np.int32], features: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Computes logits [V, C] of voxels at ``coords`` [V, 3] with ``features`` [V, F].

        Raises:
            EngineError: more voxels than the engine was built for, or the GPU failed.
        """
        self._place.use()
        start = time.perf_counter()
        tables = self._tables(coords)
        middle = time.perf_counter()
        for name, values in {FEATURES: features, **tables}.items():
            self._give(name, values)
        logits = np.empty((len(coords), self._outputs), dtype=np.float32)
        output = self._bind(LOGITS, logits.nbytes)
        if not self._context.execute_async_v3(int(self._place.stream)):
            raise EngineError(f"TensorRT failed on {len(coords)} voxels; its log says why")
        output.download(logits)
        self.seconds = {"tables": middle - start, "network": time.perf_counter() - middle}
        return logits

    def close(self) -> None:
        """Frees the memory on the GPU; the engine cannot be used any more."""
        self._context = self._engine = None
        for buffer in self._buffers.values():
            buffer.free()
        self._place.close()

    def __del__(self) -> None:
        with suppress(EngineError):  # the process may be ending
            self.close()

    def _give(self, name: str, values: Any) -> None:
        """Makes an array, or a tensor on the GPU where it lies, an input."""
        if isinstance(values, np.ndarray):
            self._bind(name, values.nbytes).upload(np.ascontiguousarray(values))
        else:
            self._context.set_tensor_address(name, values.data_ptr())
        if not self._context.set_input_shape(name, tuple(values.shape)):
            raise EngineError(f"TensorRT refuses '{name}' of shape {list(values.shape)}")

    def _bind(self, name: str, size: int) -> DeviceBuffer:
        buffer = self._buffers.setdefault(name, DeviceBuffer(self._place))
        if buffer.reserve(size):
            self._context.set_tensor_address(name, buffer.address)
        return buffer


def load(bundle: Bundle, options: Options) -> TensorRTEngine:
    """Loads a bundle's engine for this GPU; where none is kept, it is built first, in minutes.

    Raises:
        EngineError: no GPU, or TensorRT cannot build or load the network.
        BundleError: the weights are not the network's.
    """
    place = Device(options.device)
    precision = options.precision_on(is_gpu=True)
    profile = profile_of(bundle.spec)
    graph = write_graph(bundle, precision)
    logger = tensorrt.Logger(tensorrt.Logger.WARNING)
    runtime = tensorrt.Runtime(logger)
    path = user_cache() / f"{engine_key(graph, place.name, profile)}.engine"

    def build_anew() -> bytes:
        options.tell(
            f"{bundle.folder}: building a TensorRT engine for {place.name}, {precision}; this "
            "takes minutes, once"
        )
        timings = user_cache() / f"{timing_key(place.name)}.timing"
        plan, measured = build(graph, bundle.spec, profile, logger, read_kept(timings) or b"")
        keep(timings, measured)
        return plan

    engine, kept = load_or_build(path, build_anew, runtime.deserialize_cuda_engine, options.tell)
    kernel = sizes_of(bundle.spec.network).stem_kernel
    return TensorRTEngine(
        engine,
        place,
        make_tables(place.number, kernel, profile.most),
        bundle.spec.outputs,
        precision,
        path if kept else None,
    )


def make_tables(number: int, stem_kernel: int, limits: Sequence[int]) -> MakeTables:
    """Chooses what builds the tables: torch on the GPU where it can use it, otherwise numpy."""
    with suppress(ImportError, OSError):  # no torch, or a library that it needs is missing
        gpu_tables = import_module("wsss_perception.engines.gpu_tables")
        device = gpu_tables.device_of(number)
        if device is not None:
            return gpu_tables.GpuTables(device, stem_kernel, limits, WHY)

    def on_cpu(coords: NDArray[np.int32]) -> Mapping[str, Any]:
        return checked_tables(coords, stem_kernel, limits, WHY).named(stem_kernel)

    return on_cpu


def engine_key(graph: bytes, device_name: str, profile: Profile) -> str:
    """Names an engine by all that it depends on: graph, GPU, TensorRT's version and sizes."""
    digest = hashlib.sha256(graph).hexdigest()
    return _hashed(digest, device_name, tensorrt.__version__, profile)


def timing_key(device_name: str) -> str:
    """Names what TensorRT measured of its kernels by what that depends on."""
    return _hashed(device_name, tensorrt.__version__)


def build(
    graph: bytes, spec: ModelSpec, profile: Profile, logger: Any, timings: bytes = b""
) -> tuple[bytes, bytes]:
    """Builds an engine of a lowered network.

    Args:
        graph: the ONNX model.
        spec: of the network.
        profile: sizes to tune for.
        logger: TensorRT's.
        timings: what earlier builds on this GPU have measured; makes this one faster.

    Returns:
        The engine, and the timings with what this build has added.

    Raises:
        EngineError: TensorRT cannot read or build the network; with its reasons.
    """
    builder = tensorrt.Builder(logger)
    flags = tensorrt.NetworkDefinitionCreationFlag
    # TensorRT 11 knows no other kind of network and may drop the flag
    typed = getattr(flags, "STRONGLY_TYPED", None)
    network = builder.create_network(0 if typed is None else 1 << int(typed))
    parser = tensorrt.OnnxParser(network, logger)
    if not parser.parse(graph):
        reasons = "; ".join(str(parser.get_error(k)) for k in range(parser.num_errors))
        raise EngineError(f"TensorRT cannot read the network: {reasons}")
    config = builder.create_builder_config()
    config.clear_flag(tensorrt.BuilderFlag.TF32)  # it is on by default: fp32 would not be fp32
    sizes = builder.create_optimization_profile()
    for name, shapes in input_shapes(spec, profile).items():
        sizes.set_shape(name, *shapes)
    config.add_optimization_profile(sizes)
    _set_timings(config, timings)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise EngineError("TensorRT cannot build the network; its log says why")
    return bytes(plan), bytes(config.get_timing_cache().serialize())


def _set_timings(config: Any, timings: bytes) -> None:
    """Gives a build the timings, or none where TensorRT does not take them."""
    known = config.create_timing_cache(timings)
    if known is None or not config.set_timing_cache(known, False):  # False: of this GPU alone
        config.set_timing_cache(config.create_timing_cache(b""), False)


def _hashed(*parts: Any) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
