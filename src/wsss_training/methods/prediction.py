"""What the two branches of WSegPC say of a batch."""

from dataclasses import dataclass

import torch

from wsss_training.data.placeholder import is_placeholder
from wsss_training.data.scene_batch import Views, Voxels
from wsss_training.methods.batch_norm import still_statistics
from wsss_training.networks.cross_modal import CrossModalNetwork


@dataclass(frozen=True)
class Prediction:
    """What a network says of a batch.

    Attributes:
        rows: int64 [R], the points that are in a voxel.
        features: [M, D3] of voxels.
        logits: [R, C] of those points.
        images: of the batch's views, of which there may be none; None without an image branch.
    """

    rows: torch.Tensor
    features: torch.Tensor
    logits: torch.Tensor
    images: "ImagePrediction | None"


@dataclass(frozen=True)
class ImagePrediction:
    """What a network says of a batch's views.

    Attributes:
        features: [V, D2, h, w].
        logits: [V * h * w, C].
    """

    features: torch.Tensor
    logits: torch.Tensor


def predict(network: CrossModalNetwork, voxels: Voxels, views: Views | None) -> Prediction:
    """Runs both branches, or without views that of points alone."""
    with still_statistics(network.points, is_placeholder(voxels.coords)):
        features, logits = network.forward_points(voxels.coords, voxels.features)
    rows = torch.nonzero(voxels.of_point >= 0)[:, 0]
    logits = logits.index_select(0, voxels.of_point[rows])
    if network.images is None or views is None:
        return Prediction(rows, features, logits, None)
    # of no views too: layers and thresholds that talk to other processes wait for all
    image_features, maps = network.forward_images(views.images)
    images = ImagePrediction(image_features, maps.movedim(1, 3).flatten(0, 2))
    return Prediction(rows, features, logits, images)
