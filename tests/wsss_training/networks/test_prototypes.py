import multiprocessing

import numpy as np
import pytest
import torch
from torch import distributed
from torch.optim.swa_utils import AveragedModel, get_ema_avg_fn

from wsss_perception.frame import UNKNOWN
from wsss_training.networks.prototypes import Prototypes

CLASSES, SIZE = 4, 5


def random_batch(seed, count=60, classes=(0, 1, 2)):
    rng = np.random.default_rng(seed)
    embeddings = (rng.normal(size=(count, SIZE)) * 7).astype(np.float32)
    return torch.from_numpy(embeddings), torch.from_numpy(rng.choice(classes, count))


def literal_update(means, embeddings, labels, momentum):
    for c in range(CLASSES):
        own = [e / np.linalg.norm(e) for e, y in zip(embeddings, labels, strict=True) if y == c]
        if own:
            mean = sum(own) / len(own)
            means[c] = momentum * means[c] + (1 - momentum) * mean if c in means else mean


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_prototypes_equal_their_definition_over_batches(momentum):
    prototypes, means = Prototypes(CLASSES, SIZE, momentum), {}
    for seed, classes in enumerate([(1,), (0, 1, UNKNOWN), (), (1, 2), (0, 2)]):
        embeddings, labels = random_batch(seed, 30 if classes else 0, classes or (0,))
        prototypes.update(embeddings, labels)
        literal_update(means, embeddings.double().numpy(), labels.tolist(), momentum)
        vectors, known = prototypes.anchors()
        assert known.tolist() == sorted(means)
        expected = np.array([means[c] for c in sorted(means)])
        np.testing.assert_allclose(vectors, expected, atol=1e-6)
    assert not prototypes.seen[3]
    assert (prototypes.vectors[3] == 0).all()


def test_prototypes_before_any_batch_are_none():
    vectors, known = Prototypes(CLASSES, SIZE, 0.9).anchors()
    assert vectors.shape == (0, SIZE)
    assert known.shape == (0,)


def test_prototypes_given_out_stay_as_they_were_and_have_no_gradient():
    prototypes = Prototypes(CLASSES, SIZE, 0.5)
    embeddings, labels = random_batch(0)
    prototypes.update(embeddings.requires_grad_(), labels)
    vectors, _ = prototypes.anchors()
    before = vectors.clone()
    prototypes.update(*random_batch(1))
    assert torch.equal(vectors, before)
    assert not vectors.requires_grad


def test_prototypes_go_through_a_checkpoint():
    prototypes = Prototypes(CLASSES, SIZE, 0.9)
    prototypes.update(*random_batch(0, classes=(0, 2)))
    resumed = Prototypes(CLASSES, SIZE, 0.9)
    resumed.load_state_dict(prototypes.state_dict())
    for each in (prototypes, resumed):
        each.update(*random_batch(1))
    assert torch.equal(resumed.vectors, prototypes.vectors)
    assert torch.equal(resumed.seen, prototypes.seen)


def test_prototypes_of_an_averaged_model_have_seen_the_same_classes():
    prototypes = Prototypes(CLASSES, SIZE, 0.9)
    averaged = AveragedModel(prototypes, avg_fn=get_ema_avg_fn(0.9995), use_buffers=True)
    averaged.update_parameters(prototypes)
    prototypes.update(*random_batch(0))
    averaged.update_parameters(prototypes)
    assert torch.equal(averaged.module.seen, prototypes.seen)


def test_prototypes_of_half_precision_features_are_float32():
    prototypes = Prototypes(CLASSES, SIZE, 0.9)
    embeddings, labels = random_batch(0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        prototypes.update(embeddings.bfloat16(), labels)
    expected = Prototypes(CLASSES, SIZE, 0.9)
    expected.update(embeddings.bfloat16().float(), labels)
    assert prototypes.vectors.dtype == torch.float32
    assert torch.equal(prototypes.vectors, expected.vectors)


def update_in_a_process(rank, steps, folder):
    """Runs the steps as one of two processes; saves the prototypes."""
    torch.set_num_threads(1)  # a forked process has no thread pool
    meeting = f"file://{folder}/meeting"
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2)
    prototypes = Prototypes(CLASSES, SIZE, 0.9)
    for embeddings, labels in steps:
        prototypes.update(embeddings, labels)
    torch.save(prototypes.state_dict(), folder / f"{rank}.pt")
    distributed.destroy_process_group()


def test_prototypes_of_two_processes_are_those_of_one(tmp_path):
    steps = [random_batch(seed) for seed in range(3)]
    alone = Prototypes(CLASSES, SIZE, 0.9)
    for step in steps:
        alone.update(*step)
    processes = []
    for rank, part in enumerate([slice(0, 45), slice(45, 60)]):
        share = [(embeddings[part], labels[part]) for embeddings, labels in steps]
        if rank == 1:
            share[2] = (share[2][0][:0], share[2][1][:0])
        else:
            share[2] = steps[2]
        process = multiprocessing.get_context("fork").Process(
            target=update_in_a_process, args=(rank, share, tmp_path), daemon=True
        )
        process.start()
        processes.append(process)
    for process in processes:
        process.join(timeout=600)
        assert process.exitcode == 0
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    assert torch.equal(first["vectors"], second["vectors"])
    torch.testing.assert_close(first["vectors"], alone.vectors)
    assert torch.equal(first["seen"], alone.seen)
