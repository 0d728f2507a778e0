import sys
from types import SimpleNamespace

import numpy as np
import pytest

from wsss_perception import query, text_tower
from wsss_perception.errors import TextsError
from wsss_perception.text_tower import TEMPLATES, TextTower, check_tower, open_text_tower
from wsss_perception.texts import TextEmbeddings

FILLERS = {word.strip(".") for template in TEMPLATES for word in template.split()}


def encode_letters(texts, seed=0):
    """Alike texts have alike vectors: sums of random vectors of their words."""

    def vector(word):
        known = np.random.default_rng([seed, *word.encode()])
        return known.standard_normal(64) * (0.1 if word in FILLERS else 1)

    return np.stack([sum(vector(word.strip(".")) for word in text.split()) for text in texts])


def made_texts(*names, seed=0):
    vectors = TextTower(lambda texts: encode_letters(texts, seed), "m").encode(names)
    return TextEmbeddings(names, vectors, "ViT-X tag, weights 01")


def test_a_phrase_is_the_mean_of_its_templates():
    asked = []

    def encode(texts):
        asked.extend(texts)
        return encode_letters(texts)

    found = TextTower(encode, "m").encode(["red chair", "wall"])
    assert asked == [t.replace("{}", p) for p in ("red chair", "wall") for t in TEMPLATES]
    rows = encode_letters([template.replace("{}", "wall") for template in TEMPLATES])
    expected = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).mean(axis=0)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[1], expected / np.linalg.norm(expected), rtol=1e-5)


def test_what_was_asked_for_lately_is_not_encoded_again():
    asked = []
    tower = TextTower(lambda texts: asked.append(texts) or encode_letters(texts), "m")
    first = tower.encode(["red chair"])
    assert tower.encode(["red chair"]) is first
    assert not first.flags.writeable
    tower.encode(["wall"])
    assert len(asked) == 2


def test_a_tower_of_the_same_model_is_taken_though_templates_differ():
    rows = encode_letters(["chair", "a picture of the wall"])
    vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    check_tower(TextTower(encode_letters, "m"), TextEmbeddings(("chair", "wall"), vectors, "t"))


def test_a_tower_of_another_model_is_refused():
    texts = made_texts("chair", "wall", "background: sky", seed=1)
    with pytest.raises(TextsError, match=r"'m' is not 'ViT-X tag.*cosine of -?0\.[012]"):
        check_tower(TextTower(encode_letters, "m"), texts)
    with pytest.raises(TextsError, match=r"makes vectors of 32 numbers, 'ViT-X.* of 64"):
        check_tower(TextTower(lambda texts: encode_letters(texts)[:, :32], "m"), texts)


def test_without_open_clip_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(TextsError, match=r"pip install open_clip_torch.*embed-texts"):
        open_text_tower("ViT-B-32 tag")


@pytest.fixture
def open_clip(monkeypatch):
    """An open_clip that knows one model."""
    torch = pytest.importorskip("torch", reason="torch is not installed: make install")

    def create_model(name, weights, force_quick_gelu, require_pretrained):
        made.append((name, weights, force_quick_gelu, require_pretrained))
        if weights == "gone":
            raise OSError("no network")
        encode = lambda tokens: torch.from_numpy(encode_letters(tokens))  # noqa: E731
        model = SimpleNamespace(encode_text=encode, visual="large")
        model.eval = lambda: model
        return model

    made = []
    fake = SimpleNamespace(
        made=made,
        create_model=create_model,
        get_tokenizer=lambda name: lambda texts: texts,
        get_pretrained_cfg=lambda name, tag: {"quick_gelu": True} if tag == "quick" else {},
        list_pretrained_tags_by_model=lambda name: ["tag", "quick"] if name == "ViT-X" else [],
        list_models=lambda: ["ViT-X", "RN-1"],
    )
    monkeypatch.setitem(sys.modules, "open_clip", fake)
    query._open.cache_clear()
    yield fake
    query._open.cache_clear()


def test_a_tower_is_opened_by_name_and_weights(open_clip):
    tower = open_text_tower("ViT-X tag")
    np.testing.assert_allclose(tower.encode(["wall"]), made_texts("wall").vectors, rtol=1e-5)
    open_text_tower("ViT-X quick")
    open_text_tower("ViT-X /my folder/clip.pt")
    open_text_tower("local-dir:/models/clip")
    assert open_clip.made == [
        ("ViT-X", "tag", False, True),
        ("ViT-X", "quick", True, True),
        ("ViT-X", "/my folder/clip.pt", False, True),
        ("local-dir:/models/clip", None, False, True),
    ]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("ViT-X", "needs weights; after the name comes the path of a checkpoint, or .* tag, quick"),
        ("ViT-Y", r"needs weights; open_clip has no weights of that name.*ViT-X"),
        ("ViT-X gone", r"cannot be opened: no network; after the name"),
    ],
)
def test_a_tower_that_cannot_be_opened_is_refused_with_what_there_is(open_clip, model, message):
    with pytest.raises(TextsError, match=message):
        text_tower.open_text_tower(model)


def test_a_tower_of_open_clip_makes_the_vectors_that_training_makes(tmp_path):
    pytest.importorskip("open_clip", reason="open_clip is not installed: make install")
    from small_clip import VIT, write_small_clip

    from wsss_training.teachers.clip.model import open_clip_model
    from wsss_training.teachers.prompts import Prompts, embed_prompts

    names = ("chair", "a red cup", "person")
    asked = Prompts({name: (name,) for name in names})
    models = [write_small_clip(tmp_path / str(seed), VIT, seed) for seed in range(2)]
    texts, others = (
        embed_prompts(asked, open_clip_model(model, None).encode_texts, "t") for model in models
    )
    tower = open_text_tower(models[0])
    np.testing.assert_allclose(tower.encode(names), texts.vectors, atol=1e-5)
    check_tower(tower, texts)
    with pytest.raises(TextsError, match="is not 't'"):
        check_tower(tower, others)
