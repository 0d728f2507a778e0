"""On what something was measured: machine, libraries, load."""

import math
import os
import platform
import re
import subprocess
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from wsss_perception import cgroup, memory
from wsss_perception.engines.driver import pci_address

_LIBRARIES = re.compile(
    r"(numpy|torch|spconv|cumm|onnx|onnxruntime|tensorrt|cuda-python|wsss_perception)([-_].*)?"
)
_CPU_FILE = Path("/proc/cpuinfo")
_BOARD_FILE = Path("/proc/device-tree/model")


def describe_machine() -> dict[str, Any]:
    """Describes this machine: CPU, cores that this process may use, memory in bytes, GPUs, load.

    The load is what other processes did: CPUs busy on average over the last minute.
    """
    return {
        "cpu": _cpu(),
        "cores": usable_cores(),
        "memory": memory.installed(),
        "gpus": _query("name"),
        "load": round(os.getloadavg()[0], 2),
        "system": platform.platform(),
    }


def library_versions() -> dict[str, str]:
    """Versions of Python and of the installed libraries that can matter to speed."""
    found = {entry.metadata["Name"]: entry.version for entry in distributions()}
    chosen = {name: found[name] for name in sorted(found) if _LIBRARIES.fullmatch(name or "")}
    return {"python": platform.python_version(), **chosen}


def usable_cores() -> int:
    """How many cores this process may use, by affinity and by its container's quota."""
    count = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    quota = cgroup.cores()
    return count if quota is None else min(count, math.ceil(quota))


def gpu_memory(device: str) -> int | None:
    """Memory of a GPU in use by all processes, in bytes; None where that is not known.

    The driver is asked for the GPU's place on the PCI bus: it counts GPUs otherwise than CUDA. Some
    boards (Jetson) and parts of a GPU (MIG) tell no figure.

    Args:
        device: ``cuda:<n>``, or anything else for no GPU.
    """
    kind, _, number = device.partition(":")
    address = pci_address(int(number or 0)) if kind == "cuda" else None
    used = _query("memory.used", f"--id={address}") if address else []
    return int(used[0]) * 2**20 if len(used) == 1 and used[0].isdecimal() else None


def _query(key: str, *which: str) -> list[str]:
    words = ["nvidia-smi", f"--query-gpu={key}", "--format=csv,noheader,nounits", *which]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):  # no NVIDIA driver here
        return []
    return [line.strip() for line in done.stdout.splitlines()] if not done.returncode else []


def _cpu() -> str:
    for path, pattern in ((_CPU_FILE, r"model name\s*:\s*(.+)"), (_BOARD_FILE, r"([^\0]+)")):
        found = re.search(pattern, path.read_text()) if path.exists() else None
        if found:
            return found[1].strip()
    return platform.processor() or platform.machine()
