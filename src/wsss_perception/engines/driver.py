"""What NVIDIA's driver and TensorRT tell of themselves; None, or unknown, where they are absent."""

import ctypes
import mmap
import re
from pathlib import Path

_DRIVER = "libcuda.so.1"
_UNKNOWN = "unknown"
_NAME_SIZE = 256
_CAPABILITY = (75, 76)  # attributes of a GPU: compute capability, major and minor
_TENSORRT = re.compile(rb"libnvinfer\.so\.\d+")


def gpu_name(number: int) -> str:
    """A GPU's name and compute capability, such as ``NVIDIA GeForce RTX 3060 sm86``."""
    found = _find(number)
    if found is None:
        return _UNKNOWN
    driver, device = found
    title = ctypes.create_string_buffer(_NAME_SIZE)
    value = ctypes.c_int()
    if driver.cuDeviceGetName(title, _NAME_SIZE, device):
        return _UNKNOWN
    capability = ""
    for attribute in _CAPABILITY:
        driver.cuDeviceGetAttribute(ctypes.byref(value), attribute, device)
        capability += str(value.value)
    return f"{title.value.decode()} sm{capability}"


def pci_address(number: int) -> str | None:
    """Where a GPU, by CUDA's number, is on the PCI bus, such as ``0000:65:00.0``."""
    found = _find(number)
    text = ctypes.create_string_buffer(_NAME_SIZE)
    if found is None or found[0].cuDeviceGetPCIBusId(text, _NAME_SIZE, found[1]):
        return None
    return text.value.decode()


def tensorrt_version(user: Path) -> str:
    """The version of the TensorRT library that another library is linked to.

    Args:
        user: file of the other library; where it is absent, the system's TensorRT is asked.
    """
    try:
        library = ctypes.CDLL(_linked(user))
        return str(library.getInferLibVersion())
    except (OSError, AttributeError):  # it is not there, or not TensorRT
        return _UNKNOWN


def _linked(user: Path) -> str:
    if not user.is_file() or not user.stat().st_size:
        return "libnvinfer.so"
    with user.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        found = _TENSORRT.search(data)
        return found[0].decode() if found else "libnvinfer.so"


def _find(number: int) -> tuple[ctypes.CDLL, ctypes.c_int] | None:
    try:
        driver = ctypes.CDLL(_DRIVER)
    except OSError:
        return None
    device = ctypes.c_int()
    if driver.cuInit(0) or driver.cuDeviceGet(ctypes.byref(device), number):
        return None
    return driver, device
