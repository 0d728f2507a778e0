import math

import torch

from wsss_training.losses.embedding import cosine_loss


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
