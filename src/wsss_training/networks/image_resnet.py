"""The image branch: a ResNet whose last two stages are dilated, with a linear head a pixel."""

from pathlib import Path
from typing import cast

import torch
import torchvision
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

from wsss_perception.errors import ConfigError

NAMES = ("resnet18", "resnet34", "resnet50", "resnet101")
STRIDE = 8
"""Pixels of the image a feature stands for."""


class ImageResNet(nn.Module):
    """ResNet features of an image at an eighth of its size (WSegPC, implementation details).

    The stages that would halve the size for the fourth and fifth time are dilated instead; the
    last ReLU is left out, so that features may be negative, as those of the 3D network.

    Args:
        name: one of ``NAMES``.
        classes: classes of the linear head.
        weights: file of a torchvision ResNet's state, ``.safetensors`` or ``.pth``, such as one
            trained on ImageNet; None starts from random weights.

    Attributes:
        feature_size: channels of the features.

    Raises:
        ConfigError: unknown name, or a file that does not hold this network's weights.
    """

    def __init__(self, name: str, classes: int, weights: str | Path | None = None) -> None:
        super().__init__()
        if name not in NAMES:
            raise ConfigError(f"unknown image network '{name}'; known: {', '.join(NAMES)}")
        network: ResNet = getattr(torchvision.models, name)()
        if weights is not None:
            _load(network, Path(weights), name)
        self.feature_size: int = network.fc.in_features
        self.stem = nn.Sequential(network.conv1, network.bn1, network.relu, network.maxpool)
        _dilate(network.layer3, first=1, others=2)
        _dilate(network.layer4, first=2, others=4)
        self.stages = nn.Sequential(
            network.layer1, network.layer2, network.layer3, network.layer4[:-1]
        )
        self.last_block = network.layer4[-1]
        self.head = nn.Conv2d(self.feature_size, classes, kernel_size=1)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Computes features and logits.

        Args:
            images: float [B, 3, H, W], normalised as for ImageNet.

        Returns:
            Features [B, feature_size, H / 8, W / 8], and logits [B, classes, H / 8, W / 8]; sizes
            are rounded up.
        """
        features = _without_last_relu(self.last_block, self.stages(self.stem(images)))
        return features, self.head(features)


def _dilate(stage: nn.Sequential, first: int, others: int) -> None:
    """Takes the stride off a stage and spreads its 3x3 kernels instead."""
    for number, block in enumerate(stage):
        dilation = first if number == 0 else others
        for module in block.modules():
            if isinstance(module, nn.Conv2d):
                module.stride = (1, 1)
                if module.kernel_size == (3, 3):
                    module.dilation = module.padding = (dilation, dilation)


def _without_last_relu(block: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """A residual block's forward pass up to its last ReLU; the block keeps the size."""
    block = cast(BasicBlock | Bottleneck, block)
    out = block.relu(block.bn1(block.conv1(x)))
    out = block.bn2(block.conv2(out))
    if isinstance(block, Bottleneck):
        out = block.bn3(block.conv3(block.relu(out)))
    return out + x


def _load(network: ResNet, path: Path, name: str) -> None:
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
        network.load_state_dict(state)
    except (OSError, SafetensorError, RuntimeError, TypeError, ValueError, EOFError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ConfigError(
            f"{path}: does not hold the weights of a torchvision {name}: {reason}"
        ) from error
    except Exception as error:  # pickle's own, of no common base
        raise ConfigError(f"{path}: cannot be read as weights: {type(error).__name__}") from error
