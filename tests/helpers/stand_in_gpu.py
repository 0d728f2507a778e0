"""Stand-ins for TensorRT and the CUDA runtime on a machine that has neither.

They keep to the documented interface and compute with ONNX Runtime in host memory, so that tests
see what the engine asks of the libraries: profiles, addresses, shapes, the order of its calls.
"""

import ctypes
import json
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from types import ModuleType, SimpleNamespace
from unittest import mock

import numpy as np
import onnxruntime

GPU_TABLES = "wsss_perception.engines.gpu_tables"
MAGIC, TIMINGS = b"stand-in plan\n", b"stand-in timings\n"


class Kind(IntEnum):
    cudaMemcpyHostToDevice = 1  # noqa: N815  # CUDA's own names
    cudaMemcpyDeviceToHost = 2  # noqa: N815


class Cuda(ModuleType):
    """The CUDA runtime with GPUs called ``title`` whose memory is the host's."""

    cudaMemcpyKind = Kind  # noqa: N815

    def __init__(self, gpus: int = 1) -> None:
        super().__init__("runtime")
        self.title, self.streams = b"Stand-in", 0
        self.gpus, self.memory, self.freed = gpus, {}, []
        self.current = threading.local()  # each thread has its own current GPU

    def cudaGetDeviceCount(self):  # noqa: N802
        return 0, self.gpus

    def cudaSetDevice(self, index):  # noqa: N802
        self.current.index = index
        return (0,)

    def cudaGetDeviceProperties(self, index):  # noqa: N802
        return 0, SimpleNamespace(name=self.title + b"\0\0", major=9, minor=0)

    def cudaStreamCreate(self):  # noqa: N802
        self.streams += 1
        return 0, 77

    def cudaStreamDestroy(self, stream):  # noqa: N802
        self.streams -= 1
        return (0 if stream == 77 else 400,)

    def cudaStreamSynchronize(self, stream):  # noqa: N802
        return (0 if stream == 77 else 400,)

    def cudaMalloc(self, size):  # noqa: N802
        if size > 1 << 30 or not hasattr(self.current, "index"):
            return 2, None
        block = np.zeros(size, dtype=np.uint8)
        self.memory[block.ctypes.data] = block
        return 0, block.ctypes.data

    def cudaFree(self, address):  # noqa: N802
        self.freed.append(address)
        return (0 if self.memory.pop(address, None) is not None else 1,)

    def cudaMemcpyAsync(self, target, source, size, kind, stream):  # noqa: N802
        ctypes.memmove(target, source, size)
        return (0,)


class Context:
    def __init__(self, engine) -> None:
        self.engine, self.shapes, self.addresses = engine, {}, {}

    def set_input_shape(self, name, shape):
        low, _, high = self.engine.profile[name]
        self.shapes[name] = tuple(shape)
        return all(a <= n <= b for a, n, b in zip(low, shape, high, strict=True))

    def set_tensor_address(self, name, address):
        self.addresses[name] = address
        return True

    def execute_async_v3(self, stream):
        session = self.engine.session
        feed = {
            i.name: self._view(i.name, np.float32 if i.type == "tensor(float)" else np.int32)
            for i in session.get_inputs()
        }
        (logits,) = session.run(["logits"], feed)
        ctypes.memmove(self.addresses["logits"], logits.ctypes.data, logits.nbytes)
        return True

    def _view(self, name, kind):
        shape = self.shapes[name]
        size = int(np.prod(shape)) * 4
        buffer = (ctypes.c_char * size).from_address(self.addresses[name])
        return np.frombuffer(buffer, dtype=kind).reshape(shape)


class Engine:
    device_memory_size_v2 = 123_000_000

    def __init__(self, content: bytes) -> None:
        head, _, graph = content.removeprefix(MAGIC).partition(b"\n")
        self.profile = json.loads(head)
        self.session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])

    def create_execution_context(self):
        return Context(self)


class Config:
    """Of a build; a timing cache of another content than the stand-in's is refused."""

    def __init__(self) -> None:
        self.timings, self.flags = None, {TensorRT.BuilderFlag.TF32}

    def clear_flag(self, flag):
        self.flags.discard(flag)

    def add_optimization_profile(self, profile): ...

    def create_timing_cache(self, content):
        return bytearray(content) if content.startswith(TIMINGS) or not content else None

    def set_timing_cache(self, timings, ignore_mismatch):
        self.timings = timings
        return not ignore_mismatch

    def get_timing_cache(self):
        return SimpleNamespace(serialize=lambda: self.timings)


class TensorRT(ModuleType):
    """TensorRT; ``builds`` counts the engines that were built."""

    __version__ = "10.0.stand-in"
    BuilderFlag = IntEnum("BuilderFlag", {"TF32": 7})
    NetworkDefinitionCreationFlag = IntEnum("Flags", {"STRONGLY_TYPED": 1})
    builds = 0

    class Logger:
        WARNING = 2

        def __init__(self, level) -> None: ...

    class Runtime:
        def __init__(self, logger) -> None: ...

        def deserialize_cuda_engine(self, content):
            return Engine(content) if content.startswith(MAGIC) else None

    class OnnxParser:
        num_errors = 1

        def __init__(self, network, logger) -> None:
            self.network = network

        def parse(self, graph):
            self.network.graph = graph
            return self.network.flags == 2  # strongly typed

        def get_error(self, number):
            return "not strongly typed"

    class Builder:
        def __init__(self, logger) -> None: ...

        def create_network(self, flags):
            return SimpleNamespace(flags=flags)

        def create_builder_config(self):
            return Config()

        def create_optimization_profile(self):
            self.shapes = {}
            return SimpleNamespace(
                set_shape=lambda name, low, typical, high: self.shapes.update(
                    {name: (low, typical, high)}
                )
            )

        def build_serialized_network(self, network, config):
            assert not config.flags, "fp32 means fp32"
            TensorRT.builds += 1
            config.timings += b"one build;" if config.timings else TIMINGS
            return MAGIC + json.dumps(self.shapes).encode() + b"\n" + network.graph


@contextmanager
def stand_in_gpu(cache: Path, gpus: int = 1) -> Iterator[Cuda]:
    """Puts the stand-ins where the engine imports its libraries from; its cache is ``cache``.

    Tables are built by numpy then: torch would build them on a real GPU.
    """
    mine = [f"wsss_perception.engines.{name}" for name in ("tensorrt", "cuda_memory")]
    cuda, bindings, runtime = ModuleType("cuda"), ModuleType("cuda.bindings"), Cuda(gpus)
    bindings.runtime = runtime
    modules = {
        "cuda": cuda,
        "cuda.bindings": bindings,
        "cuda.bindings.runtime": runtime,
        "tensorrt": TensorRT("tensorrt"),
        GPU_TABLES: None,
    }
    before = {name: sys.modules.pop(name, None) for name in (*modules, *mine)}
    sys.modules.update(modules)
    TensorRT.builds = 0
    try:
        with mock.patch.dict(os.environ, {"XDG_CACHE_HOME": str(cache)}):
            yield runtime
    finally:
        for name, module in before.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module
