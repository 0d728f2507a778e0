import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wsss_perception.frame import UNKNOWN
from wsss_training.losses.contrast import semantic_contrast

ANCHOR_CLASS = [4, 1, 1, 0, 4, 1]  # in no order, class 1 with three, classes 2 and 3 with none


def random_case(seed, count=20, size=5):
    generator = torch.Generator().manual_seed(seed)
    embeddings = 3 * torch.randn(count, size, generator=generator)
    anchors = 2 * torch.randn(len(ANCHOR_CLASS), size, generator=generator)
    choice = torch.randint(5, (count,), generator=generator)
    labels = torch.tensor([0, 1, 2, 4, UNKNOWN])[choice]
    weights = torch.rand(count, generator=generator)
    return embeddings, anchors, torch.tensor(ANCHOR_CLASS), labels, weights


def cosine(a, b):
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(x * x for x in b))


def literal_contrast(embeddings, anchors, anchor_class, labels, weights, temperature):
    total = share = 0.0
    for e, y, w in zip(embeddings, labels, weights, strict=True):
        near = {}
        for t, c in zip(anchors, anchor_class, strict=True):
            near[c] = max(near.get(c, -1.0), cosine(e, t))
        if y in near:
            scores = {c: math.exp(value / temperature) for c, value in near.items()}
            total -= w * math.log(scores[y] / sum(scores.values()))
            share += w
    return total / share if share else 0.0


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 25), st.sampled_from([0.07, 0.5]))
def test_contrast_equals_its_definition(seed, count, temperature):
    case = random_case(seed, count)
    expected = literal_contrast(*(tensor.tolist() for tensor in case), temperature)
    loss = semantic_contrast(*case, temperature)
    assert loss.item() == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_contrast_reaches_only_rows_that_have_a_part_and_no_anchor():
    embeddings, anchors, anchor_class, labels, weights = random_case(0)
    weights[:4] = 0
    embeddings.requires_grad_()
    anchors.requires_grad_()
    semantic_contrast(embeddings, anchors, anchor_class, labels, weights, 0.1).backward()
    part = (weights > 0) & torch.isin(labels, anchor_class)
    assert ((embeddings.grad != 0).any(dim=1) == part).all()
    assert part.any()
    assert (~part[4:]).any()
    assert anchors.grad is None


def test_contrast_goes_down_along_its_gradient_towards_the_class():
    anchors = torch.eye(3)
    embeddings = torch.full((1, 3), 1.0, requires_grad=True)
    arguments = (anchors, torch.arange(3), torch.tensor([1]), torch.ones(1), 0.1)
    semantic_contrast(embeddings, *arguments).backward()
    moved = embeddings.detach() - 0.1 * embeddings.grad
    assert moved[0].argmax() == 1
    assert semantic_contrast(moved, *arguments) < math.log(3)


@pytest.mark.parametrize("rows", [slice(0, 0), slice(None)])
@pytest.mark.parametrize("anchors", [0, 6])
def test_contrast_of_nothing_is_zero_with_a_gradient_of_zero(rows, anchors):
    embeddings, vectors, anchor_class, labels, weights = random_case(1)
    embeddings = embeddings[rows].clone().requires_grad_()
    labels = torch.full_like(labels, UNKNOWN) if anchors else labels
    loss = semantic_contrast(
        embeddings, vectors[:anchors], anchor_class[:anchors], labels[rows], weights[rows], 0.1
    )
    loss.backward()
    assert loss.item() == 0.0
    assert (embeddings.grad == 0).all()


def test_contrast_within_autocast_is_computed_in_float32():
    embeddings, anchors, *rest = random_case(2)
    embeddings = embeddings.bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = semantic_contrast(embeddings, anchors, *rest, 0.07)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, semantic_contrast(embeddings.float(), anchors, *rest, 0.07))


def test_contrast_of_embeddings_without_length_is_finite():
    embeddings = torch.zeros(2, 5, requires_grad=True)
    _, anchors, anchor_class, _, _ = random_case(3)
    labels = torch.tensor([0, 1])
    loss = semantic_contrast(embeddings, anchors, anchor_class, labels, torch.ones(2), 0.1)
    loss.backward()
    assert loss.item() == pytest.approx(math.log(3), rel=1e-5)
    assert np.isfinite(embeddings.grad.numpy()).all()
