import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wsss_training.losses.lovasz import lovasz_softmax


def jaccard_loss(mistaken, truth):
    """1 - IoU of one class when exactly the points of a set are mistaken."""
    predicted = truth ^ mistaken
    union = int((truth | predicted).sum())
    return 1.0 - int((truth & predicted).sum()) / union if union else 0.0


def literal_lovasz(probabilities, labels):
    """The Lovasz extension by its definition: a sum over points in order of their errors."""
    losses = []
    for c in range(probabilities.shape[1]):
        truth = labels == c
        if not truth.any():
            continue
        errors = (truth.double() - probabilities[:, c]).abs()
        order = errors.argsort(descending=True)
        mistaken = torch.zeros(len(labels), dtype=torch.bool)
        total, before = 0.0, 0.0
        for index in order:
            mistaken[index] = True
            after = float(jaccard_loss(mistaken, truth))
            total += float(errors[index]) * (after - before)
            before = after
        losses.append(total)
    return sum(losses) / len(losses)


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 30), st.integers(2, 5))
def test_lovasz_softmax_equals_its_definition(seed, points, classes):
    generator = torch.Generator().manual_seed(seed)
    probabilities = torch.rand(points, classes, generator=generator).double().softmax(dim=1)
    labels = torch.randint(classes, (points,), generator=generator)
    expected = literal_lovasz(probabilities, labels)
    assert float(lovasz_softmax(probabilities, labels)) == pytest.approx(expected, abs=1e-9)


def test_lovasz_softmax_of_hard_predictions_is_the_jaccard_loss():
    labels = torch.tensor([0, 0, 0, 1, 1])
    predicted = torch.tensor([0, 0, 1, 1, 1])
    probabilities = torch.nn.functional.one_hot(predicted, 3).float()
    expected = ((1 - 2 / 3) + (1 - 2 / 3)) / 2  # IoU of class 0 and of class 1 is 2/3
    assert float(lovasz_softmax(probabilities, labels)) == pytest.approx(expected, abs=1e-6)


def test_lovasz_softmax_of_no_points_is_zero_with_a_gradient():
    probabilities = torch.zeros(0, 4, requires_grad=True)
    loss = lovasz_softmax(probabilities, torch.zeros(0, dtype=torch.int64))
    loss.backward()
    assert loss.item() == 0.0
