"""teacher-maps through the command line."""

import shutil

import numpy as np
import pytest
from PIL import Image
from small_segmenters import write_segmenter

from wsss_perception.cli import main
from wsss_perception.frame import UNKNOWN
from wsss_perception.ontology import load_mapping, load_ontology
from wsss_perception.texts import TextEmbeddings, write_texts
from wsss_training.__main__ import COMMANDS
from wsss_training.teachers.embedding_maps import (
    EmbeddingInfo,
    EmbeddingMaps,
    EmbeddingWriter,
    claim_folder,
)
from wsss_training.teachers.precomputed import PrecomputedTeacher

COLORS = 40 * np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]])
PLAIN = {"mean": [0.5, 0.5, 0.5], "std": [1.0, 1.0, 1.0], "multiple_of": 4}
NAMES = ["red", "green", "blue"]


def run(*words):
    return main("wsss_training", COMMANDS, [str(word) for word in words])


@pytest.fixture(scope="module")
def data(mini_log, tmp_path_factory):
    """The mini log with images whose left half is red or green, and the rest blue."""
    root = tmp_path_factory.mktemp("data") / "data"
    shutil.copytree(mini_log.root, root)
    for number in range(6):
        picture = np.zeros((80, 160, 3), np.uint8)
        picture[:, :80, number % 2] = 255
        picture[:, 80:, 2] = 255
        Image.fromarray(picture).save(image(root, number))
    return root


def image(root, number):
    return root / "sequences" / "00" / "image_2" / f"{number:06d}.png"


@pytest.fixture
def words(data, tmp_path):
    def make(segmenter, *more):
        dataset = ["--dataset", "semantic_kitti", "--root", data]
        return ["teacher-maps", segmenter, *dataset, "--output", tmp_path / "maps", *more]

    return make


def test_a_segmenters_maps_are_what_the_precomputed_teacher_reads(words, data, tmp_path, capsys):
    segmenter = write_segmenter(tmp_path / "net", COLORS, classes=NAMES, input=PLAIN)
    assert run(*words(segmenter)) == 0
    assert "maps of 6 images" in capsys.readouterr().out
    ontology = load_ontology(tmp_path / "maps" / "ontology.yaml")
    assert ontology.classes == tuple(NAMES)
    teacher = PrecomputedTeacher(tmp_path / "maps", data, ontology)
    for number in range(6):
        maps = teacher(image(data, number))
        assert maps.labels.shape == (80, 160)
        assert set(maps.labels[:, :78].ravel()) == {number % 2}
        assert set(maps.labels[:, 82:].ravel()) == {2}
        assert maps.confidence.shape == (40, 80)
        assert maps.confidence[:, :38].min() > 0.99
        probabilities = teacher.probabilities(image(data, number))
        assert probabilities.shape == (3, 10, 20)
        assert probabilities[2, :, 12:].min() > 0.99


def test_what_is_there_is_not_made_again(words, data, tmp_path):
    segmenter = write_segmenter(tmp_path / "net", COLORS, classes=NAMES, input=PLAIN)
    assert run(*words(segmenter)) == 0
    folder = tmp_path / "maps" / "sequences" / "00" / "image_2"
    (folder / "000002.conf.png").unlink()
    for path in folder.iterdir():
        path.write_bytes(b"kept")
    assert run(*words(segmenter)) == 0
    kept = {path.name[:6] for path in folder.iterdir() if path.read_bytes() == b"kept"}
    assert kept == {f"{number:06d}" for number in (0, 1, 3, 4, 5)}


def test_a_folder_of_another_segmenter_is_refused(words, tmp_path, capsys):
    first = write_segmenter(tmp_path / "net", COLORS, classes=NAMES, input=PLAIN)
    assert run(*words(first)) == 0
    for matrix, settings in ((COLORS / 2, {"input": PLAIN}), (COLORS, {})):
        other = write_segmenter(tmp_path / "other", matrix, classes=NAMES, **settings)
        assert run(*words(other)) == 2
        assert "maps of another teacher" in capsys.readouterr().err


def test_a_segmenters_embeddings_are_what_vlg_reads(words, data, tmp_path, capsys):
    output = {"kind": "embeddings"}
    settings = {"output": output, "logit_scale": 50.0, "space": "m, weights 1", "input": PLAIN}
    segmenter = write_segmenter(tmp_path / "net", COLORS, **settings)
    assert run(*words(segmenter)) == 0
    assert "6 images; 0.0 MiB to be written" in capsys.readouterr().out
    maps = EmbeddingMaps(tmp_path / "maps", data)
    assert (maps.size, maps.logit_scale, maps.teacher["model"]) == (3, 50.0, "m, weights 1")
    assert maps.teacher["graph"].startswith("graph.onnx, ")
    found = maps.read(image(data, 1), np.array([[10.0, 40], [150, 40]]), (160, 80))
    expected = np.array([[-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3)
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert run(*words(segmenter, "--pca", 4)) == 2
    assert "--pca 4: the embeddings have 3 numbers" in capsys.readouterr().err


def test_numbers_to_keep_are_of_embeddings(words, tmp_path, capsys):
    segmenter = write_segmenter(tmp_path / "net", COLORS, classes=NAMES, input=PLAIN)
    assert run(*words(segmenter, "--pca", 2)) == 2
    assert "gives classes" in capsys.readouterr().err
    other = write_segmenter(tmp_path / "other", COLORS, classes="cityscapes", input=PLAIN)
    assert run(*words(other)) == 2
    assert "3 channels" in capsys.readouterr().err


@pytest.fixture
def by_texts(data, tmp_path):
    """A command whose embeddings are, from left to right, of a road, a car, the sky and nothing."""
    classes = load_ontology("semantic_kitti").classes
    axes = np.eye(len(classes) + 1, dtype=np.float32)
    cells = np.zeros((10, 20, len(axes)), np.float32)
    for place, name in enumerate((classes.index("road"), classes.index("car"), -1)):
        cells[:, 5 * place : 5 * place + 5] = axes[name]
    claim_folder(tmp_path / "clip", EmbeddingInfo({"model": "m"}, len(axes), len(axes), 20.0), None)
    for number in range(6):
        EmbeddingWriter(tmp_path / "clip").write(image(data, number).relative_to(data), cells)
    texts = tmp_path / "texts.safetensors"
    write_texts(texts, TextEmbeddings((*classes, "background:sky"), axes, "m"))
    dataset = ["--dataset", "semantic_kitti", "--root", data, "--output", tmp_path / "maps"]
    of_texts = ["--embeddings", tmp_path / "clip", "--texts", texts]
    return ["teacher-maps", *dataset, *of_texts, "--ontology", "semantic_kitti"]


def test_embeddings_and_texts_are_a_teacher_of_classes(by_texts, data, tmp_path):
    assert run(*by_texts) == 0
    ontology = load_ontology(tmp_path / "maps" / "ontology.yaml")
    same = load_mapping(tmp_path / "maps" / "mapping.yaml", ontology, ontology)
    assert same[: len(ontology)].tolist() == list(range(len(ontology)))
    teacher = PrecomputedTeacher(tmp_path / "maps", data, ontology)
    maps, probabilities = teacher(image(data, 3)), teacher.probabilities(image(data, 3))
    road, car = ontology.index("road"), ontology.index("car")
    assert maps.labels[40, [10, 60, 100, 140]].tolist() == [road, car, UNKNOWN, UNKNOWN]
    assert maps.confidence[20, [5, 30, 50, 70]].tolist() == [1, 1, 0, 0]
    assert probabilities[:, 5, [1, 7, 12, 17]].sum(axis=0).tolist() == [1, 1, 0, 0]
    assert probabilities[road, 5, 1] == probabilities[car, 5, 7] == 1
    texts = tmp_path / "texts.safetensors"
    turned = np.eye(20, dtype=np.float32)[::-1].copy()
    write_texts(texts, TextEmbeddings((*ontology.classes, "background:sky"), turned, "m"))
    assert run(*by_texts) == 2  # maps of other texts are there


def test_a_teacher_is_a_segmenter_or_texts(by_texts, tmp_path, capsys):
    segmenter = write_segmenter(tmp_path / "net", COLORS, classes=NAMES, input=PLAIN)
    for words in ((*by_texts, segmenter), by_texts[:-2], (*by_texts, "--pca", 2), by_texts[:7]):
        assert run(*words) == 2
        assert "give SEGMENTER, or instead of it --embeddings" in capsys.readouterr().err
