"""Projected prior: a 3D network learns from a 2D teacher's projected labels.

This is the baseline of WSegPC's outdoor mode (Appendix B of the paper): cross-entropy, here
weighted by the teacher's confidence, and Lovasz-Softmax on the points that cameras see. On sweeps
with 3D labels the same losses, with a confidence of 1, are ordinary full supervision.
"""

import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from numpy.typing import NDArray

from wsss_perception.networks.minkunet import MinkUNet
from wsss_training.config import OptimizationConfig
from wsss_training.data.placeholder import is_placeholder
from wsss_training.data.training_set import Batch
from wsss_training.losses.cross_entropy import weighted_cross_entropy
from wsss_training.losses.lovasz import lovasz_softmax
from wsss_training.methods.agreement import WatchesAgreement
from wsss_training.methods.batch_norm import still_statistics
from wsss_training.methods.schedule import adamw_with_one_cycle


class ProjectedPrior(WatchesAgreement):
    """Trains a network on noisily labelled points.

    Args:
        network: maps voxels to logits.
        optimization: schedule and weights of the losses.
        class_weights: weight of each class in the cross-entropy, float32 [C].
    """

    class_weights: torch.Tensor

    def __init__(
        self,
        network: MinkUNet,
        optimization: OptimizationConfig,
        class_weights: NDArray[np.float32],
    ) -> None:
        super().__init__()
        self.register_buffer("class_weights", torch.from_numpy(class_weights), persistent=False)
        self.network = network
        self._optimization = optimization

    def watched_network(self) -> MinkUNet:
        """The network itself."""
        return self.network

    def training_step(self, batch: Batch, _: int) -> torch.Tensor:
        """``L = CE(z, prior) + w Lovasz(softmax(z), prior)``.

        Points weigh in the cross-entropy by the teacher's confidence and their class's weight.
        """
        with still_statistics(self.network, is_placeholder(batch.coords)):
            logits = self.network(batch.coords, batch.features)
        logits = logits.index_select(0, batch.voxels).float()
        weights = batch.weights * self.class_weights[batch.labels]
        cross_entropy = weighted_cross_entropy(logits, batch.labels, weights)
        size, weight = int(batch.coords[:, 0].max()) + 1, self._optimization.lovasz_weight
        self.log("train/cross_entropy", cross_entropy, prog_bar=True, batch_size=size)
        if weight == 0:  # it sorts all points for each class: half of a step on a CPU
            return cross_entropy
        lovasz = lovasz_softmax(logits.softmax(dim=1), batch.labels)
        self.log("train/lovasz", lovasz, prog_bar=True, batch_size=size)
        return cross_entropy + weight * lovasz

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """AdamW with a one-cycle schedule over all steps."""
        return adamw_with_one_cycle(self.network, self._optimization)
