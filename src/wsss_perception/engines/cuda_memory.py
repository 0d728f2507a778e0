"""Memory of a GPU through cuda-python, which robots without torch have."""

from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsss_perception.engines.options import GPUS, parse_device
from wsss_perception.errors import EngineError

try:
    from cuda.bindings import runtime as cudart
except ImportError:  # cuda-python before 12.6
    from cuda import cudart


class Device:
    """A GPU and a stream of work on it.

    Args:
        name: ``auto``, ``cuda`` or ``cuda:<n>``.

    Attributes:
        number: of the GPU.
        name: the GPU's name and compute capability.
        stream: handle of the stream.

    Raises:
        EngineError: there is no such GPU.
    """

    def __init__(self, name: str) -> None:
        self.stream: Any = None
        kind, self.number = parse_device(name)
        if kind == "cpu":
            raise EngineError(f"device '{name}': engine 'tensorrt' needs a GPU: {GPUS}")
        count = call("count the GPUs", cudart.cudaGetDeviceCount)
        if self.number >= count:
            raise EngineError(f"device '{name}': this machine has {count} GPUs")
        self.use()
        properties = call("ask for the GPU", cudart.cudaGetDeviceProperties, self.number)
        title = bytes(properties.name).split(b"\0")[0].decode()
        self.name = f"{title} sm{properties.major}{properties.minor}"
        self.stream = call("make a stream", cudart.cudaStreamCreate)

    def close(self) -> None:
        """Gives the stream back; the device cannot be used any more."""
        stream, self.stream = self.stream, None
        if stream is not None:
            call("give the stream back", cudart.cudaStreamDestroy, stream)

    def __del__(self) -> None:
        with suppress(EngineError):  # the process may be ending
            self.close()

    def use(self) -> None:
        """Makes it the GPU of the calling thread, as each thread that works with it must."""
        call(f"use GPU {self.number}", cudart.cudaSetDevice, self.number)


class DeviceBuffer:
    """Memory on a GPU that only grows.

    Args:
        device: the GPU.

    Attributes:
        address: of the memory.
    """

    def __init__(self, device: Device) -> None:
        self._device, self._size = device, 0
        self.address = 0

    def reserve(self, size: int) -> bool:
        """Makes room for so many bytes; returns whether the address is a new one."""
        if size <= self._size:
            return False
        self.free()
        self.address = call(f"allocate {size} bytes", cudart.cudaMalloc, size)
        self._size = size
        return True

    def free(self) -> None:
        """Gives the memory back."""
        if self._size:
            self._size = 0
            call("free memory", cudart.cudaFree, self.address)

    def upload(self, values: NDArray) -> None:
        """Copies an array to the start of the memory, in the stream's order."""
        kind = cudart.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._copy(self.address, values.ctypes.data, values.nbytes, kind)

    def download(self, values: NDArray[np.float32]) -> None:
        """Fills an array from the start of the memory, and waits until that is done."""
        kind = cudart.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._copy(values.ctypes.data, self.address, values.nbytes, kind)
        call("wait for the GPU", cudart.cudaStreamSynchronize, self._device.stream)

    def _copy(self, target: int, source: int, size: int, kind: Any) -> None:
        stream = self._device.stream
        call("copy", cudart.cudaMemcpyAsync, target, source, size, kind, stream)


def call(what: str, function: Any, *arguments: Any) -> Any:
    """Calls the CUDA runtime and returns its result.

    Raises:
        EngineError: it reports an error, or is not there.
    """
    try:
        status, *result = function(*arguments)
    except RuntimeError as error:  # the driver's library is missing
        raise EngineError(f"CUDA cannot {what}: {error}") from error
    if int(status):
        raise EngineError(f"CUDA cannot {what}: {status}")
    return result[0] if result else None
