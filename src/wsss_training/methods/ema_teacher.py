"""The teacher of WSegPC: an exponential moving average of the student (section 3.3)."""

import copy
from typing import Any

import torch
from torch import nn


class EmaTeacher(nn.Module):
    """A network that follows another one slowly and learns nothing by itself.

    It starts as a copy of the student, gets no gradients, and stays in eval mode also when the
    module it belongs to trains. Its state_dict is the copy's, under ``network``.

    Args:
        student: the network to follow.

    Attributes:
        network: the averaged network.
    """

    def __init__(self, student: nn.Module) -> None:
        super().__init__()
        self.network = copy.deepcopy(student).requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> "EmaTeacher":
        """Stays in eval mode, whatever the mode asked for."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the averaged network on its arguments, without gradients."""
        return self.network(*args, **kwargs)

    @torch.no_grad()
    def update(self, student: nn.Module, momentum: float) -> None:
        """Moves a step towards the student: ``teacher = m teacher + (1 - m) student``.

        So do parameters and floating-point buffers (BatchNorm's running mean and variance); other
        buffers are copied.

        Args:
            student: the network given at construction, after its step.
            momentum: m, in 0..1.
        """
        mine = [*self.network.parameters(), *self.network.buffers()]
        theirs = [*student.parameters(), *student.buffers()]
        for tensor, target in zip(mine, theirs, strict=True):
            if tensor.is_floating_point():
                tensor.lerp_(target, 1.0 - momentum)
            else:
                tensor.copy_(target)
