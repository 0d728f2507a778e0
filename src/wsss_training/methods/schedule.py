"""The optimizer and the learning rate over a run."""

from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import OneCycleLR

from wsss_training.config import OptimizationConfig

_SHORTEST = 3  # steps; OneCycleLR divides by zero for fewer


def one_cycle(optimizer: Optimizer, peak: float, steps: int) -> OneCycleLR:
    """Rises to a peak over the first tenth of a run, and falls to almost 0 at its end."""
    steps = max(steps, _SHORTEST)
    return OneCycleLR(optimizer, peak, total_steps=steps, pct_start=max(0.1, 2 / steps))


def adamw_with_one_cycle(
    network: nn.Module, settings: OptimizationConfig
) -> OptimizerLRSchedulerConfig:
    """AdamW of a network's weights, with one cycle over all steps."""
    rate = settings.learning_rate
    optimizer = AdamW(network.parameters(), lr=rate, weight_decay=settings.weight_decay)
    schedule = one_cycle(optimizer, rate, settings.steps)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
