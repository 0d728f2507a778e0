"""3DSS-VLG's two trainings: of the adapter (ESS), and of the 3D network that it guides (ESG).

See "3D Weakly Supervised Semantic Segmentation with 2D Vision-Language Guidance". The adapter
specialises a frozen vision-language model's embeddings to the classes; a 3D network then learns
to give the same embeddings, which it is asked about with any text, without an image.
"""

import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch.nn import functional

from wsss_perception.networks.minkunet import MinkUNet
from wsss_training.config import OptimizationConfig
from wsss_training.config_vlg import AdapterConfig
from wsss_training.data.embedded_draws import EmbeddedBatch
from wsss_training.data.placeholder import is_placeholder
from wsss_training.losses.consistency import region_means
from wsss_training.losses.cross_entropy import weighted_cross_entropy
from wsss_training.losses.embedding import centered, cosine_loss
from wsss_training.losses.lovasz import lovasz_softmax
from wsss_training.methods.agreement import CountsAgreement, WatchesAgreement
from wsss_training.methods.batch_norm import still_statistics
from wsss_training.methods.schedule import adamw_with_one_cycle
from wsss_training.networks.adapter import EmbeddingAdapter
from wsss_training.networks.text_logits import TextClassifier, TextLogits

Rows = tuple[torch.Tensor, torch.Tensor]
"""Embeddings [N, D] and labels int64 [N] of points."""


class Specialisation(CountsAgreement):
    """ESS: ``L = CE(s cos(f', t), pseudo-label)``, mean over points.

    Args:
        adapter: maps fused embeddings f to f'.
        texts: of the classes.
        config: Adam's learning rate and weight decay.
    """

    def __init__(self, adapter: EmbeddingAdapter, texts: TextLogits, config: AdapterConfig) -> None:
        super().__init__()
        self.adapter, self.texts = adapter, texts
        self._config = config

    def training_step(self, batch: Rows, _: int) -> torch.Tensor:
        """The loss; 0 for a batch without points."""
        embeddings, labels = batch
        logits = self.texts(self.adapter(embeddings))
        loss = weighted_cross_entropy(logits, labels, torch.ones_like(logits[:, 0]))
        self.log("train/cross_entropy", loss, prog_bar=True, batch_size=max(len(labels), 1))
        return loss

    def validation_step(self, batch: Rows, _: int) -> None:
        """Counts held-back points on which the adapter and the pseudo-labels agree."""
        embeddings, labels = batch
        self.count_agreement(self.texts(self.adapter(embeddings)), labels)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam with a constant learning rate, as the paper."""
        settings = self._config
        return torch.optim.Adam(
            self.adapter.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
        )


class VLG(WatchesAgreement):
    """ESG: ``L = mean(1 - cos(f3, f'))`` over points that cameras see.

    Ours are, beside that:

    - a share r of regions: f' is ``(1 - r) f' + r mean_region(f')`` of unit vectors, consistency
      of embeddings within regions;
    - weights of classes in the mean, by the class that f' is nearest to;
    - a center m: ``cos(f3 / |f3| - m, f' / |f'| - m)``, the same where the loss is 0;
    - ``w Lovasz(softmax(s cos(f3, t)), pseudo-label)`` of the points that have a pseudo-label.

    Args:
        network: the 3D network, with as many outputs as embeddings have numbers.
        adapter: gives f' of the fused embeddings; it learns nothing here.
        texts: of the classes.
        optimization: schedule, and w.
        region_share: r.
        class_weights: weight of each class [C].
        center: m [D]; None for 0.
    """

    class_weights: torch.Tensor | None
    center: torch.Tensor | None

    def __init__(
        self,
        network: MinkUNet,
        adapter: EmbeddingAdapter,
        texts: TextLogits,
        optimization: OptimizationConfig,
        region_share: float = 0.0,
        class_weights: torch.Tensor | None = None,
        center: torch.Tensor | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.adapter = adapter.requires_grad_(False)
        self.texts = texts
        self._optimization, self._region_share = optimization, region_share
        self.register_buffer("class_weights", class_weights, persistent=False)
        self.register_buffer("center", center, persistent=False)

    def watched_network(self) -> TextClassifier:
        """The network with its class logits."""
        return TextClassifier(self.network, self.texts)

    def training_step(self, batch: EmbeddedBatch, _: int) -> torch.Tensor:
        """The loss; 0 for a batch without points."""
        with still_statistics(self.network, is_placeholder(batch.coords)):
            given = self.network(batch.coords, batch.features)
        given = given.index_select(0, batch.voxels)
        size, weight = int(batch.coords[:, 0].max()) + 1, self._optimization.lovasz_weight
        cosine = self._cosine(given, batch)
        self.log("train/cosine", cosine, prog_bar=True, batch_size=size)
        if weight == 0:
            return cosine
        known = batch.labels < self.texts.classes
        lovasz = lovasz_softmax(self.texts(given[known]).softmax(dim=1), batch.labels[known])
        self.log("train/lovasz", lovasz, prog_bar=True, batch_size=size)
        return cosine + weight * lovasz

    def _cosine(self, given: torch.Tensor, batch: EmbeddedBatch) -> torch.Tensor:
        with torch.no_grad():
            target, weights = self._target(batch)
        if self.center is not None:
            given, target = centered(given, self.center), centered(target, self.center)
        return cosine_loss(given, target, weights)

    def _target(self, batch: EmbeddedBatch) -> tuple[torch.Tensor, torch.Tensor | None]:
        """What the network shall give, and how much each point counts."""
        target, weights = self.adapter(batch.embeddings), None
        if self.class_weights is not None:
            weights = self.class_weights[self.texts(target).argmax(dim=1)]
        if self._region_share > 0:
            unit = functional.normalize(target, dim=1)
            target = unit.lerp(region_means(unit, batch.region), self._region_share)
        return target, weights

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """AdamW with a one-cycle schedule over all steps."""
        return adamw_with_one_cycle(self.network, self._optimization)
