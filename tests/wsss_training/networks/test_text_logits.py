import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_avg_fn

from wsss_perception.embedding import ClassTexts
from wsss_perception.errors import ConfigError
from wsss_perception.texts import TextEmbeddings
from wsss_training.networks.text_logits import TextClassifier, TextLogits

NAMES = ("car", "road", "car", "background: sky", "a phrase", "background: rain", "person")
CLASSES = ("road", "car", "person")


def texts_of(names=NAMES, size=6, seed=0) -> TextEmbeddings:
    vectors = np.random.default_rng(seed).standard_normal((len(names), size)).astype(np.float32)
    return TextEmbeddings(names, vectors / np.linalg.norm(vectors, axis=1, keepdims=True), "some")


def literal(embeddings, texts, groups, scale):
    """The definition, point by point: s * max over a group's texts of cos(f, t)."""
    return [
        [
            max(scale * float(f @ t) / float(np.linalg.norm(f)) for t in vectors)
            for vectors in groups
        ]
        for f in embeddings
    ]


def test_logits_are_the_scaled_cosine_to_the_nearest_text_of_each_class():
    texts = texts_of()
    embeddings = np.random.default_rng(1).standard_normal((9, 6)).astype(np.float32)
    module, of = TextLogits(texts, CLASSES, 30.0), texts.of
    groups = [of(name) for name in CLASSES]
    found = module(torch.from_numpy(embeddings))
    np.testing.assert_allclose(found, literal(embeddings, texts, groups, 30.0), rtol=1e-4)
    background = np.concatenate([of("background: sky"), of("background: rain")])
    found = module.with_background(torch.from_numpy(embeddings))
    expected = literal(embeddings, texts, [*groups, background], 30.0)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_logits_are_those_of_the_bundle_at_run_time():
    texts = texts_of()
    embeddings = np.random.default_rng(2).standard_normal((20, 6)).astype(np.float32)
    run_time = ClassTexts(texts, np.eye(6, dtype=np.float32), CLASSES)
    found = TextLogits(texts, CLASSES, 50.0)(torch.from_numpy(embeddings))
    np.testing.assert_allclose(found, run_time.logits(embeddings, 50.0), rtol=1e-4, atol=1e-4)


def test_without_prompts_nothing_is_background():
    module = TextLogits(texts_of(("road", "car", "person")), CLASSES, 30.0)
    logits = module.with_background(torch.randn(4, 6))
    assert not module.background
    assert (logits[:, 3] == -torch.inf).all()


def test_an_embedding_without_length_has_logits_of_zero():
    assert (TextLogits(texts_of(), CLASSES, 30.0)(torch.zeros(2, 6)) == 0).all()


def test_a_class_without_text_is_named():
    with pytest.raises(ConfigError, match=r"no text for bus; there are car, road"):
        TextLogits(texts_of(), ("car", "bus"), 30.0)


def test_synonyms_share_a_gradient_as_one_text_does():
    one = TextLogits(texts_of(("a", "b")), ("a", "b"), 30.0)
    texts = texts_of(("a", "b"))
    doubled = TextEmbeddings(("a", "b", "b"), texts.vectors[[0, 1, 1]], "some")
    gradients = []
    for module in (one, TextLogits(doubled, ("a", "b"), 30.0)):
        embeddings = torch.ones(3, 6, requires_grad=True)
        (module(embeddings) ** 2).sum().backward()
        gradients.append(embeddings.grad)
    torch.testing.assert_close(*gradients)


def test_classifier_compares_what_its_network_gives():
    texts = TextLogits(texts_of(), CLASSES, 30.0)

    class Network(nn.Module):
        def forward(self, coords, features):
            return features + coords[:, 1:2]

    coords, features = torch.tensor([[0, 2, 0, 0]]), torch.ones(1, 6)
    found = TextClassifier(Network(), texts)(coords, features)
    torch.testing.assert_close(found, texts(torch.full((1, 6), 3.0)))


def test_averaging_of_weights_leaves_the_texts_alone():
    names = tuple(f"class {number}" for number in range(60))
    module = TextClassifier(nn.Linear(2, 2), TextLogits(texts_of(names), names, 30.0))
    averaged = AveragedModel(module, avg_fn=get_ema_avg_fn(0.9995), use_buffers=True)
    for _ in range(3):
        averaged.update_parameters(module)
    embeddings = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    expected = module.texts(embeddings)
    torch.testing.assert_close(averaged.module.texts(embeddings), expected, rtol=1e-4, atol=1e-4)
