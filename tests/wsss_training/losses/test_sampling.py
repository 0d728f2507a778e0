import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from wsss_training.losses.sampling import sample_bilinear


def literal_sample(features, uv, size):
    """Features of one image [D, h, w] at one pixel, by the four nearest cell centres."""
    _, h, w = features.shape
    x = (uv[0] + 0.5) * w / size[1] - 0.5
    y = (uv[1] + 0.5) * h / size[0] - 0.5
    x, y = min(max(x, 0.0), w - 1.0), min(max(y, 0.0), h - 1.0)
    total = 0.0
    for row in range(h):
        for column in range(w):
            weight = max(0.0, 1 - abs(x - column)) * max(0.0, 1 - abs(y - row))
            total = total + weight * features[:, row, column]
    return total


@pytest.mark.parametrize("seed", range(4))
def test_sample_bilinear_equals_a_literal_sum_and_torch(seed):
    rng = np.random.default_rng(seed)
    h, w = rng.integers(1, 7, 2)
    size = (int(rng.integers(h, 40)), int(rng.integers(w, 40)))
    features = rng.normal(size=(3, 5, h, w)).astype(np.float32)
    image = rng.integers(3, size=40)
    uv = rng.uniform(-3, [size[1] + 3, size[0] + 3], (40, 2)).astype(np.float32)
    sampled = sample_bilinear(*map(torch.from_numpy, (features, image, uv)), size)
    expected = [
        literal_sample(features[b].astype(np.float64), p, size)
        for b, p in zip(image, uv, strict=True)
    ]
    np.testing.assert_allclose(sampled, expected, atol=1e-4)
    for b in range(3):
        grid = (torch.from_numpy(uv[image == b]) + 0.5) * 2 / torch.tensor(size[::-1]) - 1
        theirs = functional.grid_sample(
            torch.from_numpy(features[b : b + 1]),
            grid[None, None],
            padding_mode="border",
            align_corners=False,
        )[0, :, 0].T
        np.testing.assert_allclose(sampled[torch.from_numpy(image == b)], theirs, atol=1e-4)


@pytest.mark.parametrize("stride", [1, 2, 4, 8])
def test_sample_bilinear_reads_linear_ramps_exactly(stride):
    height, width = 32, 48
    rows = (np.arange(height // stride) + 0.5) * stride - 0.5  # centres in the full image
    columns = (np.arange(width // stride) + 0.5) * stride - 0.5
    ramp = np.stack(np.broadcast_arrays(columns, rows[:, None]))  # [2, h, w]: u and v
    features = torch.from_numpy(ramp[None].astype(np.float32))
    rng = np.random.default_rng(stride)
    inside = rng.uniform([columns[0], rows[0]], [columns[-1], rows[-1]], (50, 2))
    uv = torch.from_numpy(inside.astype(np.float32))
    image = torch.zeros(50, dtype=torch.int64)
    sampled = sample_bilinear(features, image, uv, (height, width))
    np.testing.assert_allclose(sampled, inside, atol=1e-4)


def test_sample_bilinear_at_full_resolution_returns_the_pixels():
    features = torch.arange(2 * 3 * 4 * 5.0).reshape(2, 3, 4, 5)
    image, column, row = torch.tensor([0, 1, 1]), torch.tensor([0, 4, 2]), torch.tensor([0, 3, 1])
    sampled = sample_bilinear(features, image, torch.stack([column, row], dim=1).float(), (4, 5))
    assert torch.equal(sampled, features[image, :, row, column])


def test_sample_bilinear_holds_the_border_and_gives_features_their_gradient():
    features = torch.tensor([[[[1.0, 3.0]]]], requires_grad=True)
    uv = torch.tensor([[-50.0, 0.0], [50.0, 9.0], [3.5, 1.5]])
    sampled = sample_bilinear(features, torch.zeros(3, dtype=torch.int64), uv, (4, 8))
    assert sampled[:, 0].tolist() == [1.0, 3.0, 2.0]
    sampled.sum().backward()
    assert features.grad.flatten().tolist() == [1.5, 1.5]


def test_sample_bilinear_of_no_pixels_is_empty_with_a_gradient():
    features = torch.randn(1, 3, 2, 2, requires_grad=True)
    sampled = sample_bilinear(
        features, torch.zeros(0, dtype=torch.int64), torch.zeros(0, 2), (8, 8)
    )
    sampled.sum().backward()
    assert sampled.shape == (0, 3)
    assert (features.grad == 0).all()


def test_sample_bilinear_of_half_precision_maps_interpolates_in_float32():
    features = torch.tensor([[[[1.0, 2.0]]]], dtype=torch.bfloat16)
    uv = torch.tensor([[0.3, 0.0]])
    sampled = sample_bilinear(features, torch.zeros(1, dtype=torch.int64), uv, (1, 2))
    assert math.isclose(sampled.item(), 1.3, rel_tol=1e-6)


def test_gradients_are_the_same_each_time():
    torch.manual_seed(0)
    features, uv = torch.randn(2, 64, 15, 50), torch.rand(3000, 2) * torch.tensor([400.0, 120.0])
    image = torch.randint(0, 2, (3000,))

    def gradient() -> torch.Tensor:
        leaf = features.clone().requires_grad_()
        sample_bilinear(leaf, image, uv, (120, 400)).square().sum().backward()
        assert leaf.grad is not None
        return leaf.grad

    first = gradient()
    assert all(torch.equal(first, gradient()) for _ in range(5))
