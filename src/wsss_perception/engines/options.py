"""What a user can ask of an engine, and how its words are read."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from wsss_perception.errors import EngineError

PRECISIONS = ("auto", "fp32", "fp16")
GPUS = "auto, cuda, cuda:<n>"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """How an engine is to run.

    Attributes:
        device: ``cpu``, ``cuda``, ``cuda:1``...; ``auto`` takes CUDA where it is available.
        precision: of the network's arithmetic, ``fp32`` or ``fp16``; ``auto`` takes fp16 on a GPU
            and fp32 on a CPU.
        threads: of the CPU, for engines that run there; 0 leaves them to the library.
        tell: shows the user a line, such as that an engine is built, which takes minutes.
    """

    device: str = "auto"
    precision: str = "auto"
    threads: int = 0
    tell: Callable[[str], None] = _log.info

    def __post_init__(self) -> None:
        """Checks the precision.

        Raises:
            EngineError: there is no such precision.
        """
        if self.precision not in PRECISIONS:
            raise EngineError(
                f"unknown precision '{self.precision}'; known: {', '.join(PRECISIONS)}"
            )

    def precision_on(self, is_gpu: bool) -> str:
        """Tells the precision, ``fp32`` or ``fp16``, on a GPU or a CPU."""
        if self.precision == "auto":
            return "fp16" if is_gpu else "fp32"
        return self.precision


def parse_device(name: str) -> tuple[str, int]:
    """Reads a device's name -> its kind, ``auto``, ``cpu`` or ``cuda``, and the GPU's number.

    Raises:
        EngineError: it is none of the names.
    """
    kind, colon, number = name.partition(":")
    is_number = number.isdecimal() and number.isascii()
    if kind not in ("auto", "cpu", "cuda") or (colon and not (kind == "cuda" and is_number)):
        raise EngineError(f"unknown device '{name}'; known: auto, cpu, cuda, cuda:<n>")
    return kind, int(number or 0)
