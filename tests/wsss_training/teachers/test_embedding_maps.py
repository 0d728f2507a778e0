import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from wsss_perception.errors import DatasetError
from wsss_training.teachers.basis import Basis
from wsss_training.teachers.embedding_maps import (
    EmbeddingInfo,
    EmbeddingMaps,
    EmbeddingWriter,
    claim_folder,
)

SIZE = (32, 16)


def basis_of(components, size, seed=0):
    rng = np.random.default_rng(seed)
    rows = np.linalg.qr(rng.standard_normal((size, components)))[0].T
    return Basis(rng.standard_normal(size).astype(np.float32) * 0.1, rows.astype(np.float32))


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


@pytest.fixture
def folder(tmp_path):
    """Makes a folder of images and of embeddings of one of them."""

    def make(vectors, stored=None):
        size = vectors.shape[2]
        stored = stored or size
        (tmp_path / "images" / "log").mkdir(parents=True, exist_ok=True)
        info = EmbeddingInfo({"model": "m"}, size, stored, 100.0)
        claim_folder(tmp_path / "maps", info, basis_of(stored, size) if stored < size else None)
        EmbeddingWriter(tmp_path / "maps").write(relative(tmp_path), vectors)
        return EmbeddingMaps(tmp_path / "maps", tmp_path / "images")

    return make


def relative(tmp_path):
    return image(tmp_path).relative_to(tmp_path / "images")


def image(tmp_path):
    return tmp_path / "images" / "log" / "1.5.png"


def literal_read(cells, uv):
    """What lies between the four nearest cells of each pixel of an image of SIZE."""
    height, width, _ = cells.shape
    rows = []
    for u, v in uv:
        x = min(max((u + 0.5) * width / SIZE[0] - 0.5, 0), width - 1)
        y = min(max((v + 0.5) * height / SIZE[1] - 0.5, 0), height - 1)
        rows.append(
            sum(
                max(0, 1 - abs(x - column)) * max(0, 1 - abs(y - row)) * cells[row, column]
                for row in range(height)
                for column in range(width)
            )
        )
    return unit(np.array(rows))


@pytest.mark.parametrize("stored", [6, 4])
def test_embeddings_are_read_between_the_cells_of_their_map(folder, tmp_path, stored):
    rng = np.random.default_rng(1)
    cells = unit(rng.standard_normal((4, 8, 6))).astype(np.float32)
    if stored < 6:  # what the basis can say
        basis = basis_of(stored, 6)
        cells = basis.mean + 2 * rng.standard_normal((4, 8, stored)) @ basis.basis
        cells = unit(cells).astype(np.float32)
    maps = folder(cells, stored)
    uv = rng.uniform([-0.5, -0.5], [31.5, 15.5], (50, 2))
    found = maps.read(image(tmp_path), uv, SIZE)
    assert found.dtype == np.float32
    if stored == 6:
        np.testing.assert_allclose(found, literal_read(cells, uv), atol=2e-3)
    else:
        as_stored = np.array(
            [[basis.restore(basis.reduce(c[None]), 1)[0] for c in r] for r in cells]
        )
        np.testing.assert_allclose(found, literal_read(as_stored, uv), atol=5e-3)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.integers(1, 5))
def test_a_full_basis_loses_nothing_but_digits(tmp_path_factory, seed, height):
    rng = np.random.default_rng(seed)
    tmp_path = tmp_path_factory.mktemp("maps")
    (tmp_path / "images").mkdir()
    size = 8
    rows = np.linalg.qr(rng.standard_normal((size, size)))[0][:7].astype(np.float32)
    cells = rng.standard_normal((height, 3, 7)).astype(np.float32) @ rows
    basis = Basis(np.zeros(size, np.float32), rows)
    claim_folder(tmp_path / "maps", EmbeddingInfo({}, size, 7, 10.0), basis)
    EmbeddingWriter(tmp_path / "maps").write(relative(tmp_path), cells)
    maps = EmbeddingMaps(tmp_path / "maps", tmp_path / "images")
    np.testing.assert_allclose(maps.cells(image(tmp_path)), unit(cells), atol=3e-3)


@pytest.mark.parametrize("stored", [6, 3])
def test_cells_that_say_nothing_stay_silent_and_leave_their_neighbours_alone(
    folder, tmp_path, stored
):
    cells = np.tile(np.eye(6, dtype=np.float32)[0], (2, 2, 1))
    cells[0, 0] = 0
    maps = folder(cells, stored)
    corners = np.array([[0.0, 0], [31, 0], [15.5, 0]])
    silent, known, between = maps.read(image(tmp_path), corners, SIZE)
    np.testing.assert_array_equal(silent, 0)
    np.testing.assert_allclose(between, known, atol=1e-5)
    all_cells = maps.cells(image(tmp_path))
    np.testing.assert_array_equal(all_cells[0, 0], 0)
    np.testing.assert_allclose(all_cells[1, 1], known, atol=1e-5)


def test_a_folder_says_what_its_maps_are_of(folder):
    maps = folder(np.ones((2, 4, 6), np.float32), 3)
    assert (maps.size, maps.logit_scale, maps.teacher) == (6, 100.0, {"model": "m"})
    assert maps.info.stored == 3
    assert maps.basis.basis.shape == (3, 6)


def test_a_map_is_small_and_known_to_be_there(folder, tmp_path):
    maps = folder(np.ones((2, 4, 6), np.float32), 3)
    path = maps.path(image(tmp_path))
    assert path == tmp_path / "maps" / "log" / "1.5.embedding.npy"
    stored = np.load(path)
    assert (stored.dtype, stored.shape) == (np.float16, (2, 4, 3))
    writer = EmbeddingWriter(tmp_path / "maps")
    assert writer.is_there(relative(tmp_path))
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    path.write_bytes(path.read_bytes()[:-3])
    assert not writer.is_there(relative(tmp_path))


def test_missing_and_foreign_maps_are_named(folder, tmp_path):
    maps = folder(np.ones((2, 4, 6), np.float32))
    with pytest.raises(DatasetError, match=r"2\.embedding\.npy.*no embeddings of.*embed-images"):
        maps.read(tmp_path / "images" / "2.png", np.zeros((1, 2)), SIZE)
    with pytest.raises(DatasetError, match="images_root"):
        maps.path(tmp_path / "elsewhere" / "1.png")


def test_maps_of_images_that_were_stretched_span_them_as_any_other(folder, tmp_path):
    cells = np.eye(4, dtype=np.float32).reshape(2, 2, 4)
    found = folder(cells).read(image(tmp_path), np.array([[0.0, 0], [31, 0], [31, 7]]), (32, 8))
    np.testing.assert_allclose(found, cells.reshape(4, 4)[[0, 1, 3]], atol=1e-6)


@pytest.mark.parametrize("cut", [0, 5, 60, -1])
def test_a_damaged_map_is_named(folder, tmp_path, cut):
    maps = folder(np.ones((2, 4, 6), np.float32))
    path = maps.path(image(tmp_path))
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DatasetError, match=r"1\.5\.embedding\.npy.*again"):
        maps.read(image(tmp_path), np.zeros((1, 2)), SIZE)


@pytest.mark.parametrize(
    "other",
    [np.ones((2, 4, 5), np.float16), np.ones((2, 4, 6), np.float32), np.ones(6, np.float16)],
)
def test_a_map_of_another_teacher_is_refused(folder, tmp_path, other):
    maps = folder(np.ones((2, 4, 6), np.float32))
    np.save(maps.path(image(tmp_path)), other)
    with pytest.raises(DatasetError, match=r"is no float16 \[h, w, 6\]"):
        maps.cells(image(tmp_path))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 2}, "schema 2"),
        ({"dtype": "float32"}, "float32"),
        ({"size": "many"}, "not of embedding maps"),
        ({"stored": 7}, "cannot be"),
        ({"logit_scale": float("nan")}, "cannot be"),
        ({"teacher": 3}, "not of embedding maps"),
        ({"stored": 2}, "basis"),
    ],
)
def test_a_damaged_description_is_named(folder, tmp_path, change, message):
    folder(np.ones((2, 4, 6), np.float32), 3)
    path = tmp_path / "maps" / "embeddings.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **change}))
    with pytest.raises(DatasetError, match=message):
        EmbeddingMaps(tmp_path / "maps", tmp_path / "images")


@pytest.mark.parametrize("text", ["", "schema: 1", "[", "- 3"])
def test_what_is_no_description_is_named(folder, tmp_path, text):
    folder(np.ones((2, 4, 6), np.float32))
    (tmp_path / "maps" / "embeddings.yaml").write_text(text)
    with pytest.raises(DatasetError, match=r"embeddings\.yaml"):
        EmbeddingMaps(tmp_path / "maps", tmp_path / "images")


def test_missing_folders_and_a_lost_basis_are_named(folder, tmp_path):
    folder(np.ones((2, 4, 6), np.float32), 3)
    with pytest.raises(DatasetError, match="embed-images"):
        EmbeddingMaps(tmp_path / "none", tmp_path / "images")
    with pytest.raises(DatasetError, match="no such folder of images"):
        EmbeddingMaps(tmp_path / "maps", tmp_path / "none")
    (tmp_path / "maps" / "basis.safetensors").write_bytes(b"12345")
    with pytest.raises(DatasetError, match=r"basis\.safetensors.*worthless"):
        EmbeddingMaps(tmp_path / "maps", tmp_path / "images")


def test_a_folder_is_claimed_once(folder, tmp_path):
    folder(np.ones((2, 4, 6), np.float32))
    with pytest.raises(DatasetError, match="has embeddings already"):
        claim_folder(tmp_path / "maps", EmbeddingInfo({}, 6, 6, 1.0), None)
