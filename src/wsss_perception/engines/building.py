"""Builds a bundle's engine for this GPU ahead of its first use."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from wsss_perception.bundle import Bundle
from wsss_perception.engines import BUILT, describe, load_engine
from wsss_perception.engines.cache import user_cache
from wsss_perception.errors import EngineError


def build_engine(
    bundle: Bundle, name: str, device: str, precision: str, tell: Callable[[str], None]
) -> None:
    """Builds an engine and keeps it, or finds it kept; tries it, and tells where it lies.

    Args:
        bundle: the model.
        name: of the engine, or ``auto`` for the first that can be built here; one that is not
            built starts from the bundle, which is told.
        device: where it is to run.
        precision: in which it is to compute.
        tell: shows the user a line.

    Raises:
        EngineError: the engine cannot run here, or cannot be kept.
    """
    if name == "auto":
        _build_first(bundle, device, precision, tell)
        return
    start = time.monotonic()
    engine = load_engine(name, bundle, device, precision, tell=tell)
    inputs = len(bundle.spec.features)
    engine(np.zeros((1, 3), dtype=np.int32), np.zeros((1, inputs), dtype=np.float32))
    if engine.kept is not None:
        size, seconds = _size(engine.kept) / 1e6, time.monotonic() - start
        room = getattr(engine, "workspace", None)
        memory = "" if room is None else f", {room / 1e6:.0f} MB on the GPU beside its weights"
        tell(
            f"{engine.kept}: {size:.1f} MB, engine {describe(engine)}{memory}; "
            f"after {seconds:.0f} s"
        )
    elif engine.name in BUILT:
        raise EngineError(
            f"engine {describe(engine)} was built but cannot be kept in {user_cache()}, see the "
            "warning above; make room there or let XDG_CACHE_HOME name another folder"
        )
    else:
        tell(f"engine {describe(engine)} starts from the bundle: nothing is built for it")


def _build_first(bundle: Bundle, device: str, precision: str, tell: Callable[[str], None]) -> None:
    reasons = []
    for name in BUILT:
        try:
            return build_engine(bundle, name, device, precision, tell)
        except EngineError as error:
            reasons.append(str(error))
    raise EngineError("no engine can be built here:\n  " + "\n  ".join(reasons))


def _size(path: Path) -> int:
    """Bytes of a file, or of all files of a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(each.stat().st_size for each in path.iterdir() if each.is_file())
