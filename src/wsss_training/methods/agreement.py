"""What every method watches while it trains: agreement with the labels of held-back sweeps."""

from abc import ABC, abstractmethod
from typing import Any

import lightning
import torch
from torch import nn

from wsss_training.data.training_set import Batch


class CountsAgreement(lightning.LightningModule):
    """Logs the share of held-back points on which class logits and labels agree."""

    def __init__(self) -> None:
        super().__init__()
        self._agreeing = 0
        self._compared = 0

    def count_agreement(self, logits: torch.Tensor, labels: torch.Tensor) -> None:
        """Counts points with logits [P, C] and labels int64 [P]."""
        self._agreeing += int((logits.argmax(dim=1) == labels).sum())
        self._compared += len(labels)

    def on_validation_epoch_start(self) -> None:
        """Starts counting agreement."""
        self._agreeing, self._compared = 0, 0

    def on_validation_epoch_end(self) -> None:
        """Logs the share of agreeing points."""
        counts = torch.tensor([self._agreeing, self._compared], device=self.device)
        agreeing, compared = self.trainer.strategy.reduce(counts, reduce_op="sum").tolist()
        self.log("held_back/agreement", agreeing / max(compared, 1), prog_bar=True)


class WatchesAgreement(CountsAgreement, ABC):
    """Watches the agreement of a network on held-back sweeps."""

    @abstractmethod
    def watched_network(self) -> nn.Module:
        """The network whose predictions are compared; it gives voxels class logits."""

    def transfer_batch_to_device(self, batch: Any, device: torch.device, _: int) -> Any:
        """Moves a batch to the device."""
        return batch.to(device)

    def validation_step(self, batch: Batch, _: int) -> None:
        """Counts points of held-back sweeps on which network and labels agree."""
        logits = self.watched_network()(batch.coords, batch.features)[batch.voxels]
        self.count_agreement(logits, batch.labels)
