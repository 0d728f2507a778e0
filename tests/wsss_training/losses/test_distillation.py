import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wsss_training.losses.distillation import transfer_loss


def probabilities(logits):
    total = sum(math.exp(z) for z in logits)
    return [math.exp(z) / total for z in logits]


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 20))
def test_transfer_loss_equals_its_definition(seed, count):
    generator = torch.Generator().manual_seed(seed)
    student, guide = 3 * torch.randn(2, count, 4, generator=generator)
    total = 0.0
    for z, c in zip(student.tolist(), guide.tolist(), strict=True):
        for p, q in zip(probabilities(c), probabilities(z), strict=True):
            total += p * math.log(p / q)
    assert transfer_loss(student, guide).item() == pytest.approx(total / count, rel=1e-3, abs=1e-5)


def test_transfer_loss_moves_the_student_towards_the_guide_and_not_the_guide():
    student = torch.zeros(3, 4, requires_grad=True)
    guide = torch.randn(3, 4, requires_grad=True)
    transfer_loss(student, guide).backward()
    assert guide.grad is None
    expected = (student.softmax(dim=1) - guide.softmax(dim=1)) / 3
    torch.testing.assert_close(student.grad, expected)


def test_transfer_loss_of_equal_classes_is_zero():
    logits = torch.randn(5, 4)
    assert transfer_loss(logits, logits + 7).item() == pytest.approx(0.0, abs=1e-6)


def test_transfer_loss_of_logits_far_apart_is_finite():
    loss = transfer_loss(torch.tensor([[500.0, -500.0]]), torch.tensor([[-500.0, 500.0]]))
    assert loss.item() == pytest.approx(1000.0)


def test_transfer_loss_of_no_rows_is_zero_with_a_gradient():
    student = torch.zeros(0, 3, requires_grad=True)
    loss = transfer_loss(student, torch.zeros(0, 3))
    loss.backward()
    assert loss.item() == 0.0
    assert student.grad.shape == (0, 3)


def test_transfer_loss_within_autocast_is_computed_in_float32():
    student, guide = torch.randn(2, 6, 4).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = transfer_loss(student, guide)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, transfer_loss(student.float(), guide.float()))
