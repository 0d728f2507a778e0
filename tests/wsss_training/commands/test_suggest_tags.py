"""suggest-tags, and tag with its suggestions, through the command line."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest

from wsss_perception.cli import main
from wsss_perception.ontology import load_ontology
from wsss_perception.texts import TextEmbeddings, write_texts
from wsss_training.__main__ import COMMANDS
from wsss_training.tags import read_tags
from wsss_training.teachers.embedding_maps import EmbeddingInfo, EmbeddingWriter, claim_folder

CLASSES = load_ontology("semantic_kitti").classes
AXES = np.eye(len(CLASSES) + 1, dtype=np.float32)  # of the classes, and of the sky


def run(*words):
    return main("wsss_training", COMMANDS, [str(word) for word in words])


@pytest.fixture
def words(mini_log, tmp_path):
    """Embeddings whose images are of sky and road, a few cells of cars, and one of a person."""
    info = EmbeddingInfo({"model": "m"}, len(AXES), len(AXES), 20.0)
    claim_folder(tmp_path / "maps", info, None)
    writer = EmbeddingWriter(tmp_path / "maps")
    for number in range(6):
        cells = np.tile(AXES[-1], (10, 20, 1))
        cells[5:] = AXES[CLASSES.index("road")]
        cells[9, :4] = AXES[CLASSES.index("car")]
        if number == 2:
            cells[8, :4] = AXES[CLASSES.index("person")]
        writer.write(Path(f"sequences/00/image_2/{number:06d}.png"), cells)
    write(tmp_path / "texts.safetensors")
    dataset = ["--dataset", "semantic_kitti", "--root", mini_log.root]
    more = ["--embeddings", tmp_path / "maps", "--texts", tmp_path / "texts.safetensors"]
    return [*dataset, *more]


def write(path, names=(*CLASSES, "background:sky"), teacher="m"):
    write_texts(path, TextEmbeddings(tuple(names), AXES[: len(names)], teacher))


def test_what_several_views_show_is_suggested(words, tmp_path, capsys):
    path = tmp_path / "new" / "suggested.yaml"
    assert run("suggest-tags", path, *words, "--threshold", 0.6) == 0
    assert "1 scenes, nobody has looked at them" in capsys.readouterr().out
    assert read_tags(path).classes == {"00": {"road", "car"}}
    with (tmp_path / "new" / "suggested.confidence.csv").open() as stream:
        (row,) = csv.DictReader(stream)
    assert row["scene"] == "00"
    assert float(row["road"]) > 0.99
    assert float(row["person"]) == pytest.approx(0.5, abs=0.01)  # of two views
    assert run("check-tags", path, *words[:4]) == 0


def test_a_person_takes_suggestions_or_changes_them(words, tmp_path, monkeypatch, capsys):
    path = tmp_path / "suggested.yaml"
    assert run("suggest-tags", path, *words, "--threshold", 0.6) == 0
    monkeypatch.setattr("sys.stdin", io.StringIO("yes vegetation\n"))
    assert run("tag", tmp_path / "tags.yaml", *words[:4], "--suggestions", path) == 0
    printed = capsys.readouterr().out
    assert "suggested: car 1.00, road 1.00; doubtful: person 0.50; 'yes' takes" in printed
    assert read_tags(tmp_path / "tags.yaml").classes == {"00": {"road", "car", "vegetation"}}


def test_suggestions_of_other_classes_are_refused(words, tmp_path, capsys):
    path = tmp_path / "suggested.yaml"
    path.write_text('schema: 1\nontology: scannet\nscenes: {"00": []}\n')
    assert run("tag", tmp_path / "tags.yaml", *words[:4], "--suggestions", path) == 2
    assert "suggests classes of 'scannet'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"teacher": "other"}, "texts of 'other' cannot be compared with images of 'm'"),
        ({"names": [*CLASSES[:-1], "tree", "background:sky"]}, "'tree' is no class"),
        (
            {"names": [CLASSES[0], *CLASSES[:-1], "background:sky"]},
            "has no text for 'traffic-sign'",
        ),
    ],
)
def test_texts_that_do_not_fit_are_refused(words, tmp_path, capsys, texts, message):
    write(tmp_path / "texts.safetensors", **texts)
    assert run("suggest-tags", tmp_path / "suggested.yaml", *words) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "suggested.yaml").exists()


def test_an_existing_file_is_not_replaced(words, tmp_path, capsys):
    (tmp_path / "suggested.yaml").write_text("mine")
    assert run("suggest-tags", tmp_path / "suggested.yaml", *words) == 2
    assert "exists already" in capsys.readouterr().err
