"""Engines that run a bundle's network, one file each behind one small interface."""

import logging
from importlib import import_module
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from wsss_perception.bundle import Bundle
from wsss_perception.errors import EngineError

_ENGINES = {
    "tensorrt": "wsss_perception.engines.tensorrt",
    "spconv": "wsss_perception.engines.spconv",
    "onnxruntime": "wsss_perception.engines.onnxruntime",
}
"""Module of each engine, the best first; imported when asked for: libraries may be absent."""

_log = logging.getLogger(__name__)


class Engine(Protocol):
    """A loaded network."""

    name: str

    def __call__(
        self, coords: NDArray[np.int32], features: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Computes logits [V, C] of voxels.

        Args:
            coords: int32 [V, 3], unique and in the order that ``voxelize`` gives them.
            features: float32 [V, F].

        Raises:
            EngineError: too many voxels for the engine, or it failed.
        """
        ...


def load_engine(name: str, bundle: Bundle, device: str = "auto") -> Engine:
    """Loads a bundle's network into an engine.

    Args:
        name: ``tensorrt``, ``spconv`` or ``onnxruntime``; ``auto`` takes the first of these that
            works here and logs why those before it do not.
        bundle: the model.
        device: ``cpu``, ``cuda``, ``cuda:1``...; ``auto`` takes CUDA where it is available.

    Raises:
        EngineError: unknown engine, or one whose libraries or device are missing.
    """
    if name != "auto":
        return _load(name, bundle, device)
    reasons = []
    for candidate in _ENGINES:
        try:
            engine = _load(candidate, bundle, device)
        except EngineError as error:
            reasons.append(str(error))
            continue
        for reason in reasons:
            _log.info("engine %s is used instead: %s", candidate, reason)
        return engine
    raise EngineError("no engine can run here:\n  " + "\n  ".join(reasons))


def _load(name: str, bundle: Bundle, device: str) -> Engine:
    if name not in _ENGINES:
        raise EngineError(f"unknown engine '{name}'; known: auto, {', '.join(_ENGINES)}")
    try:
        module = import_module(_ENGINES[name])
    except (ImportError, OSError) as error:  # OSError: a library that the module loads is missing
        raise EngineError(f"engine '{name}' cannot run here: {error}") from error
    return module.load(bundle, device)
