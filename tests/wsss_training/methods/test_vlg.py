import numpy as np
import pytest
import torch

from wsss_perception.bundle import NetworkSpec
from wsss_perception.frame import UNKNOWN
from wsss_perception.networks.minkunet import MinkUNet
from wsss_perception.texts import TextEmbeddings
from wsss_training.config import OptimizationConfig
from wsss_training.config_vlg import AdapterConfig
from wsss_training.data.embedded_draws import EmbeddedBatch
from wsss_training.data.placeholder import fill_empty
from wsss_training.data.training_set import Batch
from wsss_training.methods.vlg import VLG, Specialisation
from wsss_training.networks.adapter import EmbeddingAdapter
from wsss_training.networks.text_logits import TextLogits

SIZE, CLASSES = 6, ("a", "b", "c")
COSINE_ALONE = OptimizationConfig(lovasz_weight=0)


def texts_at(scale: float) -> TextLogits:
    vectors = np.eye(SIZE, dtype=np.float32)[:4]
    return TextLogits(TextEmbeddings((*CLASSES, "a"), vectors, "some"), CLASSES, scale)


@pytest.fixture
def texts() -> TextLogits:
    return texts_at(20.0)


@pytest.fixture
def specialisation(texts, monkeypatch) -> Specialisation:
    torch.manual_seed(0)
    made = Specialisation(EmbeddingAdapter(SIZE, 0.05, 2), texts, AdapterConfig())
    monkeypatch.setattr(made, "log", lambda *_, **__: None)
    return made


@pytest.fixture
def module(texts, monkeypatch) -> VLG:
    torch.manual_seed(0)
    network = MinkUNet(NetworkSpec("small", 0.25), 1, SIZE)
    made = VLG(network, EmbeddingAdapter(SIZE, 0.05, 2), texts, COSINE_ALONE)
    monkeypatch.setattr(made, "log", lambda *_, **__: None)
    return made


def batch_of(count=60, points=25) -> EmbeddedBatch:
    rng = np.random.default_rng(0)
    cells = np.unique(rng.integers(0, 20, (count, 3)), axis=0)
    coords = np.pad(cells, ((0, 0), (1, 0))).astype(np.int32)
    return EmbeddedBatch(
        torch.from_numpy(coords),
        torch.from_numpy(rng.standard_normal((len(coords), 1)).astype(np.float32)),
        torch.from_numpy(rng.integers(0, len(coords), points)),
        torch.from_numpy(rng.standard_normal((points, SIZE)).astype(np.float32)),
        torch.from_numpy(rng.integers(-1, 4, points)),
        torch.from_numpy(rng.choice([0, 1, 2, UNKNOWN], points)),
    )


def test_specialisation_is_the_cross_entropy_of_adapted_embeddings(specialisation, texts):
    embeddings, labels = torch.randn(9, SIZE), torch.arange(9) % 3
    first, second = (w.detach() for w in specialisation.adapter.parameters())
    losses = []
    for embedding, label in zip(embeddings, labels.tolist(), strict=True):
        adapted = 0.95 * (second @ (first @ embedding)) + 0.05 * embedding
        cosine = adapted / adapted.norm()
        logits = 20.0 * torch.stack([torch.maximum(cosine[0], cosine[3]), cosine[1], cosine[2]])
        losses.append(-(logits[label] - logits.exp().sum().log()))
    found = specialisation.training_step((embeddings, labels), 0)
    torch.testing.assert_close(found, torch.stack(losses).mean())


def test_specialisation_of_no_points_is_zero(specialisation):
    empty = (torch.zeros(0, SIZE), torch.zeros(0, dtype=torch.int64))
    loss = specialisation.training_step(empty, 0)
    loss.backward()
    assert loss.item() == 0
    assert all((p.grad == 0).all() for p in specialisation.adapter.parameters())


def test_specialisation_counts_agreement(specialisation):
    embeddings = torch.randn(50, SIZE)
    labels = specialisation.texts(specialisation.adapter(embeddings)).argmax(dim=1)
    labels[:20] = (labels[:20] + 1) % 3
    specialisation.validation_step((embeddings, labels), 0)
    assert (specialisation._agreeing, specialisation._compared) == (30, 50)


def test_specialisation_has_the_papers_optimizer(specialisation):
    optimizer = specialisation.configure_optimizers()
    assert type(optimizer) is torch.optim.Adam
    assert optimizer.defaults["lr"] == 3e-3
    assert optimizer.defaults["weight_decay"] == 4e-4


def test_guidance_is_the_mean_distance_to_adapted_embeddings(module):
    batch = batch_of()
    given = module.network(batch.coords, batch.features)[batch.voxels]
    target = module.adapter(batch.embeddings)
    terms = [1 - (f @ t) / (f.norm() * t.norm()) for f, t in zip(given, target, strict=True)]
    found = module.training_step(batch, 0)
    torch.testing.assert_close(found, torch.stack(terms).mean(), rtol=1e-4, atol=1e-5)


def test_guidance_by_regions_is_towards_the_mean_of_a_points_region(texts, monkeypatch):
    network, adapter = MinkUNet(NetworkSpec("small", 0.25), 1, SIZE), EmbeddingAdapter(SIZE, 0.5, 2)
    module = VLG(network, adapter, texts, COSINE_ALONE, region_share=0.25)
    monkeypatch.setattr(module, "log", lambda *_, **__: None)
    batch = batch_of()
    given = network(batch.coords, batch.features)[batch.voxels]
    adapted = [t / t.norm() for t in adapter(batch.embeddings)]
    terms = []
    for f, t, region in zip(given, adapted, batch.region.tolist(), strict=True):
        others = [u for u, r in zip(adapted, batch.region.tolist(), strict=True) if r == region]
        mean = t if region < 0 else torch.stack(others).mean(dim=0)
        target = 0.75 * t + 0.25 * mean
        terms.append(1 - (f @ target) / (f.norm() * target.norm()))
    found = module.training_step(batch, 0)
    torch.testing.assert_close(found, torch.stack(terms).mean(), rtol=1e-4, atol=1e-5)


def test_rare_classes_count_more_and_a_center_is_left_out(texts, monkeypatch):
    network, adapter = MinkUNet(NetworkSpec("small", 0.25), 1, SIZE), EmbeddingAdapter(SIZE, 0.5, 2)
    weights, center = torch.tensor([0.5, 3.0, 1.0]), 0.2 * torch.randn(SIZE)
    module = VLG(network, adapter, texts, COSINE_ALONE, 0.0, weights, center)
    monkeypatch.setattr(module, "log", lambda *_, **__: None)
    batch = batch_of()
    given = network(batch.coords, batch.features)[batch.voxels]
    terms, counted = [], []
    for f, t in zip(given, adapter(batch.embeddings), strict=True):
        away, wanted = f / f.norm() - center, t / t.norm() - center
        terms.append(1 - (away @ wanted) / (away.norm() * wanted.norm()))
        likeness = [max(t[0], t[3]), t[1], t[2]]  # class a has two texts
        counted.append(weights[likeness.index(max(likeness))])
    expected = sum(w * e for w, e in zip(counted, terms, strict=True)) / sum(counted)
    assert len(set(map(float, counted))) == 3
    torch.testing.assert_close(module.training_step(batch, 0), expected, rtol=1e-4, atol=1e-5)


def test_classes_are_learned_from_the_pseudo_labels_too(monkeypatch):
    """Of the points that have one; in the limit of a sharp softmax it is 1 - IoU."""
    network, adapter = MinkUNet(NetworkSpec("small", 0.25), 1, SIZE), EmbeddingAdapter(SIZE, 0.5, 2)
    sharp = texts_at(1e6)
    plain = VLG(network, adapter, sharp, COSINE_ALONE)
    module = VLG(network, adapter, sharp, OptimizationConfig(lovasz_weight=3.0))
    for each in (plain, module):
        monkeypatch.setattr(each, "log", lambda *_, **__: None)
    batch = batch_of()
    predicted = sharp(network(batch.coords, batch.features)[batch.voxels]).argmax(dim=1)
    known = batch.labels != UNKNOWN
    assert 0 < known.sum() < len(known)
    ious = []
    for label in range(3):
        found, right = predicted[known] == label, batch.labels[known] == label
        ious.append((found & right).sum() / (found | right).sum())
    expected = plain.training_step(batch, 0) + 3.0 * (1 - torch.stack(ious)).mean()
    torch.testing.assert_close(module.training_step(batch, 0), expected, rtol=1e-3, atol=1e-3)


def test_what_is_known_before_is_no_part_of_a_checkpoint(texts):
    network, adapter = MinkUNet(NetworkSpec("small", 0.25), 1, SIZE), EmbeddingAdapter(SIZE, 0.5, 2)
    plain = VLG(network, adapter, texts, COSINE_ALONE)
    module = VLG(network, adapter, texts, COSINE_ALONE, 0.0, torch.ones(3), torch.ones(6))
    assert set(module.state_dict()) == set(plain.state_dict())


def test_the_adapter_learns_nothing_from_guidance(module):
    module.training_step(batch_of(), 0).backward()
    assert all(p.grad is None for p in module.adapter.parameters())
    assert all(p.grad is not None for p in module.network.parameters())
    learned = [
        p
        for group in module.configure_optimizers()["optimizer"].param_groups
        for p in group["params"]
    ]
    assert len(learned) == len(list(module.network.parameters()))


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_a_batch_without_points_teaches_nothing(module, weight):
    coords, features = fill_empty(np.zeros((0, 4), np.int32), np.zeros((0, 1), np.float32))
    empty = EmbeddedBatch(
        torch.from_numpy(coords),
        torch.from_numpy(features),
        torch.zeros(0, dtype=torch.int64),
        torch.zeros(0, SIZE),
        torch.zeros(0, dtype=torch.int64),
        torch.zeros(0, dtype=torch.int64),
    )
    module.train()._optimization = OptimizationConfig(lovasz_weight=weight)
    loss = module.training_step(empty, 0)
    loss.backward()
    assert loss.item() == 0
    assert all((p.grad == 0).all() for p in module.network.parameters())


def test_held_back_points_are_compared_by_the_nearest_text(module, texts):
    batch = batch_of(points=30)
    module.eval()
    with torch.no_grad():
        right = texts(module.network(batch.coords, batch.features)[batch.voxels]).argmax(dim=1)
    labels = right.clone()
    labels[:10] = (labels[:10] + 1) % 3
    held_back = Batch(batch.coords, batch.features, batch.voxels, labels, torch.ones(30))
    module.validation_step(held_back, 0)
    assert (module._agreeing, module._compared) == (20, 30)
