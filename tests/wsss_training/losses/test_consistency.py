import math
import multiprocessing

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import distributed

from wsss_training.losses.consistency import (
    ClassAdaptiveThreshold,
    FixedThreshold,
    consistency_loss,
    region_means,
)


def literal_region_means(probabilities, region):
    result = probabilities.copy()
    for n, own in enumerate(region):
        if own >= 0:
            members = [m for m in range(len(region)) if region[m] == own]
            result[n] = sum(probabilities[m] for m in members) / len(members)
    return result


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(0, 30))
def test_region_means_equal_their_definition(seed, count):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(4), count)
    region = rng.choice([-1, 3, 4, 10**6], count)  # ids need not be dense
    means = region_means(torch.from_numpy(probabilities), torch.from_numpy(region))
    np.testing.assert_allclose(means, literal_region_means(probabilities, region), atol=1e-6)


def test_region_means_without_regions_are_the_points_own():
    probabilities = torch.rand(5, 3, requires_grad=True)
    means = region_means(probabilities, torch.full((5,), -1))
    assert torch.equal(means, probabilities)
    means.sum().backward()
    assert (probabilities.grad == 1).all()


def test_region_means_leave_their_argument_unchanged():
    probabilities = torch.rand(5, 3)
    before = probabilities.clone()
    region_means(probabilities, torch.zeros(5, dtype=torch.int64))
    assert torch.equal(probabilities, before)


def random_labels(seed, count=200, classes=4):
    rng = np.random.default_rng(seed)
    labels = rng.choice(classes, count, p=[0.7, 0.2, 0.1, 0.0])
    return labels, rng.random(count).astype(np.float32)


@pytest.mark.parametrize("tau", [0.0, 0.8, 0.95])
def test_class_adaptive_threshold_equals_its_definition_over_steps(tau):
    threshold, counts = ClassAdaptiveThreshold(4, tau), [0, 0, 0, 0]
    for step in range(4):
        labels, confidence = random_labels(step)
        keep = threshold(torch.from_numpy(labels), torch.from_numpy(confidence))
        expected, kept = [], counts.copy()
        for label, p in zip(labels, confidence, strict=True):
            beta = counts[label] / max(counts) if max(counts) else 0.0
            expected.append(bool(p >= tau * beta))
            kept[label] += expected[-1]
        counts = kept
        assert keep.tolist() == expected
        assert threshold.counts.tolist() == counts
        assert step > 0 or all(expected)
    assert counts[3] == 0  # a class that never occurs


def test_class_adaptive_threshold_takes_its_counts_through_a_checkpoint():
    labels, confidence = map(torch.from_numpy, random_labels(0))
    threshold = ClassAdaptiveThreshold(4, 0.8)
    threshold(labels, confidence)
    resumed = ClassAdaptiveThreshold(4, 0.8)
    resumed.load_state_dict(threshold.state_dict())
    assert torch.equal(resumed(labels, confidence), threshold(labels, confidence))
    assert torch.equal(resumed.counts, threshold.counts)
    assert not resumed(labels, confidence).all()


def test_class_adaptive_threshold_counts_exactly_in_a_half_precision_module():
    threshold = ClassAdaptiveThreshold(2, 0.8).bfloat16()
    for _ in range(3):
        threshold(torch.zeros(1001, dtype=torch.int64), torch.ones(1001))
    assert threshold.counts.tolist() == [3003, 0]


def test_class_adaptive_threshold_takes_no_rows():
    threshold = ClassAdaptiveThreshold(3, 0.8)
    keep = threshold(torch.zeros(0, dtype=torch.int64), torch.zeros(0))
    assert keep.shape == (0,)
    assert threshold.counts.tolist() == [0, 0, 0]


def count_in_a_process(rank, steps, folder):
    """Runs the steps as one of two processes; saves the counts and what was kept."""
    torch.set_num_threads(1)  # a forked process has no thread pool
    meeting = f"file://{folder}/meeting"
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2)
    threshold = ClassAdaptiveThreshold(4, 0.8)
    keeps = [threshold(labels, confidence) for labels, confidence in steps]
    torch.save((threshold.counts, keeps), folder / f"{rank}.pt")
    distributed.destroy_process_group()


def test_class_adaptive_threshold_of_two_processes_counts_like_one(tmp_path):
    steps = [tuple(map(torch.from_numpy, random_labels(seed))) for seed in range(3)]
    parts = [slice(0, 150), slice(150, 200)]  # of different sizes
    processes = []
    for rank, part in enumerate(parts):
        half = [(labels[part], confidence[part]) for labels, confidence in steps]
        arguments = (rank, half, tmp_path)
        process = multiprocessing.get_context("fork").Process(
            target=count_in_a_process, args=arguments, daemon=True
        )
        process.start()
        processes.append(process)
    for process in processes:
        process.join(timeout=600)
        assert process.exitcode == 0
    alone = ClassAdaptiveThreshold(4, 0.8)
    expected = [alone(*step) for step in steps]
    for rank, part in enumerate(parts):
        counts, keeps = torch.load(tmp_path / f"{rank}.pt")
        assert torch.equal(counts, alone.counts)
        for keep, whole in zip(keeps, expected, strict=True):
            assert torch.equal(keep, whole[part])


def test_fixed_threshold_keeps_the_confident_whatever_the_step():
    threshold = FixedThreshold(0.5)
    confidence = torch.tensor([0.4, 0.5, 0.6])
    for _ in range(2):
        keep = threshold(torch.tensor([0, 1, 0]), confidence)
        assert keep.tolist() == [False, True, True]
    assert threshold.state_dict() == {}


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 30))
def test_consistency_loss_equals_its_definition(seed, count):
    generator = torch.Generator().manual_seed(seed)
    logits = (3 * torch.randn(count, 4, generator=generator)).requires_grad_()
    labels = torch.randint(4, (count,), generator=generator)
    keep = torch.rand(count, generator=generator) < 0.5
    total = 0.0
    for row, label, kept in zip(logits.tolist(), labels.tolist(), keep.tolist(), strict=True):
        total -= kept * (row[label] - math.log(sum(math.exp(z) for z in row)))
    loss = consistency_loss(logits, labels, keep)
    assert loss.item() == pytest.approx(total / count, rel=1e-5, abs=1e-7)
    loss.backward()
    assert (logits.grad[~keep] == 0).all()
    assert (logits.grad[keep] != 0).any() or not keep.any()


def test_consistency_loss_of_no_rows_is_zero_with_a_gradient():
    logits = torch.zeros(0, 3, requires_grad=True)
    empty = torch.zeros(0, dtype=torch.int64)
    loss = consistency_loss(logits, empty, empty.bool())
    loss.backward()
    assert loss.item() == 0.0


def test_consistency_loss_of_half_precision_logits_is_computed_in_float32():
    logits = torch.tensor([[10.0, 0.0]], dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = consistency_loss(logits, torch.tensor([0]), torch.tensor([True]))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(math.log1p(math.exp(-10)), rel=1e-2)
