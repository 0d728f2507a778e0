import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wsss_training.losses.guidance import GUIDANCE, contrastive_guidance


def unit(row):
    return row / math.sqrt(sum(x * x for x in row))


def literal_contrastive(k, q, temperature=0.07):
    total = 0.0
    for i in range(len(k)):
        weights = [math.exp(k[i] @ q[j] / temperature) for j in range(len(k))]
        total -= math.log(weights[i] / sum(weights))
    return total / len(k)


def literal_affinity(k, q):
    total = 0.0
    for i in range(len(k)):
        for j in range(len(k)):
            total += (k[i] @ k[j] - q[i] @ q[j]) ** 2
    return total / len(k) ** 2


def literal_mse(k, q):
    return sum(((a - b) ** 2).sum() for a, b in zip(k, q, strict=True)) / len(k)


LITERAL = {
    "contrastive": literal_contrastive,
    "affinity": literal_affinity,
    "mse": literal_mse,
}


def random_pairs(seed, count, size=6, scenes=3):
    rng = np.random.default_rng(seed)
    student = rng.normal(size=(count, size)).astype(np.float32)
    guide = (student + rng.normal(size=(count, size))).astype(np.float32)
    scene = rng.integers(scenes, size=count) * 10 + 7  # any ids, in any order
    return student, guide, scene


@pytest.mark.parametrize("name", sorted(GUIDANCE))
@settings(max_examples=25)
@given(st.integers(0, 10**6), st.integers(1, 25))
def test_guidance_equals_its_definition_summed_over_scenes(name, seed, count):
    student, guide, scene = random_pairs(seed, count)
    expected = 0.0
    for s in np.unique(scene):
        k = [unit(row) for row in student[scene == s].astype(np.float64)]
        q = [unit(row) for row in guide[scene == s].astype(np.float64)]
        expected += LITERAL[name](k, q)
    loss = GUIDANCE[name](*map(torch.from_numpy, (student, guide, scene)))
    assert loss.item() == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_contrastive_guidance_divides_similarities_by_the_temperature():
    student, guide, _ = random_pairs(0, 12)
    k, q = ([unit(row) for row in rows.astype(np.float64)] for rows in (student, guide))
    scene = torch.zeros(12, dtype=torch.int64)
    loss = contrastive_guidance(
        torch.from_numpy(student), torch.from_numpy(guide), scene, temperature=0.5
    )
    assert loss.item() == pytest.approx(literal_contrastive(k, q, temperature=0.5), rel=1e-5)


@pytest.mark.parametrize("name", sorted(GUIDANCE))
def test_guidance_gives_gradients_to_the_student_only(name):
    student, guide, scene = map(torch.from_numpy, random_pairs(1, 20))
    student.requires_grad_()
    guide.requires_grad_()
    GUIDANCE[name](student, guide, scene).backward()
    assert guide.grad is None
    assert (student.grad.abs().sum(dim=1) > 0).all()


@pytest.mark.parametrize("name", sorted(GUIDANCE))
def test_guidance_never_compares_pairs_of_different_scenes(name):
    student, guide, _ = map(torch.from_numpy, random_pairs(2, 20))
    scene = torch.arange(20) % 2
    student.requires_grad_()
    both = GUIDANCE[name](student, guide, scene)
    one = scene == 0
    apart = sum(GUIDANCE[name](student[half], guide[half], scene[half]) for half in (one, ~one))
    assert both.item() == pytest.approx(apart.item(), rel=1e-6)
    (before,) = torch.autograd.grad(both, student)
    other = torch.where(one[:, None], guide, -guide)
    (after,) = torch.autograd.grad(GUIDANCE[name](student, other, scene), student)
    assert torch.equal(before[one], after[one])


@pytest.mark.parametrize("name", sorted(GUIDANCE))
def test_guidance_falls_when_the_student_follows_its_gradient(name):
    student, guide, scene = map(torch.from_numpy, random_pairs(3, 30))
    student.requires_grad_()
    loss = GUIDANCE[name](student, guide, scene)
    loss.backward()
    moved = student.detach() - 0.1 * student.grad
    assert float(GUIDANCE[name](moved, guide, scene)) < loss.item()


@pytest.mark.parametrize("name", sorted(GUIDANCE))
@pytest.mark.parametrize("count", [0, 1])
def test_guidance_of_no_pair_and_of_one_is_finite_with_a_gradient(name, count):
    student = torch.randn(count, 4, requires_grad=True)
    loss = GUIDANCE[name](student, torch.randn(count, 4), torch.zeros(count, dtype=torch.int64))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(student.grad).all()
    if count == 0:
        assert loss.item() == 0.0


@pytest.mark.parametrize("name", sorted(GUIDANCE))
def test_guidance_of_zero_features_has_small_gradients(name):
    student, guide, scene = map(torch.from_numpy, random_pairs(4, 20))
    student[::2], guide[::3] = 0.0, 0.0
    student.requires_grad_()
    loss = GUIDANCE[name](student, guide, scene)
    loss.backward()
    assert torch.isfinite(loss)
    assert student.grad.abs().max() < 100


@pytest.mark.parametrize("name", sorted(GUIDANCE))
def test_guidance_is_computed_in_float32_under_autocast(name):
    student, guide, scene = map(torch.from_numpy, random_pairs(5, 40, size=32))
    expected = GUIDANCE[name](student, guide, scene)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert float(GUIDANCE[name](student, guide, scene)) == pytest.approx(
            float(expected), rel=1e-6
        )


@pytest.mark.parametrize("name", sorted(GUIDANCE))
def test_guidance_of_large_half_precision_features_does_not_overflow(name):
    student, guide, scene = map(torch.from_numpy, random_pairs(6, 40, size=32))
    expected = GUIDANCE[name](student, guide, scene)
    loss = GUIDANCE[name]((student * 15000).half(), guide.half(), scene)
    assert loss.item() == pytest.approx(float(expected), rel=0.02)
