"""WSegPC's two branches: points and images, with projectors between their features."""

import torch
from torch import nn

from wsss_perception.networks.minkunet import MinkUNet
from wsss_training.networks.image_resnet import ImageResNet

_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's RGB


class Projectors(nn.Module):
    """Linear maps between the features of the two branches (WSegPC, section 3.2).

    Args:
        point_size: channels of point features.
        image_size: channels of image features.

    Attributes:
        to_image: P3, of point features to image features.
        to_point: P2, of image features to point features.
    """

    def __init__(self, point_size: int, image_size: int) -> None:
        super().__init__()
        self.to_image = nn.Linear(point_size, image_size)
        self.to_point = nn.Linear(image_size, point_size)


class CrossModalNetwork(nn.Module):
    """A point network, and an image network where there is one.

    Args:
        points: maps voxels to features and logits.
        images: maps images to features and logits; None for points alone.
        guided: whether one branch guides the other, which needs projectors.

    Attributes:
        projectors: None without guidance or without images.
    """

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, points: MinkUNet, images: ImageResNet | None, guided: bool) -> None:
        super().__init__()
        self.points, self.images = points, images
        self.projectors: Projectors | None = None
        if images is not None and guided:
            self.projectors = Projectors(points.feature_size, images.feature_size)
        self.register_buffer("mean", torch.tensor(_MEAN)[:, None, None], persistent=False)
        self.register_buffer("deviation", torch.tensor(_DEVIATION)[:, None, None], persistent=False)

    def forward_points(
        self, coords: torch.Tensor, features: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Computes features [M, D3] and logits [M, C] of voxels; see ``MinkUNet.forward``."""
        hidden = self.points.backbone(coords, features)
        return hidden, self.points.head(hidden)

    def forward_images(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Computes features [V, D2, h, w] and logits [V, C, h, w] of images uint8 [V, 3, H, W].

        Raises:
            RuntimeError: there is no image network.
        """
        if self.images is None:
            raise RuntimeError("this network has no image branch")
        return self.images((images.float() / 255 - self.mean) / self.deviation)
