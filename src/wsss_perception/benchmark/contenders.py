"""Who takes part: every engine, and two peers that run the same network in other ways."""

from importlib import import_module

from wsss_perception.bundle import Bundle
from wsss_perception.engines import ENGINES, Engine, load_engine
from wsss_perception.engines.options import Options
from wsss_perception.errors import EngineError

PEERS = {
    "bare-spconv": "wsss_perception.benchmark.bare_spconv",
    "torch-gather": "wsss_perception.benchmark.torch_gather",
}
"""Module of each peer, with the interface of an engine's. Of them only ``seconds`` counts: how
they get their input to the network and its output back is left out of that."""

CONTENDERS = (*ENGINES, *PEERS)


def choose(names: list[str]) -> tuple[str, ...]:
    """Returns the contenders that a user asks for, each once; all for ``auto`` or none.

    Raises:
        EngineError: there is no contender of a name.
    """
    for name in names:
        if name not in ("auto", *CONTENDERS):
            raise EngineError(f"unknown engine '{name}'; known: auto, {', '.join(CONTENDERS)}")
    return CONTENDERS if not names or "auto" in names else tuple(dict.fromkeys(names))


def load(name: str, bundle: Bundle, options: Options) -> Engine:
    """Loads a contender; what it computes is not checked.

    Raises:
        EngineError: it cannot run here.
    """
    if name not in PEERS:
        how = (options.device, options.precision, options.threads, options.tell)
        return load_engine(name, bundle, *how, check=False)
    try:
        module = import_module(PEERS[name])
    except (ImportError, OSError) as error:
        raise EngineError(f"'{name}' cannot run here: {error}") from error
    return module.load(bundle, options)
