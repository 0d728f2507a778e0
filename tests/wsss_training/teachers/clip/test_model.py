import numpy as np
import pytest
import torch

pytest.importorskip("open_clip", reason="open_clip is not installed (extra 'training')")

import open_clip
from small_clip import DIMENSIONS, VIT, small_clip, write_small_clip

from wsss_perception.errors import ConfigError
from wsss_training.teachers.clip import model as clip_model
from wsss_training.teachers.clip.model import label_of, open_clip_model


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The name of a model on disk."""
    return write_small_clip(tmp_path_factory.mktemp("clip") / "small", VIT)


@pytest.fixture(scope="module")
def opened(written):
    return open_clip_model(written, None)


def test_a_model_embeds_pixels_as_its_tower_does_after_its_own_preprocessing(opened):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 16, 24, 3), dtype=np.uint8)
    found = opened.encode_pixels(pixels)
    assert found.shape == (2, 2, 3, DIMENSIONS)
    assert (opened.size, opened.tower.window) == (DIMENSIONS, 32)
    scaled = (pixels / 255 - [0.5, 0.5, 0.4]) / [0.3, 0.2, 0.25]
    images = torch.from_numpy(scaled).float().permute(0, 3, 1, 2)
    with torch.inference_mode():
        expected = opened.tower.features(images)
    expected = expected / expected.norm(dim=-1, keepdim=True)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_a_model_embeds_texts_as_open_clip_does(opened, written):
    texts = ["a car", "a road that is far away", "trees"]
    found = opened.encode_texts(texts)
    model = small_clip(VIT)
    with torch.inference_mode():
        expected = model.encode_text(open_clip.get_tokenizer(written)(texts), normalize=True)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)
    assert found.dtype == np.float32
    assert opened.logit_scale == pytest.approx(model.logit_scale.exp().item())


def test_many_texts_are_embedded_in_parts(opened, monkeypatch):
    texts = [f"number {number}" for number in range(7)]
    whole = opened.encode_texts(texts)
    monkeypatch.setattr(clip_model, "_TEXTS_AT_ONCE", 3)
    np.testing.assert_allclose(opened.encode_texts(texts), whole, atol=1e-6)


def test_models_of_other_weights_have_other_descriptions(opened, tmp_path):
    same = open_clip_model(write_small_clip(tmp_path / "small", VIT), None)
    other = open_clip_model(write_small_clip(tmp_path / "other", VIT, seed=1), None)
    assert same.description == opened.description
    assert other.description.split()[-1] != opened.description.split()[-1]


@pytest.mark.parametrize(
    ("name", "pretrained", "message"),
    [
        ("ViT-B-32", None, "needs weights; --pretrained takes .* laion"),
        ("ViT-B-32", "laion_of_mine", "laion_of_mine.* --pretrained takes"),
        ("ViT-B-33", "openai", "no such model, but .*ViT-B-32"),
        ("qwertz", None, "no such model"),
        ("local-dir:/nowhere", None, "nowhere"),
        ("local-dir:/nowhere", "openai", "leave --pretrained out"),
    ],
)
def test_models_that_cannot_be_had_are_refused_with_what_can(name, pretrained, message):
    with pytest.raises(ConfigError, match=message):
        open_clip_model(name, pretrained)


def test_weights_of_another_model_are_refused(tmp_path):
    torch.save({"state_dict": {"visual.x": torch.zeros(1)}}, tmp_path / "weights.pt")
    with pytest.raises(ConfigError, match=r"weights\.pt"):
        open_clip_model("RN50", str(tmp_path / "weights.pt"))


@pytest.mark.parametrize(("tag", "quick"), [("openai", True), ("laion2b_s34b_b79k", False)])
def test_weights_get_the_activation_that_they_were_trained_with(monkeypatch, tag, quick):
    asked = {}
    monkeypatch.setattr(open_clip, "create_model", lambda *_, **options: asked.update(options))
    with pytest.raises(AttributeError):  # nothing was made
        open_clip_model("ViT-B-32", tag)
    assert asked["force_quick_gelu"] is quick
    assert asked["require_pretrained"]


@pytest.mark.parametrize(
    ("name", "pretrained", "label"),
    [
        ("ViT-B-32", "laion2b_s34b_b79k", "ViT-B-32 laion2b_s34b_b79k"),
        ("ViT-B-32", "/home/me/own.pt", "ViT-B-32 own.pt"),
        ("hf-hub:laion/CLIP-ViT-B-32", None, "hf-hub:laion/CLIP-ViT-B-32"),
        ("local-dir:/home/me/clip", None, "clip"),
    ],
)
def test_names_that_others_can_open_stay_whole(name, pretrained, label):
    assert label_of(name, pretrained) == label
