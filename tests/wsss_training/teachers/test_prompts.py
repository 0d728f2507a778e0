import numpy as np
import pytest

from wsss_perception.errors import ConfigError
from wsss_perception.ontology import load_ontology
from wsss_perception.text_tower import TEMPLATES
from wsss_perception.texts import read_texts, write_texts
from wsss_training.teachers.prompts import (
    Prompts,
    embed_prompts,
    load_prompts,
    prompts_of,
    readable,
)

KITTI = load_ontology("semantic_kitti")


def counts(sentences):
    """Embeds a sentence by its letters."""
    rows = np.array(
        [[s.count(letter) for letter in "abcdefghijklmnopqrstuvwxyz"] for s in sentences]
    )
    rows = rows + 0.1
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "prompts.yaml"
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize(
    ("name", "words"),
    [("traffic-sign", "traffic sign"), ("driveable_surface", "driveable surface"), ("car", "car")],
)
def test_names_of_classes_become_words(name, words):
    assert readable(name) == words


def test_classes_are_asked_for_by_name_unless_something_is_said(file):
    assert prompts_of(KITTI).classes["other-vehicle"] == ("other vehicle",)
    assert tuple(prompts_of(KITTI).classes) == KITTI.classes
    prompts = load_prompts(file("classes: {car: [car, van], person: pedestrian}"), KITTI)
    assert tuple(prompts.classes) == KITTI.classes
    assert prompts.classes["car"] == ("car", "van")
    assert prompts.classes["person"] == ("pedestrian",)
    assert prompts.classes["traffic-sign"] == ("traffic sign",)
    assert prompts.templates == TEMPLATES


def test_a_file_alone_says_what_there_is(file):
    text = "classes: {mug: [mug, cup]}\nbackground: [sky, ceiling]\ntemplates: ['a {}!']"
    prompts = load_prompts(file(text), None)
    assert prompts == Prompts({"mug": ("mug", "cup")}, ("sky", "ceiling"), ("a {}!",))


def test_a_phrase_is_the_mean_of_its_templates(tmp_path):
    prompts = Prompts({"mug": ("mug", "cup"), "bed": ("bed",)}, ("sky",), ("{}", "one {} here"))
    texts = embed_prompts(prompts, counts, "letters")
    assert texts.names == ("mug", "mug", "bed", "background:sky")
    for phrase, vector in zip(("mug", "cup", "bed", "sky"), texts.vectors, strict=True):
        mean = counts([phrase, f"one {phrase} here"]).mean(axis=0)
        np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=1e-6)
    write_texts(tmp_path / "texts.safetensors", texts)
    read = read_texts(tmp_path / "texts.safetensors")
    assert (read.names, read.teacher) == (texts.names, "letters")
    np.testing.assert_array_equal(read.vectors, texts.vectors)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("classes: {cars: [car]}", "no class 'cars'; did you mean 'car'"),
        ("classes: {xyzzy: [car]}", "known: car"),
        ("classes: [car]", "needs 'classes:"),
        ("klasses: {}", "'klasses' is not known"),
        ("classes: {car: []}", "'car': needs a list"),
        ("classes: {car: [1]}", "'car': needs a list"),
        ("templates: [a photo]", "needs '{}' once"),
        ("templates: ['{} {}']", "needs '{}' once"),
        ("background: [3]", "'background': needs a list"),
        ("[", "cannot be read"),
        ("", "needs 'classes:"),
    ],
)
def test_prompts_that_do_not_fit_are_refused_with_the_place(file, text, message):
    with pytest.raises(ConfigError, match=rf"prompts\.yaml.*{message}"):
        load_prompts(file(text), KITTI)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml"):
        load_prompts(tmp_path / "none.yaml", KITTI)
