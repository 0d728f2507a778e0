"""BatchNorm's running statistics, kept from batches that say nothing."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


@contextmanager
def still_statistics(network: nn.Module, still: bool = True) -> Iterator[None]:
    """Within it a network's running means and variances stay as they are, also in training.

    Args:
        network: with BatchNorm layers, of one process or of several.
        still: False to let them run.
    """
    norms = [m for m in network.modules() if isinstance(m, _BatchNorm)] if still else []
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
