import pytest
import torch

from wsss_training.networks.adapter import EmbeddingAdapter


def test_adapter_computes_its_equation():
    torch.manual_seed(0)
    adapter = EmbeddingAdapter(8, alpha=0.3, reduction=4)
    first, second = adapter.narrow.weight, adapter.widen.weight
    assert (first.shape, second.shape) == ((2, 8), (8, 2))
    embeddings = torch.randn(5, 8)
    for given, found in zip(embeddings, adapter(embeddings), strict=True):
        torch.testing.assert_close(found, 0.7 * (second @ (first @ given)) + 0.3 * given)


def test_adapter_that_keeps_all_changes_nothing():
    embeddings = torch.randn(5, 8)
    torch.testing.assert_close(EmbeddingAdapter(8, 1.0, 4)(embeddings), embeddings)


@pytest.mark.parametrize("reduction", [8, 100])
def test_adapter_is_never_narrower_than_one(reduction):
    assert EmbeddingAdapter(8, 0.05, reduction)(torch.randn(3, 8)).shape == (3, 8)
