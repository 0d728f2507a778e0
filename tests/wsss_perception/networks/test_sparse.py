"""Sparse layers against dense convolutions on the same voxels."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from wsss_perception.networks.sparse import (
    downsample,
    select_algorithm,
    sparse_tensor,
    submanifold,
    upsample,
)

SIZE = 16


def random_voxels(seed, count=300, batches=2):
    generator = np.random.default_rng(seed)
    cells = generator.choice(batches * SIZE**3, count, replace=False)
    coords = np.stack(np.unravel_index(cells, (batches, SIZE, SIZE, SIZE)), axis=1)
    corners = [[0, 0, 0, 0], [1, SIZE - 1, SIZE - 1, SIZE - 1]]  # span the whole grid
    return torch.from_numpy(np.unique(np.concatenate([coords, corners]), axis=0).astype(np.int32))


def to_dense(coords, features, size=SIZE):
    b, x, y, z = coords.long().T
    channels = torch.arange(features.shape[1])
    dense = torch.zeros(int(b.max()) + 1, features.shape[1], size, size, size)
    index = (b[:, None], channels[None], x[:, None], y[:, None], z[:, None])
    return dense.index_put(index, features)


def at_voxels(dense, coords):
    b, x, y, z = coords.long().T
    return dense[b, :, x, y, z]


def torch_layout(weight):
    """spconv keeps [out, kx, ky, kz, in]; torch wants [out, in, kx, ky, kz]."""
    return weight.permute(0, 4, 1, 2, 3)


def check_values_and_gradients(output, reference, features, layer, dense_weight, to_layout):
    torch.testing.assert_close(output, reference, atol=1e-4, rtol=1e-4)
    direction = torch.randn_like(output)
    got = torch.autograd.grad((output * direction).sum(), [features, layer.weight])
    expected = torch.autograd.grad((reference * direction).sum(), [features, dense_weight])
    torch.testing.assert_close(got[0], expected[0], atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(to_layout(got[1]), expected[1], atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("kernel", [3, 5])
def test_submanifold_equals_dense_convolution(kernel):
    coords = random_voxels(kernel)
    features = torch.randn(len(coords), 4, requires_grad=True)
    layer = submanifold(4, 6, kernel, "key")
    select_algorithm(layer, torch.device("cpu"))
    weight = torch_layout(layer.weight).detach().clone().requires_grad_()
    output = layer(sparse_tensor(coords, features)).features
    dense = functional.conv3d(to_dense(coords, features), weight, padding=kernel // 2)
    reference = at_voxels(dense, coords)
    check_values_and_gradients(output, reference, features, layer, weight, torch_layout)


def test_downsample_equals_dense_strided_convolution():
    coords = random_voxels(7)
    features = torch.randn(len(coords), 4, requires_grad=True)
    layer = downsample(4, 6, "key")
    select_algorithm(layer, torch.device("cpu"))
    weight = torch_layout(layer.weight).detach().clone().requires_grad_()
    coarse = layer(sparse_tensor(coords, features))
    dense = functional.conv3d(to_dense(coords, features), weight, stride=2)
    reference = at_voxels(dense, coarse.indices)
    check_values_and_gradients(coarse.features, reference, features, layer, weight, torch_layout)
    occupied = {tuple(row) for row in (coords // torch.tensor([1, 2, 2, 2])).tolist()}
    assert {tuple(row) for row in coarse.indices.tolist()} == occupied


def test_upsample_equals_dense_transposed_convolution_on_the_same_voxels():
    coords = random_voxels(9)
    down, up = downsample(4, 6, "key"), upsample(6, 5, "key")
    for layer in (down, up):
        select_algorithm(layer, torch.device("cpu"))
    coarse = down(sparse_tensor(coords, torch.randn(len(coords), 4)))
    features = coarse.features.detach().requires_grad_()
    fine = up(coarse.replace_feature(features))
    assert torch.equal(fine.indices, coords)

    def transposed_layout(weight):  # [out, kx, ky, kz, in] -> [in, out, kx, ky, kz]
        return weight.permute(4, 0, 1, 2, 3)

    weight = transposed_layout(up.weight).detach().clone().requires_grad_()
    coarse_dense = to_dense(coarse.indices, features, SIZE // 2)
    reference = at_voxels(functional.conv_transpose3d(coarse_dense, weight, stride=2), coords)
    check_values_and_gradients(fine.features, reference, features, up, weight, transposed_layout)


def test_sparse_tensor_keeps_order_and_accepts_negative_coordinates():
    coords = random_voxels(3)
    coords[:, 1:] -= 37
    tensor = sparse_tensor(coords, torch.arange(len(coords))[:, None].float())
    shift = (tensor.indices - coords)[:, 1:]
    assert (shift == shift[0]).all()
    assert (tensor.indices >= 0).all()
    assert torch.equal(tensor.features[:, 0], torch.arange(len(coords)).float())
