"""The TensorRT engine: the lowered network, built for this GPU once and kept.

Written against the documented Python interface of TensorRT 10 and 11 and of cuda-python; the graph
is strongly typed, so that no precision flag is needed.
"""

import hashlib
import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorrt
from numpy.typing import NDArray
from safetensors.numpy import load_file

from wsss_perception.bundle import Bundle, ModelSpec
from wsss_perception.engines.cache import load_or_build, user_cache
from wsss_perception.engines.cuda_memory import Device, DeviceBuffer
from wsss_perception.engines.limits import checked_tables, most_voxels
from wsss_perception.errors import EngineError
from wsss_perception.lowering import FEATURES, LOGITS, lower
from wsss_perception.networks.presets import sizes_of
from wsss_perception.tables import LEVELS, table_shapes

_TYPICAL = (40_000, 25_000, 12_000, 5_000, 2_000)
"""Voxels of a 64-beam sweep at 0.1 m, level by level: for bundles that do not tell theirs."""
_ROOM = 4
"""Largest clouds that an engine is built for, in typical ones."""
_PROFILE = (
    "its TensorRT engine was built for, four times the sweeps of its training; export it from a "
    "training on such clouds, or take engine: spconv"
)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Profile:
    """For how many voxels of each level an engine is tuned, and how many it takes at most."""

    typical: tuple[int, ...]
    most: tuple[int, ...]


def profile_of(spec: ModelSpec) -> Profile:
    """The profile for the sweeps that a model was trained on."""
    known = [spec.input_statistics.get(f"voxels{level}", {}) for level in range(LEVELS)]
    typical = tuple(
        max(int(statistics.get("p50", fallback)), 1)
        for statistics, fallback in zip(known, _TYPICAL, strict=True)
    )
    bound = most_voxels(spec)
    most = tuple(min(_ROOM * count, limit) for count, limit in zip(typical, bound, strict=True))
    return Profile(typical, most)


class TensorRTEngine:
    """Runs a built network; buffers on the GPU grow to the largest cloud and stay.

    Args:
        engine: deserialised for this GPU.
        device: where it runs.
        stem_kernel: kernel size of the network's first convolution.
        classes: of the network.
        most: voxels of each level that it was built for.

    Attributes:
        seconds: of each stage of the last call.
    """

    name = "tensorrt"

    def __init__(
        self, engine: Any, device: Device, stem_kernel: int, classes: int, most: Sequence[int]
    ) -> None:
        self._buffers: dict[str, DeviceBuffer] = {}
        self._engine, self._device, self._stem_kernel = engine, device, stem_kernel
        self._classes, self._most = classes, most
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
        self._device.use()
        start = time.perf_counter()
        tables = checked_tables(coords, self._stem_kernel, self._most, _PROFILE)
        middle = time.perf_counter()
        for name, values in {FEATURES: features, **tables.named(self._stem_kernel)}.items():
            self._bind(name, values.nbytes).upload(np.ascontiguousarray(values))
            if not self._context.set_input_shape(name, values.shape):
                raise EngineError(f"TensorRT refuses '{name}' of shape {list(values.shape)}")
        logits = np.empty((len(coords), self._classes), dtype=np.float32)
        output = self._bind(LOGITS, logits.nbytes)
        if not self._context.execute_async_v3(self._device.stream):
            raise EngineError(f"TensorRT failed on {len(coords)} voxels; its log says why")
        output.download(logits)
        self.seconds = {"tables": middle - start, "network": time.perf_counter() - middle}
        return logits

    def close(self) -> None:
        """Frees the memory on the GPU; the engine cannot be used any more."""
        for buffer in self._buffers.values():
            buffer.free()

    def __del__(self) -> None:
        with suppress(EngineError):  # the process may be ending
            self.close()

    def _bind(self, name: str, size: int) -> DeviceBuffer:
        buffer = self._buffers.setdefault(name, DeviceBuffer(self._device))
        if buffer.reserve(size):
            self._context.set_tensor_address(name, buffer.address)
        return buffer


def load(bundle: Bundle, device: str, precision: str = "fp16") -> TensorRTEngine:
    """Loads a bundle's engine for this GPU; where none is kept, it is built first, in minutes.

    Raises:
        EngineError: no GPU, or TensorRT cannot build or load the network.
        BundleError: the weights are not the network's.
    """
    place = Device(device)
    profile = profile_of(bundle.spec)
    logger = tensorrt.Logger(tensorrt.Logger.WARNING)
    runtime = tensorrt.Runtime(logger)

    graph = lower(bundle.spec, load_file(bundle.weights), precision).SerializeToString()

    def build_anew() -> bytes:
        _log.info("%s: building a TensorRT engine for %s", bundle.folder, place.name)
        return build(graph, bundle.spec, profile, logger)

    path = user_cache() / f"{engine_key(graph, place.name, profile)}.engine"
    engine = load_or_build(path, build_anew, runtime.deserialize_cuda_engine)
    kernel = sizes_of(bundle.spec.network).stem_kernel
    return TensorRTEngine(engine, place, kernel, len(bundle.spec.ontology), profile.most)


def engine_key(graph: bytes, device_name: str, profile: Profile) -> str:
    """Names an engine by all that it depends on: graph, GPU, TensorRT's version and sizes."""
    digest = hashlib.sha256(graph).hexdigest()
    parts = (digest, device_name, tensorrt.__version__, profile)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def build(graph: bytes, spec: ModelSpec, profile: Profile, logger: Any) -> bytes:
    """Builds an engine of a lowered network.

    Args:
        graph: the ONNX model.
        spec: of the network.
        profile: sizes to tune for.
        logger: TensorRT's.

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
    sizes = builder.create_optimization_profile()
    kernel = sizes_of(spec.network).stem_kernel
    shapes = {FEATURES: (0, len(spec.features)), **table_shapes(kernel)}
    for name, (level, columns) in shapes.items():
        rest = (columns,) if columns else ()
        counts = (1, profile.typical[level], profile.most[level])
        sizes.set_shape(name, *((count, *rest) for count in counts))
    config.add_optimization_profile(sizes)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise EngineError("TensorRT cannot build the network; its log says why")
    return bytes(plan)
