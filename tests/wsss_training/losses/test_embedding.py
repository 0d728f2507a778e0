import math

import torch
from hypothesis import given as examples
from hypothesis import strategies as st

from wsss_training.losses.embedding import centered, cosine_loss


def test_cosine_loss_is_the_mean_of_one_minus_the_cosine():
    given, wanted = torch.randn(7, 5), torch.randn(7, 5)
    terms = []
    for f, t in zip(given.tolist(), wanted.tolist(), strict=True):
        product = sum(a * b for a, b in zip(f, t, strict=True))
        lengths = math.sqrt(sum(a * a for a in f)) * math.sqrt(sum(b * b for b in t))
        terms.append(1 - product / lengths)
    assert abs(cosine_loss(given, wanted).item() - sum(terms) / 7) < 1e-6
    assert abs(cosine_loss(3 * given, 0.1 * wanted).item() - sum(terms) / 7) < 1e-6


def test_cosine_loss_of_no_points_is_zero_with_a_gradient():
    given = torch.zeros(0, 5, requires_grad=True)
    weight = torch.ones(1, requires_grad=True)
    loss = cosine_loss(given * weight, torch.zeros(0, 5))
    loss.backward()
    assert (loss.item(), weight.grad.item()) == (0.0, 0.0)


def test_rows_count_by_their_weights():
    given, wanted, weights = torch.randn(7, 5), torch.randn(7, 5), torch.rand(7)
    each = [cosine_loss(given[k : k + 1], wanted[k : k + 1]).item() for k in range(7)]
    mean = sum(w * e for w, e in zip(weights.tolist(), each, strict=True)) / weights.sum().item()
    assert abs(cosine_loss(given, wanted, weights).item() - mean) < 1e-6
    assert cosine_loss(given[:0], wanted[:0], weights[:0]).item() == 0


def test_a_center_is_taken_from_directions():
    given, center = 3 * torch.randn(7, 5), torch.randn(5)
    for row, f in zip(centered(given, center).tolist(), given.tolist(), strict=True):
        length = math.sqrt(sum(a * a for a in f))
        wanted = [a / length - m for a, m in zip(f, center.tolist(), strict=True)]
        assert max(abs(a - b) for a, b in zip(row, wanted, strict=True)) < 1e-6


@examples(st.integers(0, 2**32 - 1), st.floats(0, 0.95))
def test_only_the_same_direction_looks_alike_from_a_center_within_the_sphere(seed, length):
    generator = torch.Generator().manual_seed(seed)
    f, t, m = torch.randn(3, 1, 4, generator=generator)
    center = length * m[0] / m.norm()
    apart = cosine_loss(f, t).item()
    seen_apart = cosine_loss(centered(f, center), centered(t, center)).item()
    assert cosine_loss(centered(2 * t, center), centered(t, center)).item() < 1e-5
    assert seen_apart > 1e-3 * apart - 1e-6
