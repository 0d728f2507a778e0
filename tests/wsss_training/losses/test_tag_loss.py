import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wsss_training.losses.tag_loss import scene_means, tag_loss


def literal_tag_loss(logits, scene, tags, kept):
    """The multi-label soft-margin loss of mean logits, class by class and scene by scene."""
    terms = []
    for s, present in enumerate(tags.tolist()):
        rows = logits[scene == s].double()
        for c in kept:
            score = float(rows[:, c].mean()) if len(rows) else 0.0
            sigma = 1 / (1 + math.exp(-score))
            terms.append(-math.log(sigma if present[c] else 1 - sigma))
    return sum(terms) / len(terms) if terms else 0.0


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(0, 40), st.integers(1, 4), st.integers(1, 5))
def test_tag_loss_equals_its_definition(seed, rows, scenes, classes):
    generator = torch.Generator().manual_seed(seed)
    logits = (3 * torch.randn(rows, classes, generator=generator)).requires_grad_()
    scene = torch.randint(scenes, (rows,), generator=generator)
    tags = torch.rand(scenes, classes, generator=generator) < 0.5
    kept = torch.rand(classes, generator=generator) < 0.7
    means = scene_means(logits, scene, scenes)
    every = literal_tag_loss(logits.detach(), scene, tags, range(classes))
    some = literal_tag_loss(logits.detach(), scene, tags, kept.nonzero()[:, 0].tolist())
    assert tag_loss(means, tags).item() == pytest.approx(every, rel=1e-5)
    loss = tag_loss(means, tags, kept)
    assert loss.item() == pytest.approx(some, rel=1e-5)
    loss.backward()
    assert torch.isfinite(logits.grad).all()
    assert (logits.grad[:, ~kept] == 0).all()


def test_scene_means_of_a_scene_without_rows_are_zero_and_leave_the_others_alone():
    logits = torch.tensor([[1.0, -2.0], [3.0, 4.0]], requires_grad=True)
    means = scene_means(logits, torch.tensor([0, 2]), scenes=3)
    assert means.tolist() == [[1.0, -2.0], [0.0, 0.0], [3.0, 4.0]]
    means.sum().backward()
    assert logits.grad.tolist() == [[1.0, 1.0], [1.0, 1.0]]


def test_tag_loss_raises_present_and_lowers_absent_classes_of_all_rows_of_a_scene():
    logits = torch.zeros(4, 2, requires_grad=True)
    tags = torch.tensor([[True, False], [False, True]])
    tag_loss(scene_means(logits, torch.tensor([0, 0, 1, 1]), 2), tags).backward()
    assert (torch.sign(logits.grad) == torch.tensor([[-1, 1], [-1, 1], [1, -1], [1, -1]])).all()


def test_tag_loss_stays_finite_where_scores_are_huge():
    means = torch.tensor([[1e4, -1e4]], requires_grad=True)
    loss = tag_loss(means, torch.tensor([[False, True]]))
    loss.backward()
    assert loss.item() == pytest.approx(1e4)
    assert torch.isfinite(means.grad).all()


@pytest.mark.parametrize(
    ("means", "tags", "classes"),
    [
        (torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.bool), None),
        (torch.ones(2, 3), torch.ones(2, 3, dtype=torch.bool), torch.zeros(3, dtype=torch.bool)),
    ],
    ids=["no scenes", "no classes"],
)
def test_tag_loss_of_nothing_is_zero_with_a_gradient(means, tags, classes):
    means.requires_grad_()
    loss = tag_loss(means, tags, classes)
    loss.backward()
    assert loss.item() == 0.0
    assert (means.grad == 0).all()


def test_tag_loss_is_the_same_under_autocast():
    torch.manual_seed(0)
    logits, scene = torch.randn(200, 4), torch.arange(200) % 3
    tags = torch.rand(3, 4) < 0.5
    expected = tag_loss(scene_means(logits, scene, 3), tags)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(tag_loss(scene_means(logits, scene, 3), tags), expected)
