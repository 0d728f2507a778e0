"""The driver and TensorRT on stand-ins for their libraries, which are called by their C names."""

import ctypes

import pytest

from wsss_perception.engines import driver


class Driver:
    """Two GPUs."""

    def cuInit(self, flags):  # noqa: N802
        return 0

    def cuDeviceGet(self, device, number):  # noqa: N802
        device._obj.value = 40 + number
        return 0 if number < 2 else 101

    def cuDeviceGetName(self, text, size, device):  # noqa: N802
        text.value = b"RTX 3090" if device.value == 41 else b"RTX 3060"
        return 0

    def cuDeviceGetAttribute(self, value, attribute, device):  # noqa: N802
        value._obj.value = {75: 8, 76: 6}[attribute]
        return 0

    def cuDeviceGetPCIBusId(self, text, size, device):  # noqa: N802
        text.value = b"0000:%02d:00.0" % device.value
        return 0


class TensorRT:
    def getInferLibVersion(self):  # noqa: N802
        return 101401


@pytest.fixture
def libraries(monkeypatch):
    """Those that can be opened, by name."""
    there = {}

    def open_library(name):
        if name not in there:
            raise OSError(f"{name}: cannot open shared object file")
        return there[name]

    monkeypatch.setattr(ctypes, "CDLL", open_library)
    return there


def test_gpus_are_told_apart(libraries):
    libraries["libcuda.so.1"] = Driver()
    assert [driver.gpu_name(number) for number in (0, 1)] == ["RTX 3060 sm86", "RTX 3090 sm86"]
    assert [driver.pci_address(number) for number in (0, 1)] == ["0000:40:00.0", "0000:41:00.0"]
    assert (driver.gpu_name(2), driver.pci_address(2)) == ("unknown", None)


def test_tensorrt_is_the_one_that_the_provider_is_linked_to(libraries, tmp_path):
    provider = tmp_path / "provider.so"
    provider.write_bytes(b"\x7fELF" + bytes(5000) + b"\0libnvinfer_plugin.so.9\0libnvinfer.so.10\0")
    assert driver.tensorrt_version(provider) == "unknown"
    libraries["libnvinfer.so.10"] = TensorRT()
    assert driver.tensorrt_version(provider) == "101401"
    assert driver.tensorrt_version(tmp_path / "absent") == "unknown"
    libraries["libnvinfer.so"] = object()  # no TensorRT
    assert driver.tensorrt_version(tmp_path / "absent") == "unknown"
    provider.write_bytes(b"")
    assert driver.tensorrt_version(provider) == "unknown"


def test_without_a_driver_nothing_is_known(libraries):
    assert (driver.gpu_name(0), driver.pci_address(0)) == ("unknown", None)
