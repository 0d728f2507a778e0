"""MSDKT: multi-scale deformable knowledge transfer from images to a bare 3D network.

See "Knowledge Transfer Across Modalities for Weakly Supervised Point Cloud Semantic Segmentation",
of which the abstract is public; what it leaves open is chosen here, and said in docs/msdkt.md. Few
points have labels. At each of several scales a guide that sees a frozen 2D teacher's maps alone
learns from them, and the network learns from the guide wherever a camera sees a point. A contrast
draws points without a label to the class that the 2D teacher takes them for. None of this but
``network`` is needed after training.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from numpy.typing import NDArray
from torch import nn

from wsss_perception.frame import UNKNOWN
from wsss_perception.networks.minkunet import MinkUNet
from wsss_perception.texts import TextEmbeddings
from wsss_training.config import OptimizationConfig
from wsss_training.config_msdkt import MSDKTConfig
from wsss_training.data.placeholder import is_placeholder
from wsss_training.data.transfer_draws import TransferBatch
from wsss_training.losses.contrast import semantic_contrast
from wsss_training.losses.cross_entropy import weighted_cross_entropy
from wsss_training.losses.distillation import transfer_loss
from wsss_training.losses.lovasz import lovasz_softmax
from wsss_training.losses.tag_loss import scene_means, tag_loss
from wsss_training.methods.agreement import WatchesAgreement
from wsss_training.methods.batch_norm import still_statistics
from wsss_training.methods.schedule import adamw_with_one_cycle
from wsss_training.networks.deformable_transfer import DeformableTransfer, pyramid
from wsss_training.networks.levels import rows_at
from wsss_training.networks.prototypes import Prototypes

Losses = Iterator[tuple[str, float, torch.Tensor]]
"""Name, weight and value of each loss."""


class TextAnchors(nn.Module):
    """Texts of the classes as anchors of the contrast.

    Args:
        texts: of every class; a class may have several.
        classes: names of the classes.
    """

    vectors: torch.Tensor

    def __init__(self, texts: TextEmbeddings, classes: Sequence[str]) -> None:
        super().__init__()
        rows = [texts.of(name) for name in classes]
        of_row = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
        self.register_buffer("vectors", torch.from_numpy(np.concatenate(rows)), persistent=False)
        # no buffer: averaging of weights (EMA) would round whole numbers down, step by step
        self._classes = torch.from_numpy(of_row)

    def update(self, embeddings: torch.Tensor, labels: torch.Tensor) -> None:
        """Does nothing: texts stay as they are."""

    def anchors(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Vectors [A, E] of the classes, and their ids int64 [A]."""
        return self.vectors, self._classes.to(self.vectors.device)


class MSDKT(WatchesAgreement):
    """Trains a network on few labelled points and on what images say of the others.

    Args:
        network: maps voxels to logits; the only part that is needed later.
        config: losses and their variants.
        optimization: schedule, and the weight of the Lovasz loss.
        class_weights: weight of each class in the cross-entropies, float32 [C].
        map_size: classes of the 2D teacher's maps, D.
        anchors: of the contrast, with vectors of E numbers; None for prototypes.
        varying_tags: bool [C], the classes that the tag loss learns: a tag that is on in every
            scene teaches nothing beside labels of points.
    """

    class_weights: torch.Tensor
    varying_tags: torch.Tensor

    def __init__(
        self,
        network: MinkUNet,
        config: MSDKTConfig,
        optimization: OptimizationConfig,
        class_weights: NDArray[np.float32],
        map_size: int,
        anchors: TextAnchors | None,
        varying_tags: NDArray[np.bool_],
    ) -> None:
        super().__init__()
        self.register_buffer("class_weights", torch.from_numpy(class_weights), persistent=False)
        self.register_buffer("varying_tags", torch.from_numpy(varying_tags), persistent=False)
        self.network, self._config, self._optimization = network, config, optimization
        classes, samples = len(class_weights), config.samples if config.deformable else None
        scales = range(config.scales if config.transfer_weight else 0)
        sizes = network.level_sizes
        self.guides = nn.ModuleList(
            DeformableTransfer(sizes[scale], map_size, config.hidden, samples, classes)
            for scale in scales
        )
        self.heads = nn.ModuleList(nn.Linear(sizes[scale], classes) for scale in scales[1:])
        self.anchors: TextAnchors | Prototypes | None = None
        if config.contrast_weight:
            size = config.hidden if anchors is None else anchors.vectors.shape[1]
            self.embed = nn.Linear(network.feature_size, size)
            self.anchors = anchors or Prototypes(classes, size, config.prototype_momentum)

    def watched_network(self) -> MinkUNet:
        """The network itself."""
        return self.network

    def training_step(self, batch: TransferBatch, _: int) -> torch.Tensor:
        """The sum of all losses, each with its weight.

        ``L = CE(z, y) + w Lovasz(softmax(z), y)`` on labelled points, and what the methods below
        say. A batch that has nothing for one of them gives every weight a gradient of 0: several
        processes reduce those of all weights together.
        """
        with still_statistics(self.network, is_placeholder(batch.coords)):
            levels = self.network.levels(batch.coords, batch.features)
        features = [level.features for level in levels]
        logits = self.network.head(features[0])
        rows = [batch.of_point]
        for level, voxels in enumerate(levels[1 : len(self.guides)], start=1):
            parent = rows_at(voxels.indices, batch.coords, level)
            rows.append(torch.where(batch.of_point >= 0, parent[batch.of_point], -1))
        total = logits.sum() * 0.0
        for losses in (
            self._label_losses(logits, batch),
            self._transfer_losses(features, logits, rows, batch),
            self._contrast_losses(features[0], batch),
            self._tag_losses(logits, batch),
        ):
            for name, weight, loss in losses:
                self.log(f"train/{name}", loss, batch_size=len(batch.tags))
                total = total + weight * loss
        self.log("train/total", total, prog_bar=True, batch_size=len(batch.tags))
        return total

    def _label_losses(self, logits: torch.Tensor, batch: TransferBatch) -> Losses:
        """Losses of labelled points, seen or not, as ``ProjectedPrior`` has them."""
        points = _labelled(batch)
        labels = batch.labels[points]
        logits = logits.index_select(0, batch.of_point[points]).float()
        yield "cross_entropy", 1.0, self._cross_entropy(logits, labels)
        weight = self._optimization.lovasz_weight
        if weight:
            yield "lovasz", weight, lovasz_softmax(logits.softmax(dim=1), labels)

    def _transfer_losses(
        self,
        features: Sequence[torch.Tensor],
        logits: torch.Tensor,
        rows: Sequence[torch.Tensor],
        batch: TransferBatch,
    ) -> Losses:
        """``CE(c_s, y) + CE(z_s, y) + w KL(sg softmax(c_s) || softmax(z_s))`` at each scale s.

        The first is of labelled points that some view sees, the second, for s > 0, of all labelled
        points, the third of all pairs. The guide's c_s learns from labels alone, and the network
        from labels and guide.

        Args:
            features: of each level's voxels.
            logits: z_0 of voxels.
            rows: of each level the voxel of each point [N], -1 for none.
            batch: the batch.
        """
        labelled = _labelled(batch)
        pair_labels = batch.labels[batch.pair_point]
        known = pair_labels != UNKNOWN
        for scale, guide in enumerate(self.guides):
            pairs = rows[scale][batch.pair_point]
            hidden = features[scale].index_select(0, pairs)
            maps = pyramid(batch.maps, scale)
            guided = guide(hidden, maps, batch.pair_view, batch.pair_uv)
            loss = self._cross_entropy(guided[known], pair_labels[known])
            yield f"guide_{scale}", 1.0, loss
            if scale == 0:
                student = logits.index_select(0, pairs)
            else:
                head = self.heads[scale - 1]
                student = head(hidden)
                mine = head(features[scale].index_select(0, rows[scale][labelled]))
                loss = self._cross_entropy(mine.float(), batch.labels[labelled])
                yield f"cross_entropy_{scale}", 1.0, loss
            weight = self._config.transfer_weight
            yield f"transfer_{scale}", weight, transfer_loss(student, guided)

    def _contrast_losses(self, features: torch.Tensor, batch: TransferBatch) -> Losses:
        """Contrast of pseudo-labelled points with the classes' texts or prototypes."""
        if self.anchors is None:
            return
        points = _labelled(batch)
        with torch.no_grad():
            own = self.embed(features.index_select(0, batch.of_point[points]))
        self.anchors.update(own, batch.labels[points])
        points = torch.nonzero((batch.pseudo_labels != UNKNOWN) & (batch.of_point >= 0))[:, 0]
        embeddings = self.embed(features.index_select(0, batch.of_point[points]))
        vectors, classes = self.anchors.anchors()
        labels, confidence = batch.pseudo_labels[points], batch.confidence[points]
        temperature = self._config.temperature
        loss = semantic_contrast(embeddings, vectors, classes, labels, confidence, temperature)
        yield "contrast", self._config.contrast_weight, loss

    def _tag_losses(self, logits: torch.Tensor, batch: TransferBatch) -> Losses:
        """Tag loss of the scenes that have tags."""
        if not self._config.tag_weight or not batch.tagged.any():
            return
        inside = torch.nonzero(batch.of_point >= 0)[:, 0]
        of_points = logits.index_select(0, batch.of_point[inside])
        means = scene_means(of_points, batch.scene[inside], len(batch.tags))[batch.tagged]
        loss = tag_loss(means, batch.tags[batch.tagged], self.varying_tags)
        yield "tags", self._config.tag_weight, loss

    def _cross_entropy(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return weighted_cross_entropy(logits, labels, self.class_weights[labels])

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """AdamW with a one-cycle schedule over all steps, of all that learns."""
        return adamw_with_one_cycle(self, self._optimization)


def _labelled(batch: TransferBatch) -> torch.Tensor:
    """The labelled points that are in a voxel, int64 [n]."""
    return torch.nonzero((batch.labels != UNKNOWN) & (batch.of_point >= 0))[:, 0]
