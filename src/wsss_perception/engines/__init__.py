"""Engines that run a bundle's network, one file each behind one small interface."""

import logging
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from wsss_perception.bundle import Bundle
from wsss_perception.engines.options import Options
from wsss_perception.engines.trial import trial_voxels
from wsss_perception.errors import EngineError

_ENGINES = {
    "tensorrt": "wsss_perception.engines.tensorrt",
    "onnxruntime-tensorrt": "wsss_perception.engines.onnxruntime_tensorrt",
    "spconv": "wsss_perception.engines.spconv",
    "onnxruntime": "wsss_perception.engines.onnxruntime",
}
"""Module of each engine, the best first; imported when asked for: libraries may be absent."""

ENGINES = tuple(_ENGINES)
"""Names of the engines, the best first."""

BUILT = ("tensorrt", "onnxruntime-tensorrt")
"""Engines that are built for a GPU, in minutes, and kept."""

_REFERENCES = ("spconv", "onnxruntime")
"""Engines that run on every CPU."""

_LEAST_AGREEMENT = 0.99
_log = logging.getLogger(__name__)


class Engine(Protocol):
    """A loaded network.

    Attributes:
        name: of the engine.
        device: where it runs, ``cpu`` or ``cuda:<n>``.
        precision: in which it computes, ``fp32`` or ``fp16``.
        kept: file or folder that holds what was built for this GPU; None where nothing is.
        seconds: that the ``network`` took in the last call, and its ``tables`` where they are not
            built inside it.
    """

    name: str
    device: str
    precision: str
    kept: Path | None
    seconds: dict[str, float]

    def __call__(
        self, coords: NDArray[np.int32], features: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Computes logits [V, C] of voxels, or embeddings, see ``ModelSpec.outputs``.

        Args:
            coords: int32 [V, 3], unique and in the order that ``voxelize`` gives them.
            features: float32 [V, F].

        Raises:
            EngineError: too many voxels for the engine, or it failed.
        """
        ...


def load_engine(
    name: str,
    bundle: Bundle,
    device: str = "auto",
    precision: str = "auto",
    threads: int = 0,
    tell: Callable[[str], None] = _log.info,
    check: bool = True,
) -> Engine:
    """Loads a bundle's network into an engine.

    Args:
        name: ``tensorrt``, ``onnxruntime-tensorrt``, ``spconv`` or ``onnxruntime``; ``auto`` takes
            the first of these that works here and tells why those before it do not.
        bundle: the model.
        device: ``cpu``, ``cuda``, ``cuda:1``...; ``auto`` takes CUDA where it is available.
        precision: ``fp32`` or ``fp16``; ``auto`` takes fp16 on a GPU and fp32 on a CPU.
        threads: of the CPU, for engines that run there; 0 leaves them to the library. Those of
            PyTorch are the whole process's.
        tell: shows the user a line.
        check: try an engine that runs on a GPU, see ``check_results``.

    Raises:
        EngineError: unknown engine, device or precision, or one that cannot run here or computes
            something else than a CPU.
    """
    options = Options(device, precision, threads, tell)

    def load(candidate: str) -> Engine:
        engine = _load(candidate, bundle, options)
        if check:
            check_results(engine, bundle)
        return engine

    if name != "auto":
        return load(name)
    reasons = []
    for candidate in _ENGINES:
        try:
            engine = load(candidate)
        except EngineError as error:
            reasons.append(str(error))
            continue
        for reason in reasons:
            tell(f"engine {candidate} is used instead: {reason}")
        return engine
    raise EngineError("no engine can run here:\n  " + "\n  ".join(reasons))


def describe(engine: Engine) -> str:
    """Names a loaded engine, its precision and its device."""
    return f"{engine.name}, {engine.precision} on {engine.device}"


def check_results(engine: Engine, bundle: Bundle) -> None:
    """Checks what an engine on a GPU makes of a small cloud; one on a CPU is taken as it is.

    Its labels are compared to those of spconv or ONNX Runtime on the CPU, where either is there.

    Raises:
        EngineError: logits are not finite, or over 1 % of the labels are others.
    """
    if engine.device == "cpu":
        return
    coords, features = trial_voxels(bundle.spec)
    logits = engine(coords, features)
    if not np.isfinite(logits).all():
        raise EngineError(
            f"engine {describe(engine)} computes numbers that are not finite: take another "
            "precision or engine"
        )
    expected = _compute_on_cpu(bundle, coords, features)
    if expected is None:
        return
    labels, right = (bundle.spec.class_logits(each).argmax(axis=1) for each in (logits, expected))
    share = float((labels == right).mean())
    if share < _LEAST_AGREEMENT:
        raise EngineError(
            f"engine {describe(engine)} gives {share:.1%} of the labels that the CPU gives: take "
            "another precision or engine"
        )


def _compute_on_cpu(
    bundle: Bundle, coords: NDArray[np.int32], features: NDArray[np.float32]
) -> NDArray[np.float32] | None:
    for name in _REFERENCES:
        try:
            return _load(name, bundle, Options("cpu", "fp32"))(coords, features)
        except EngineError as error:
            _log.debug("no labels of the CPU to compare to: %s", error)
    return None


def _load(name: str, bundle: Bundle, options: Options) -> Engine:
    if name not in _ENGINES:
        raise EngineError(f"unknown engine '{name}'; known: auto, {', '.join(_ENGINES)}")
    try:
        module = import_module(_ENGINES[name])
    except (ImportError, OSError) as error:  # OSError: a library that the module loads is missing
        raise EngineError(f"engine '{name}' cannot run here: {error}") from error
    return module.load(bundle, options)
