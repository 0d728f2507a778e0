"""The learning rate over a run."""

from torch.optim import Optimizer
from torch.optim.lr_scheduler import OneCycleLR

_SHORTEST = 3  # steps; OneCycleLR divides by zero for fewer


def one_cycle(optimizer: Optimizer, peak: float, steps: int) -> OneCycleLR:
    """Rises to a peak over the first tenth of a run, and falls to almost 0 at its end."""
    steps = max(steps, _SHORTEST)
    return OneCycleLR(optimizer, peak, total_steps=steps, pct_start=max(0.1, 2 / steps))
