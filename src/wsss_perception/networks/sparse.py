"""Sparse convolution layers on spconv, on CPU and GPU."""

import spconv.core
import torch
from spconv.core import ConvAlgo

if not torch.cuda.is_available():  # lists of GPU kernels, whose description takes 8 s to import
    spconv.core.ALL_IMPGEMM_PARAMS = []
    spconv.core.ALL_NATIVE_PARAMS = []

import spconv.pytorch as spconv
from spconv.pytorch import ops
from spconv.pytorch.conv import SparseConvolution
from torch import nn

from wsss_perception.networks.presets import STRIDE


def sparse_tensor(coords: torch.Tensor, features: torch.Tensor) -> spconv.SparseConvTensor:
    """Builds a sparse tensor from voxels.

    Args:
        coords: int32 [V, 4] of (batch, x, y, z), unique, of any sign.
        features: float [V, C].

    Returns:
        The voxels in spconv's non-negative grid; its order of voxels is the input's.
    """
    shifted = to_grid(coords)
    extent = shifted[:, 1:].amax(dim=0) + 1
    shape = (torch.div(extent + STRIDE - 1, STRIDE, rounding_mode="floor") * STRIDE).tolist()
    batch_size = int(coords[:, 0].amax()) + 1
    return spconv.SparseConvTensor(features, shifted.contiguous(), shape, batch_size)


def to_grid(coords: torch.Tensor) -> torch.Tensor:
    """Shifts the voxels of a batch [V, 4] to where none is negative; what is there stays."""
    # Whole multiples of the network's stride: down-sampling then cuts the world at the same
    # places whatever the scene's extent, and no voxel is left over at the far end.
    low = torch.div(coords[:, 1:].amin(dim=0), STRIDE, rounding_mode="floor") * STRIDE
    shifted = coords.clone()
    shifted[:, 1:] -= low
    return shifted


def submanifold(
    channels: int, outputs: int, kernel: int, key: str, bias: bool = False
) -> spconv.SubMConv3d:
    """Submanifold convolution: outputs exist where inputs do."""
    return spconv.SubMConv3d(channels, outputs, kernel, bias=bias, indice_key=key)


def downsample(channels: int, outputs: int, key: str) -> spconv.SparseConv3d:
    """Convolution of kernel and stride 2."""
    return spconv.SparseConv3d(channels, outputs, 2, stride=2, bias=False, indice_key=key)


def upsample(channels: int, outputs: int, key: str) -> spconv.SparseInverseConv3d:
    """Inverse of the ``downsample`` of the same key: back to exactly its input's voxels."""
    return spconv.SparseInverseConv3d(channels, outputs, 2, indice_key=key, bias=False)


class NormReLU(nn.Module):
    """Batch normalisation and ReLU over the features of a sparse tensor."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(channels)

    def forward(self, x: spconv.SparseConvTensor) -> spconv.SparseConvTensor:
        """Normalises and rectifies; the voxels stay."""
        return x.replace_feature(torch.relu(self.norm(x.features)))


class ResidualBlock(nn.Module):
    """Two 3x3x3 submanifold convolutions with a shortcut.

    Args:
        channels: of the input.
        outputs: of the output; the shortcut is a 1x1x1 convolution where they differ.
        key: names the voxel set, whose neighbour pairs are computed once.
    """

    def __init__(self, channels: int, outputs: int, key: str) -> None:
        super().__init__()
        self.conv1 = submanifold(channels, outputs, 3, key)
        self.norm1 = nn.BatchNorm1d(outputs)
        self.conv2 = submanifold(outputs, outputs, 3, key)
        self.norm2 = nn.BatchNorm1d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if channels != outputs:
            linear = nn.Linear(channels, outputs, bias=False)
            self.shortcut = nn.Sequential(linear, nn.BatchNorm1d(outputs))

    def forward(self, x: spconv.SparseConvTensor) -> spconv.SparseConvTensor:
        """Computes ``relu(F(x) + shortcut(x))``; the voxels stay."""
        y = self.conv1(x)
        y = self.conv2(y.replace_feature(torch.relu(self.norm1(y.features))))
        return y.replace_feature(torch.relu(self.norm2(y.features) + self.shortcut(x.features)))


def select_algorithm(network: nn.Module, device: torch.device) -> None:
    """Sets the convolution algorithm of every layer to one that the device can run.

    spconv chooses at construction and assumes a GPU; CPU tensors need the native algorithm.
    """
    on_cpu = device.type == "cpu"
    for module in network.modules():
        if isinstance(module, SparseConvolution):
            volume = int(torch.tensor(module.kernel_size).prod())
            fast = ConvAlgo.MaskImplicitGemm if volume <= 32 else ConvAlgo.Native
            module.algo = ConvAlgo.Native if on_cpu else fast
    if on_cpu:
        _let_backward_run_without_cuda()


def _let_backward_run_without_cuda() -> None:
    """Stops spconv's native backward from asking CUDA for a stream where there is no CUDA.

    It asks even for CPU tensors, whose kernels take no stream.
    """
    if not torch.cuda.is_available():
        ops.get_current_stream = lambda: 0
