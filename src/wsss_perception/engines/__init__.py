"""Engines that run a bundle's network, one file each behind one small interface."""

from importlib import import_module
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from wsss_perception.bundle import Bundle
from wsss_perception.errors import EngineError

_ENGINES = {"spconv": "wsss_perception.engines.spconv"}
"""Module of each engine; imported when asked for, since its libraries may be absent."""


class Engine(Protocol):
    """A loaded network."""

    name: str

    def __call__(
        self, coords: NDArray[np.int32], features: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Computes logits [V, C] of voxels at ``coords`` [V, 3] with ``features`` [V, F]."""
        ...


def load_engine(name: str, bundle: Bundle, device: str = "auto") -> Engine:
    """Loads a bundle's network into an engine.

    Args:
        name: ``spconv``.
        bundle: the model.
        device: ``cpu``, ``cuda``, ``cuda:1``...; ``auto`` takes CUDA where it is available.

    Raises:
        EngineError: unknown engine, or one whose libraries or device are missing.
    """
    if name not in _ENGINES:
        raise EngineError(f"unknown engine '{name}'; known: {', '.join(_ENGINES)}")
    try:
        module = import_module(_ENGINES[name])
    except ImportError as error:
        raise EngineError(f"engine '{name}' cannot run here: {error}") from error
    return module.load(bundle, device)
