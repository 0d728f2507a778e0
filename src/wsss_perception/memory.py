"""How much memory this process has and could get, as Linux tells; bytes."""

import ctypes
import logging
from pathlib import Path

from wsss_perception import cgroup

_PROCESS = Path("/proc/self/status")
_FORGET = Path("/proc/self/clear_refs")
_MACHINE = Path("/proc/meminfo")
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of glibc's mallopt
_MOST_KEPT, _MOST_IN_HEAP = 2**30, 2**25  # bytes; glibc takes no larger block into its heap
_log = logging.getLogger(__name__)


def resident() -> int | None:
    """What this process holds in memory now; None where the system does not tell."""
    return _read(_PROCESS, "VmRSS")


def most_resident() -> int | None:
    """The most that this process held at a time, since the start or ``forget_most``."""
    return _read(_PROCESS, "VmHWM")


def forget_most() -> None:
    """Lets ``most_resident`` count from now on; where the system refuses, it goes on as before."""
    try:
        _FORGET.write_text("5")
    except OSError as error:
        _log.info("%s: the peak of memory counts from the start: %s", _FORGET, error)


def keep_freed() -> None:
    """Lets glibc keep freed blocks of megabytes for the next ones; elsewhere nothing happens.

    It would return them to the system, and each cloud would pay for the page faults of new ones.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_TRIM_THRESHOLD, _MOST_KEPT)
        mallopt(_MMAP_THRESHOLD, _MOST_IN_HEAP)


def available() -> int | None:
    """What this process could get without swapping; None where the system does not tell.

    That is the least of what the machine has left and what its container or service may take.
    """
    left = (_read(_MACHINE, "MemAvailable"), cgroup.memory_left())
    return min((count for count in left if count is not None), default=None)


def installed() -> int | None:
    """The machine's memory; None where the system does not tell."""
    return _read(_MACHINE, "MemTotal")


def _read(path: Path, key: str) -> int | None:
    try:
        lines = path.read_text().splitlines()
    except OSError:  # no Linux
        return None
    found = (line.split() for line in lines if line.startswith(f"{key}:"))
    return next((int(words[1]) * 1024 for words in found), None)
