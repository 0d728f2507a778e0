import math

import pytest
import torch

from wsss_training.losses.cross_entropy import weighted_cross_entropy


def test_weighted_cross_entropy_equals_a_literal_sum():
    logits = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 3.0], [0.0, 0.0, 0.0]])
    labels, weights = torch.tensor([0, 1, 2]), torch.tensor([1.0, 0.5, 0.25])
    total = 0.0
    for row, label, weight in zip(logits.tolist(), labels.tolist(), weights.tolist(), strict=True):
        total -= weight * (row[label] - math.log(sum(math.exp(z) for z in row)))
    loss = weighted_cross_entropy(logits, labels, weights)
    assert float(loss) == pytest.approx(total / 1.75, rel=1e-6)


def test_weighted_cross_entropy_gives_no_gradient_to_points_without_weight():
    logits = torch.randn(4, 3, requires_grad=True)
    weights = torch.tensor([1.0, 0.0, 1.0, 0.0])
    weighted_cross_entropy(logits, torch.tensor([0, 1, 2, 0]), weights).backward()
    assert (logits.grad[[1, 3]] == 0).all()
    assert (logits.grad[[0, 2]] != 0).any()


def test_weighted_cross_entropy_of_no_points_is_zero():
    loss = weighted_cross_entropy(
        torch.zeros(0, 3, requires_grad=True), torch.zeros(0, dtype=torch.int64), torch.zeros(0)
    )
    loss.backward()
    assert loss.item() == 0.0
