import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from wsss_training.networks.deformable_transfer import DeformableTransfer, pyramid, sample_maps

POINT, MAP, HIDDEN, CLASSES = 6, 3, 8, 4
SIZES = ((5, 7), (1, 1), (9, 2))  # height, width of the views' maps


def random_maps(rng, sizes=SIZES):
    return [torch.from_numpy(rng.normal(size=(MAP, *size)).astype(np.float32)) for size in sizes]


def literal_sample(one, place):
    """A map [D, h, w] at a place (right, down) in 0..1, by the nearest cell centres."""
    _, h, w = one.shape
    x = min(max(place[0] * w - 0.5, 0.0), w - 1.0)
    y = min(max(place[1] * h - 0.5, 0.0), h - 1.0)
    total = np.zeros(len(one))
    for row in range(h):
        for column in range(w):
            total += (
                max(0.0, 1 - abs(x - column)) * max(0.0, 1 - abs(y - row)) * one[:, row, column]
            )
    return total


def is_inside(place):
    return 0 <= place[0] <= 1 and 0 <= place[1] <= 1


def linear(layer, x):
    return layer.weight.detach().double().numpy() @ x + layer.bias.detach().double().numpy()


def literal_guide(module, h, one, uv):
    """Guide logits of one pair, as the equations say; and how many samples lie inside."""
    _, height, width = one.shape
    if module.offsets is None:
        seen = [(literal_sample(one, uv), 0.0)]
    else:
        offsets = linear(module.offsets, h).reshape(-1, 2)
        places = [(uv[0] + dx / width, uv[1] + dy / height) for dx, dy in offsets]
        seen = [
            (literal_sample(one, place), score)
            for place, score in zip(places, linear(module.weights, h), strict=True)
            if is_inside(place)
        ]
    inside = len(seen)
    seen = seen or [(literal_sample(one, uv), 0.0)]
    total = sum(math.exp(score) for _, score in seen)
    g = sum(math.exp(score) / total * linear(module.value, sampled) for sampled, score in seen)
    normed = (g - g.mean()) / math.sqrt(g.var() + module.norm.eps)
    normed = normed * module.norm.weight.detach().numpy() + module.norm.bias.detach().numpy()
    return linear(module.classify, np.maximum(normed, 0)), inside


def random_module(seed, samples):
    torch.manual_seed(seed)
    module = DeformableTransfer(POINT, MAP, HIDDEN, samples, CLASSES)
    for name, parameter in module.named_parameters():
        nn.init.normal_(parameter, std=0.7 if name.startswith("offsets") else 1.0)
    return module


def random_pairs(seed, count=40):
    rng = np.random.default_rng(seed)
    maps = random_maps(rng)
    hidden = torch.from_numpy(rng.normal(size=(count, POINT)).astype(np.float32))
    view = torch.from_numpy(rng.integers(len(maps), size=count))
    return hidden, maps, view, torch.from_numpy(rng.random((count, 2)).astype(np.float32))


@pytest.mark.parametrize("samples", [None, 1, 4])
@pytest.mark.parametrize("seed", range(3))
def test_guide_logits_equal_their_definition(seed, samples):
    module = random_module(seed, samples)
    pairs = random_pairs(seed)
    found = module(*pairs).detach().numpy()
    counts = set()
    for row, h, v, uv in zip(found, pairs[0], pairs[2], pairs[3], strict=True):
        one = pairs[1][v].double().numpy()
        expected, inside = literal_guide(module, h.double().numpy(), one, uv.tolist())
        np.testing.assert_allclose(row, expected, rtol=2e-3, atol=2e-3)
        counts.add(inside)
    if samples == 4:
        assert {0, 1, 2} <= counts  # some of them, or all, have left the image


@pytest.mark.parametrize("samples", [1, 5])
def test_zero_offsets_are_one_to_one_whatever_the_weights(samples):
    module = random_module(0, samples)
    nn.init.zeros_(module.offsets.weight)
    nn.init.zeros_(module.offsets.bias)
    plain = DeformableTransfer(POINT, MAP, HIDDEN, None, CLASSES)
    plain.load_state_dict({name: module.state_dict()[name] for name in plain.state_dict()})
    pairs = random_pairs(1)
    assert module.weights(pairs[0]).std() > 1
    torch.testing.assert_close(module(*pairs), plain(*pairs), rtol=1e-3, atol=1e-4)


def test_samples_outside_the_image_weigh_nothing_and_the_rest_sum_to_one():
    module = random_module(2, 3)
    nn.init.zeros_(module.offsets.weight)
    module.offsets.bias.data = torch.tensor([0.0, 0.0, 1.0, 0.0, 0.0, -4.0])
    hidden = torch.randn(2, POINT)
    maps, view = [torch.randn(MAP, 4, 4)], torch.zeros(2, dtype=torch.int64)
    uv = torch.tensor([[0.5, 0.5], [0.9, 0.5]])  # a cell to the right of 0.9 is outside
    places, weights = module.choose(hidden, maps, view, uv)
    torch.testing.assert_close(places[0], torch.tensor([[0.5, 0.5], [0.75, 0.5], [0.5, 0.5]]))
    assert (weights > 0).tolist() == [[True, True, False], [True, False, False]]
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(2))
    scores = module.weights(hidden)[0, :2]
    torch.testing.assert_close(weights[0, :2], scores.softmax(dim=0))
    module.offsets.bias.data += 100
    places, weights = module.choose(hidden, maps, view, uv)
    assert torch.equal(places, uv[:, None].expand(2, 3, 2))
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(2))


def test_offsets_start_on_a_ring_of_one_cell_alike_for_all_points():
    module = DeformableTransfer(POINT, MAP, HIDDEN, 5, CLASSES)
    offsets = module.offsets(torch.randn(7, POINT)).reshape(7, 5, 2)
    assert (offsets == offsets[:1]).all()
    assert (offsets[0, 0] == 0).all()
    torch.testing.assert_close(offsets[0, 1:].norm(dim=1), torch.ones(4))
    assert len(offsets[0].detach().round(decimals=3).unique(dim=0)) == 5
    assert (module.weights(torch.randn(7, POINT)) == 0).all()


def test_guide_learns_all_its_parts_and_leaves_the_points_features_alone():
    module = DeformableTransfer(POINT, MAP, HIDDEN, 4, CLASSES)
    hidden, maps, view, uv = random_pairs(3)
    hidden.requires_grad_()
    module(hidden, maps, view, uv).square().sum().backward()
    assert hidden.grad is None
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert (parameter.grad != 0).any(), name


def test_gradient_of_offsets_points_to_where_the_map_rises():
    """Moving the samples as the gradient says raises what is sampled, on a map like a ramp."""
    module = DeformableTransfer(POINT, 1, 2, 3, 2)
    ramp = torch.arange(8.0).repeat(1, 8, 1)
    view, uv = torch.zeros(1, dtype=torch.int64), torch.tensor([[0.5, 0.5]])
    places, weights = module.choose(torch.zeros(1, POINT), [ramp], view, uv)
    sampled, _ = sample_maps([ramp], view, places)
    (sampled[..., 0] * weights).sum().backward()
    gradient = module.offsets.bias.grad.reshape(3, 2)
    torch.testing.assert_close(gradient, torch.tensor([[1 / 3, 0.0]] * 3))


@pytest.mark.parametrize("samples", [None, 4])
@pytest.mark.parametrize("views", [0, 2])
def test_no_pairs_give_no_logits_and_gradients_of_zero(samples, views):
    module = DeformableTransfer(POINT, MAP, HIDDEN, samples, CLASSES)
    none = torch.zeros(0, dtype=torch.int64)
    maps = random_maps(np.random.default_rng(0))[:views]
    logits = module(torch.zeros(0, POINT), maps, none, torch.zeros(0, 2))
    assert logits.shape == (0, CLASSES)
    logits.sum().backward()
    assert all((parameter.grad == 0).all() for parameter in module.parameters())


@pytest.mark.parametrize("samples", [None, 4])
def test_guide_logits_within_autocast_are_those_without(samples):
    module = random_module(4, samples)
    hidden, maps, view, uv = random_pairs(4)
    hidden = hidden.bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = module(hidden, maps, view, uv)
    assert found.dtype == torch.float32
    assert torch.equal(found, module(hidden.float(), maps, view, uv))


def test_offsets_that_are_no_numbers_count_as_outside():
    module = random_module(5, 3)
    hidden, maps, view, uv = random_pairs(5)
    plain = random_module(5, 3)
    plain.offsets.bias.data[:2] = 1e9
    module.offsets.bias.data[:2] = torch.nan
    found = module(hidden, maps, view, uv)
    assert torch.equal(found, plain(hidden, maps, view, uv))


@settings(max_examples=30)
@given(st.integers(0, 10**6))
def test_sample_maps_equals_a_literal_sum_over_views_of_different_sizes(seed):
    rng = np.random.default_rng(seed)
    maps = random_maps(rng, [tuple(rng.integers(1, 7, 2)) for _ in range(3)])
    view = torch.from_numpy(rng.integers(3, size=12))
    places = torch.from_numpy(rng.uniform(-0.3, 1.3, (12, 2, 2)).astype(np.float32))
    sampled, inside = sample_maps(maps, view, places)
    for p, v in enumerate(view):
        for k in range(2):
            place = places[p, k].tolist()
            expected = literal_sample(maps[v].double().numpy(), place)
            np.testing.assert_allclose(sampled[p, k], expected, atol=1e-5)
            assert inside[p, k] == is_inside(place)


def test_sample_maps_returns_the_cells_at_their_centres():
    maps = random_maps(np.random.default_rng(1))
    for v, one in enumerate(maps):
        h, w = one.shape[1:]
        rows, columns = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
        centres = torch.stack([(columns + 0.5) / w, (rows + 0.5) / h], dim=-1).reshape(1, -1, 2)
        sampled, inside = sample_maps(maps, torch.tensor([v]), centres)
        torch.testing.assert_close(sampled[0], one.flatten(1).T)
        assert inside.all()


def literal_coarse(values, coarse):
    """Means over equal parts of a row of cells, cut into very small pieces."""
    pieces = np.repeat(values, coarse, axis=-1)  # each part is len(values) pieces
    return pieces.reshape(*values.shape[:-1], coarse, values.shape[-1]).mean(axis=-1)


@pytest.mark.parametrize("scale", [0, 1, 2])
def test_pyramid_averages_equal_parts_of_each_view(scale):
    maps = random_maps(np.random.default_rng(scale), [(5, 7), (8, 4), (1, 3)])
    for one, found in zip(maps, pyramid(maps, scale), strict=True):
        h, w = (math.ceil(size / 2**scale) for size in one.shape[1:])
        across = literal_coarse(one.numpy(), w)
        expected = literal_coarse(across.swapaxes(1, 2), h).swapaxes(1, 2)
        assert found.shape == (MAP, h, w)
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_pyramid_is_average_pooling_where_sizes_can_be_halved():
    one = random_maps(np.random.default_rng(0), [(8, 12)])[0]
    for scale in (1, 2):
        expected = nn.functional.avg_pool2d(one, 2**scale)
        torch.testing.assert_close(pyramid([one], scale)[0], expected)


@pytest.mark.parametrize("scale", [1, 2])
def test_pyramid_keeps_places_where_they_were(scale):
    """A ramp over an image of an odd number of cells reads the same at every scale."""
    ramp = (torch.arange(45) + 0.5).repeat(1, 31, 1) / 45
    places = torch.linspace(0.1, 0.9, 20)
    places = torch.stack([places, places], dim=1)[None]
    sampled, _ = sample_maps(pyramid([ramp], scale), torch.tensor([0]), places)
    torch.testing.assert_close(sampled[0, :, 0], places[0, :, 0], atol=2e-3, rtol=0)
