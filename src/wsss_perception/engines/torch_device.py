"""Which device of torch a user means."""

import torch

from wsss_perception.engines.options import parse_device
from wsss_perception.errors import EngineError


def find_device(name: str) -> torch.device:
    """Finds the device of a name such as ``auto``, ``cpu`` or ``cuda:1``.

    Raises:
        EngineError: there is no such device.
    """
    kind, number = parse_device(name)
    count = torch.cuda.device_count()
    if kind == "cpu" or (kind == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if number >= count:
        raise EngineError(
            f"device '{name}': PyTorch sees {count} CUDA GPUs here; use one of them, cpu or auto"
        )
    return torch.device("cuda", number)
