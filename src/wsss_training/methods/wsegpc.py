"""WSegPC: high-quality pseudo-labels from scene tags and images.

Two branches learn together from what is known of a scene: its tags, and outdoors a 2D teacher's
projected labels (the prior). Each guides the other's features (CMG), and an averaged teacher's
votes within regions become labels of the student (RPC). See "High-quality Pseudo-labeling for
Point Cloud Segmentation with Scene-level Annotation", sections 3.1 to 3.3 and appendix B.
"""

from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import LRScheduler, PolynomialLR

from wsss_perception.networks.minkunet import MinkUNet
from wsss_training.config import OptimizationConfig
from wsss_training.config_wsegpc import StageConfig, WSegPCConfig
from wsss_training.data.scene_batch import SceneBatch, Views
from wsss_training.losses.consistency import (
    ClassAdaptiveThreshold,
    FixedThreshold,
    consistency_loss,
    region_means,
)
from wsss_training.losses.cross_entropy import weighted_cross_entropy
from wsss_training.losses.guidance import GUIDANCE
from wsss_training.losses.lovasz import lovasz_softmax
from wsss_training.losses.pairs import draw_pairs, limit_pairs
from wsss_training.losses.ramp import ramp
from wsss_training.losses.sampling import sample_bilinear
from wsss_training.losses.tag_loss import scene_means, tag_loss
from wsss_training.losses.tag_mask import are_possible, center, tag_probabilities
from wsss_training.methods.agreement import WatchesAgreement
from wsss_training.methods.ema_teacher import EmaTeacher
from wsss_training.methods.prediction import Prediction, predict
from wsss_training.methods.schedule import one_cycle
from wsss_training.networks.cross_modal import CrossModalNetwork, Projectors


class WSegPC(WatchesAgreement):
    """One of the two stages that lead to pseudo-labels.

    Args:
        network: both branches; the student.
        config: losses and their variants.
        stage: schedule of this stage.
        consistent: whether this stage has the consistency losses (the second one does).
        class_weights: of each class in the prior's cross-entropy, float32 [C].
        varying_tags: bool [C], the classes whose tags vary, which alone the tag loss learns in
            scenes that have labels of points too; where tags are alone it learns all.
        optimization: AdamW's weight decay, and the weight of the Lovasz loss beside the prior's
            cross-entropy.
        seed: of the choice of the pairs that guidance compares.
    """

    class_weights: torch.Tensor
    varying_tags: torch.Tensor
    thresholds: nn.ModuleDict

    def __init__(
        self,
        network: CrossModalNetwork,
        config: WSegPCConfig,
        stage: StageConfig,
        consistent: bool,
        class_weights: torch.Tensor,
        varying_tags: torch.Tensor,
        optimization: OptimizationConfig,
        seed: int,
    ) -> None:
        super().__init__()
        self.network, self.teacher = network, EmaTeacher(network)
        classes = len(class_weights)
        adaptive = config.threshold == "adaptive"
        self.thresholds = nn.ModuleDict(
            {
                branch: ClassAdaptiveThreshold(classes, config.tau)
                if adaptive
                else FixedThreshold(config.tau)
                for branch in ("points", "images")
            }
        )
        self.register_buffer("class_weights", class_weights, persistent=False)
        self.register_buffer("varying_tags", varying_tags, persistent=False)
        self._config, self._stage, self._optimization = config, stage, optimization
        self._is_second, self._seed = consistent, seed
        self._consistent = consistent and config.consistency != "none"

    def watched_network(self) -> MinkUNet:
        """The averaged 3D branch."""
        return cast(CrossModalNetwork, self.teacher.network).points

    def training_step(self, batch: SceneBatch, _: int) -> torch.Tensor:
        """The sum of all losses, each with its weight and warm-up (appendix, total loss).

        In the first stage all warm up; in the second one consistency alone, which is new there.

        Every weight gets a gradient, of 0 where the batch has no loss for its branch: several
        processes reduce those of all weights together, whatever each one's batch lacks.
        """
        student = predict(self.network, batch.student, batch.views)
        total = student.logits.float().sum() * 0.0
        if student.images is not None:
            total = total + student.images.logits.float().sum() * 0.0
        for name, weight, loss in self._losses(student, batch):
            self.log(f"train/{name}", loss, batch_size=len(batch.tags))
            total = total + weight * self._growth(name) * loss
        self.log("train/total", total, prog_bar=True, batch_size=len(batch.tags))
        return total

    def optimizer_step(self, *arguments: Any, **keywords: Any) -> None:
        """Moves the student and then the teacher, before a checkpoint can be written."""
        super().optimizer_step(*arguments, **keywords)
        self.teacher.update(self.network, self._config.momentum)

    def _growth(self, name: str) -> float:
        """How far a loss's weight has grown, 0 to 1."""
        if self._is_second and not name.startswith("consistency"):
            return 1.0
        return ramp(self.global_step, self._config.warm_up)

    def _losses(
        self, student: Prediction, batch: SceneBatch
    ) -> Iterator[tuple[str, float, torch.Tensor]]:
        """Yields name, weight and value of each loss."""
        yield from self._prior_losses(student, batch)
        if batch.tagged.any():
            yield from self._tag_losses(student, batch)
        if student.images is not None and self.network.projectors is not None:
            yield from self._guidance_losses(
                student.features, student.images.features, self.network.projectors, batch
            )
        if self._consistent:
            yield from self._consistency_losses(student, batch)

    def _prior_losses(
        self, student: Prediction, batch: SceneBatch
    ) -> Iterator[tuple[str, float, torch.Tensor]]:
        """``CE(z, prior)`` of both branches; seen and mapped points and cells alone.

        Labels that a scene's tags rule out are left out.
        """
        weight, points, views = self._config.prior_weight, batch.points, batch.views
        labels, reliability = points.labels[student.rows], points.weights[student.rows]
        scene = points.scene[student.rows]
        known = are_possible(labels, batch.tags, scene, batch.tagged)
        if known.any():
            logits, labels = student.logits[known].float(), labels[known]
            class_weights = self.class_weights[labels]
            loss = weighted_cross_entropy(logits, labels, reliability[known] * class_weights)
            yield "prior_points", weight, loss
            lovasz = lovasz_softmax(logits.softmax(dim=1), labels)
            yield "lovasz_points", weight * self._optimization.lovasz_weight, lovasz
        cells = views.labels.flatten()
        known = are_possible(cells, batch.view_tags, _scene_of_cells(views), batch.tagged)
        if student.images is not None and known.any():
            labels, reliability = cells[known], views.weights.flatten()[known]
            class_weights = self.class_weights[labels]
            loss = weighted_cross_entropy(
                student.images.logits[known].float(), labels, reliability * class_weights
            )
            yield "prior_images", weight, loss

    def _tag_losses(
        self, student: Prediction, batch: SceneBatch
    ) -> Iterator[tuple[str, float, torch.Tensor]]:
        """Tag loss of what the student saw: mixed scenes have the tags of both.

        Scenes without views say nothing of images.
        """
        draws = int(batch.draw.max()) + 1

        def any_of_draw(flags: torch.Tensor) -> torch.Tensor:
            return scene_means(flags.float(), batch.draw, draws) > 0

        tagged = ~any_of_draw(~batch.tagged[:, None])[:, 0]
        if not tagged.any():
            return
        weight = self._config.tag_weight
        learned = ~any_of_draw(~batch.tags_alone[:, None]) | self.varying_tags
        draw = batch.draw[batch.points.scene[student.rows]]
        means, tags = scene_means(student.logits, draw, draws), any_of_draw(batch.tags)
        yield "tags_points", weight, tag_loss(means[tagged], tags[tagged], learned[tagged])
        shown = torch.bincount(batch.views.scene, minlength=len(batch.tags))[:, None] > 0
        seen = tagged & any_of_draw(shown)[:, 0]
        if student.images is not None and seen.any():
            draw = batch.draw[_scene_of_cells(batch.views)]
            means = scene_means(student.images.logits, draw, draws)
            tags = any_of_draw(batch.view_tags & shown)
            yield "tags_images", weight, tag_loss(means[seen], tags[seen], learned[seen])

    def _guidance_losses(
        self,
        voxel_features: torch.Tensor,
        image_features: torch.Tensor,
        projectors: Projectors,
        batch: SceneBatch,
    ) -> Iterator[tuple[str, float, torch.Tensor]]:
        """Cross-modal guidance, images of points and points of images (CMG)."""
        views, config = batch.views, self._config
        voxel = batch.student.of_point[views.pair_point]
        pairs = torch.nonzero(voxel >= 0)[:, 0]
        generator = self._generator()
        pairs = pairs[draw_pairs(views.pair_view[pairs], generator)]
        pairs = pairs[limit_pairs(views.scene[views.pair_view[pairs]], generator)]
        view = views.pair_view[pairs]
        size = (views.images.shape[2], views.images.shape[3])
        pixel = sample_bilinear(image_features, view, views.pair_uv[pairs], size)
        point = voxel_features.index_select(0, voxel[pairs]).float()
        scene, guide = views.scene[view], GUIDANCE[config.guidance]
        weight = config.guidance_weight
        yield "guide_points", weight, guide(projectors.to_image(point), pixel, scene)
        weight = weight if config.guide_images else 0.0  # its projector still gets a gradient
        yield "guide_images", weight, guide(projectors.to_point(pixel), point, scene)

    def _generator(self) -> torch.Generator:
        """Randomness of this step in this process, the same when the step is taken again."""
        sequence = np.random.SeedSequence([self._seed, self.global_step, self.global_rank])
        return torch.Generator().manual_seed(int(sequence.generate_state(1, np.uint64)[0]))

    def _consistency_losses(
        self, student: Prediction, batch: SceneBatch
    ) -> Iterator[tuple[str, float, torch.Tensor]]:
        """Region-point consistency of both branches (RPC)."""
        config, points, views = self._config, batch.points, batch.views
        images = student.images if config.consistent_images else None
        with torch.no_grad():
            network = cast(CrossModalNetwork, self.teacher.network)
            teacher = predict(network, batch.teacher, None if images is None else views)
        scene, region = points.scene[teacher.rows], points.region[teacher.rows]
        logits = self._scores(teacher.logits, scene, batch)
        probabilities = tag_probabilities(logits, batch.tags, scene, batch.tagged)
        labels, keep = self._vote(probabilities, region, "points")
        place = torch.full_like(points.scene, -1)
        place[teacher.rows] = torch.arange(len(teacher.rows), device=place.device)
        mine = place[student.rows]
        both = mine >= 0
        loss = consistency_loss(student.logits[both], labels[mine[both]], keep[mine[both]])
        yield "consistency_points", config.consistency_weight, loss
        if images is not None and teacher.images is not None:
            scene = _scene_of_cells(views)
            logits = self._scores(teacher.images.logits, scene, batch)
            probabilities = tag_probabilities(logits, batch.view_tags, scene, batch.tagged)
            labels, keep = self._vote(probabilities, views.region.flatten(), "images")
            loss = consistency_loss(images.logits, labels, keep)
            yield "consistency_images", config.consistency_weight, loss

    def _scores(self, logits: torch.Tensor, scene: torch.Tensor, batch: SceneBatch) -> torch.Tensor:
        """The teacher's logits, centered in scenes with tags alone if so configured."""
        if not self._config.center:
            return logits
        alone = batch.tags_alone[scene][:, None]
        return torch.where(alone, center(logits, scene, len(batch.tags)), logits.float())

    def _vote(
        self, probabilities: torch.Tensor, region: torch.Tensor, branch: str
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The teacher's labels after its regions' votes, and which of them to learn from."""
        if self._config.consistency == "region":
            probabilities = region_means(probabilities, region)
        confidence, labels = probabilities.max(dim=1)
        return labels, self.thresholds[branch](labels, confidence)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """SGD with a polynomial schedule, as the paper, or AdamW with one cycle."""
        stage, decay = self._stage, self._optimization.weight_decay
        parameters = self.network.parameters()
        schedule: LRScheduler
        if self._config.optimizer == "sgd":
            optimizer: Optimizer = SGD(parameters, stage.learning_rate, 0.9, weight_decay=1e-4)
            schedule = PolynomialLR(optimizer, stage.steps, power=0.9)
        else:
            optimizer = AdamW(parameters, stage.learning_rate, weight_decay=decay)
            schedule = one_cycle(optimizer, stage.learning_rate, stage.steps)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


def _scene_of_cells(views: Views) -> torch.Tensor:
    """The scene of each cell of all views, int64 [V * h * w]."""
    return views.scene.repeat_interleave(views.labels[0].numel() if len(views.labels) else 0)
