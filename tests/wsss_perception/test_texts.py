import json
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from wsss_perception.errors import TextsError
from wsss_perception.texts import TextEmbeddings, encode_texts, parse_texts, read_texts, write_texts


def unit_rows(count: int, size: int, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((count, size))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


TEXTS = TextEmbeddings(("chair", "a wooden stool", "chair"), unit_rows(3, 8), "CLIP ViT-B/32")


@given(st.lists(st.text(min_size=1).filter(str.strip), min_size=1, max_size=5), st.integers(1, 9))
def test_texts_read_back_equal(names, size):
    texts = TextEmbeddings(tuple(names), unit_rows(len(names), size), "Lehrer übung")
    found = parse_texts(encode_texts(texts), "here")
    assert (found.names, found.teacher, found.size) == (texts.names, texts.teacher, size)
    np.testing.assert_array_equal(found.vectors, texts.vectors)


def test_texts_on_disk_read_back_equal(tmp_path):
    write_texts(tmp_path / "texts.safetensors", TEXTS)
    found = read_texts(tmp_path / "texts.safetensors")
    assert found.names == TEXTS.names
    np.testing.assert_array_equal(found.vectors, TEXTS.vectors)
    assert [path.name for path in tmp_path.iterdir()] == ["texts.safetensors"]


def test_a_name_has_all_its_vectors():
    np.testing.assert_array_equal(TEXTS.of("chair"), TEXTS.vectors[[0, 2]])
    assert TEXTS.of("table").shape == (0, 8)


def test_what_cannot_be_written_leaves_the_earlier_file(tmp_path, monkeypatch):
    path = tmp_path / "texts.safetensors"
    write_texts(path, TEXTS)

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(TextsError, match="No space left"):
        write_texts(path, TextEmbeddings(("other",), unit_rows(1, 8), "t"))
    monkeypatch.undo()
    assert read_texts(path).names == TEXTS.names
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"names": ()}, "need names and a teacher"),
        ({"teacher": ""}, "need names and a teacher"),
        ({"names": ("a", " ", "c")}, "not empty"),
        ({"names": ("a", 5, "c")}, "not empty"),
        ({"names": ("a", "b")}, "2 names need as many rows"),
        ({"vectors": TEXTS.vectors.astype(np.float64)}, "not float64"),
        ({"vectors": TEXTS.vectors[0]}, "as many rows"),
        ({"vectors": TEXTS.vectors * 1.01}, "'chair' has the length 1.01"),
        ({"vectors": TEXTS.vectors * np.float32("nan")}, "has the length nan"),
    ],
)
def test_texts_that_do_not_fit_are_refused(change, message):
    with pytest.raises(TextsError, match=message):
        TextEmbeddings(**{**vars(TEXTS), **change})


METADATA = {"schema": "1", "names": '["a"]', "teacher": "t"}


@pytest.mark.parametrize(
    ("tensors", "metadata", "message"),
    [
        ({"vectors": unit_rows(1, 4)}, {**METADATA, "schema": "2"}, "schema 2 is not 1"),
        ({"vectors": unit_rows(1, 4)}, None, "not text embeddings"),
        ({"vectors": unit_rows(1, 4)}, {"schema": "1", "names": '["a"]'}, "'teacher'"),
        ({"vectors": unit_rows(1, 4)}, {**METADATA, "names": "a"}, "not text embeddings"),
        ({"vectors": unit_rows(1, 4)}, {**METADATA, "names": '"a"'}, "no list"),
        ({"vectors": unit_rows(2, 4)}, METADATA, "1 names need as many rows"),
        ({"others": unit_rows(1, 4)}, METADATA, "'vectors'"),
    ],
)
def test_files_that_do_not_fit_are_refused_by_name(tmp_path, tensors, metadata, message):
    path = tmp_path / "file.safetensors"
    path.write_bytes(save(tensors, metadata))
    with pytest.raises(TextsError, match=rf"file\.safetensors: .*{message}"):
        read_texts(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(TextsError, match=r"nothing: text embeddings cannot be read: No such file"):
        read_texts(tmp_path / "nothing")


@given(st.data())
def test_a_damaged_file_is_refused_or_reads_as_texts(data):
    content = bytearray(encode_texts(TEXTS))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    for damaged in (bytes(content), bytes(content[:cut])):
        with suppress(TextsError):
            assert len(parse_texts(damaged, "here").names) > 0


def test_names_are_stored_as_a_json_list():
    content = encode_texts(TEXTS)
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert json.loads(header["__metadata__"]["names"]) == list(TEXTS.names)
    assert header["__metadata__"]["schema"] == "1"
