"""MinkUNet: the sparse residual U-Net of Choy et al. (CVPR 2019), on spconv."""

from typing import TYPE_CHECKING

import torch
from torch import nn

from wsss_perception.bundle import NetworkSpec
from wsss_perception.networks.presets import sizes_of
from wsss_perception.networks.sparse import (
    NormReLU,
    ResidualBlock,
    downsample,
    select_algorithm,
    sparse_tensor,
    submanifold,
    upsample,
)

if TYPE_CHECKING:
    from spconv.pytorch import SparseConvTensor


class MinkUNet(nn.Module):
    """Sparse U-Net with four down-samplings by 2 and skip connections.

    Args:
        spec: preset and width.
        inputs: input features per voxel.
        classes: outputs of the linear head: classes, or the values of an embedding.

    Attributes:
        feature_size: channels of the last decoder level, the head's input.
        level_sizes: channels of the four decoder levels, the finest first.

    Raises:
        ConfigError: no such preset.
    """

    def __init__(self, spec: NetworkSpec, inputs: int, classes: int) -> None:
        super().__init__()
        sizes = sizes_of(spec)
        planes, stem = sizes.planes, sizes.stem
        self.stem = nn.Sequential(
            submanifold(inputs, stem, sizes.stem_kernel, "stem"), NormReLU(stem)
        )
        skips = [stem, *planes[:3]]
        self.down, self.encoder = nn.ModuleList(), nn.ModuleList()
        for level in range(4):
            channels = skips[level]
            self.down.append(
                nn.Sequential(downsample(channels, channels, f"down{level}"), NormReLU(channels))
            )
            key, blocks = f"level{level + 1}", sizes.blocks[level]
            self.encoder.append(_blocks(channels, planes[level], blocks, key))
        self.up, self.decoder = nn.ModuleList(), nn.ModuleList()
        channels = planes[3]
        for step in range(4):
            level = 3 - step
            outputs = planes[4 + step]
            self.up.append(
                nn.Sequential(upsample(channels, outputs, f"down{level}"), NormReLU(outputs))
            )
            joined = outputs + skips[level]
            self.decoder.append(_blocks(joined, outputs, sizes.blocks[4 + step], f"level{level}"))
            channels = outputs
        self.feature_size = channels
        self.level_sizes = planes[:3:-1]
        self.head = nn.Linear(channels, classes)
        self._device_type = ""

    def forward(self, coords: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Computes logits or embeddings [V, classes] of voxels.

        Args:
            coords: int32 [V, 4] of (batch, x, y, z); unique.
            features: float [V, inputs].
        """
        return self.head(self.backbone(coords, features))

    def backbone(self, coords: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Computes the last decoder level's features [V, feature_size]; see ``forward``."""
        return self.levels(coords, features)[0].features

    def levels(self, coords: torch.Tensor, features: torch.Tensor) -> "list[SparseConvTensor]":
        """Computes the outputs of all decoder levels, the finest first; see ``forward``.

        Returns:
            Of each level s, 0 to 3, the voxels of 2^s times the edge: ``indices`` int32 [V_s, 4] in
            the grid of ``sparse.to_grid``, halved s times, and ``features``
            [V_s, level_sizes[s]]. Those of level 0 have the order of ``coords``.
        """
        if features.device.type != self._device_type:
            select_algorithm(self, features.device)
            self._device_type = features.device.type
        x = self.stem(sparse_tensor(coords, features))
        skips, levels = [], []
        for down, encode in zip(self.down, self.encoder, strict=True):
            skips.append(x)
            x = encode(down(x))
        for up, decode in zip(self.up, self.decoder, strict=True):
            x, skip = up(x), skips.pop()
            x = decode(x.replace_feature(torch.cat([x.features, skip.features], dim=1)))
            levels.append(x)
        return levels[::-1]


def _blocks(channels: int, outputs: int, count: int, key: str) -> nn.Sequential:
    first = ResidualBlock(channels, outputs, key)
    return nn.Sequential(first, *(ResidualBlock(outputs, outputs, key) for _ in range(count - 1)))
