import numpy as np
import pytest
import torch

from wsss_training.losses.tag_mask import center, mask_by_tags, tag_probabilities


def literal_probabilities(logits, tags, scene, tagged):
    """Softmax over the classes that a scene has, row by row."""
    result = np.zeros(logits.shape)
    for n, s in enumerate(scene):
        possible = tags[s] if tagged[s] else np.ones_like(tags[s])
        exponentials = np.exp(logits[n].astype(np.float64)) * possible
        result[n] = exponentials / exponentials.sum()
    return result


@pytest.mark.parametrize("seed", range(5))
def test_tag_probabilities_equal_a_softmax_among_the_tags(seed):
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=4, size=(30, 5)).astype(np.float32)
    tags, scene = rng.random((3, 5)) < 0.5, rng.integers(3, size=30)
    tags[:, seed] = True
    tagged = np.array([True, False, True])
    arguments = [torch.from_numpy(array) for array in (logits, tags, scene, tagged)]
    expected = literal_probabilities(logits, tags, scene, tagged)
    np.testing.assert_allclose(tag_probabilities(*arguments), expected, atol=1e-6)


def test_mask_by_tags_adds_a_million_to_nothing_but_absent_classes_of_tagged_scenes():
    logits = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float16)
    tags = torch.tensor([[True, False], [True, False]])
    masked = mask_by_tags(logits, tags, torch.tensor([0, 1]), torch.tensor([True, False]))
    assert masked.dtype == torch.float32
    assert masked.tolist() == [[1.0, 2.0 - 1e6], [3.0, 4.0]]


def test_tag_probabilities_give_no_gradient_to_absent_classes():
    torch.manual_seed(0)
    logits = torch.randn(6, 3, requires_grad=True)
    tags, scene = torch.tensor([[True, True, False]]), torch.zeros(6, dtype=torch.int64)
    probabilities = tag_probabilities(logits, tags, scene, torch.tensor([True]))
    probabilities[:, 0].log().sum().backward()
    assert (logits.grad[:, 2] == 0).all()
    assert (logits.grad[:, :2] != 0).all()


def test_tag_probabilities_of_a_tagged_scene_without_any_class_are_finite():
    logits = torch.randn(4, 3, requires_grad=True)
    tags, scene = torch.zeros(1, 3, dtype=torch.bool), torch.zeros(4, dtype=torch.int64)
    probabilities = tag_probabilities(logits, tags, scene, torch.tensor([True]))
    probabilities[:, 0].sum().backward()
    np.testing.assert_allclose(probabilities.detach().sum(dim=1), 1.0, atol=1e-6)
    assert torch.isfinite(logits.grad).all()


def test_tag_probabilities_of_no_rows_are_empty():
    tags = torch.ones(2, 3, dtype=torch.bool)
    empty = torch.zeros(0, dtype=torch.int64)
    assert tag_probabilities(torch.zeros(0, 3), tags, empty, tags[:, 0]).shape == (0, 3)


def test_tag_probabilities_are_float32_under_autocast():
    torch.manual_seed(0)
    logits, tags = torch.randn(8, 3), torch.tensor([[True, False, True]])
    arguments = (tags, torch.zeros(8, dtype=torch.int64), torch.tensor([True]))
    expected = tag_probabilities(logits, *arguments)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(tag_probabilities(logits, *arguments), expected)


def test_center_takes_each_classs_mean_in_its_scene_from_the_logits():
    rng = np.random.default_rng(0)
    logits, scene = rng.normal(3, 2, (40, 4)).astype(np.float32), rng.integers(0, 3, 40)
    expected = logits.copy()
    for s in range(3):
        expected[scene == s] -= logits[scene == s].mean(axis=0)
    found = center(torch.from_numpy(logits), torch.from_numpy(scene), 3)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_center_finds_the_wall_where_its_logits_are_above_their_own_mean():
    wall_everywhere = torch.tensor([[9.0, 0.0], [8.0, 2.0]])
    assert wall_everywhere.argmax(dim=1).tolist() == [0, 0]
    centered = center(wall_everywhere, torch.zeros(2, dtype=torch.int64), 1)
    assert centered.argmax(dim=1).tolist() == [0, 1]
