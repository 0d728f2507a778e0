"""embed-images and embed-texts through the command line."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("open_clip", reason="open_clip is not installed (extra 'training')")

from small_clip import DIMENSIONS, VIT, write_small_clip

from wsss_perception.cli import main
from wsss_perception.texts import read_texts
from wsss_training.__main__ import COMMANDS
from wsss_training.processes import Place
from wsss_training.teachers import embedding_job, images
from wsss_training.teachers.clip.model import ClipModel
from wsss_training.teachers.embedding_maps import EmbeddingMaps

NAMES = [f"sequences/00/image_2/{number:06d}" for number in range(6)]


def run(*words):
    return main("wsss_training", COMMANDS, [str(word) for word in words])


@pytest.fixture(scope="module")
def data(mini_log, tmp_path_factory):
    """The mini log with images that show something."""
    root = tmp_path_factory.mktemp("data") / "data"
    shutil.copytree(mini_log.root, root)
    rng = np.random.default_rng(0)
    for name in NAMES:
        colors = rng.integers(0, 256, (4, 8, 3), dtype=np.uint8)
        picture = Image.fromarray(colors).resize((160, 80), Image.Resampling.BICUBIC)
        picture.save(root / f"{name}.png")
    return root


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return ["--model", write_small_clip(tmp_path_factory.mktemp("clip") / "small", VIT)]


@pytest.fixture
def embed(data, model):
    def words(output, *more):
        dataset = ["--dataset", "semantic_kitti", "--root", data]
        return ["embed-images", *dataset, *model, "--output", output, *more]

    return words


@pytest.fixture(scope="module")
def whole(data, model, tmp_path_factory):
    """Embeddings of all images, all numbers of them."""
    output = tmp_path_factory.mktemp("whole") / "maps"
    assert (
        run(
            "embed-images",
            "--dataset",
            "semantic_kitti",
            "--root",
            data,
            *model,
            "--output",
            output,
        )
        == 0
    )
    return output


def maps_in(folder):
    return sorted(
        str(path.relative_to(folder)).removesuffix(".embedding.npy")
        for path in folder.rglob("*.embedding.npy")
    )


def test_images_are_embedded_where_training_looks_for_them(whole, data):
    assert maps_in(whole) == NAMES
    maps = EmbeddingMaps(whole, data)
    assert (maps.size, maps.info.stored) == (DIMENSIONS, DIMENSIONS)
    assert maps.teacher["model"].startswith("small, weights ")
    assert (maps.teacher["window"], maps.teacher["overlap"]) == (32, 0.5)
    cells = maps.cells(data / f"{NAMES[0]}.png")
    assert cells.shape == (10, 20, DIMENSIONS)
    np.testing.assert_allclose(np.linalg.norm(cells, axis=-1), 1, atol=1e-5)


def test_fewer_numbers_say_nearly_the_same(whole, data, embed, tmp_path, capsys):
    assert run(*embed(tmp_path / "few", "--pca", 12)) == 0
    printed = capsys.readouterr().out
    assert "6 images; 0.0 MiB to be written" in printed
    assert "12 numbers a cell keep 9" in printed
    few, all_numbers = (EmbeddingMaps(folder, data) for folder in (tmp_path / "few", whole))
    assert few.info.stored == 12
    image = data / f"{NAMES[3]}.png"
    cosine = (few.cells(image) * all_numbers.cells(image)).sum(axis=-1)
    assert np.median(cosine) > 0.97
    pixels = np.random.default_rng(0).uniform(0, 80, (20, 2))
    rows = few.read(image, pixels, (160, 80)), all_numbers.read(image, pixels, (160, 80))
    assert np.median((rows[0] * rows[1]).sum(axis=1)) > 0.97


def test_a_killed_run_goes_on_and_makes_what_is_missing_alone(embed, tmp_path, monkeypatch, capsys):
    read = []
    load = images.ImageFile.load

    def load_or_die(self):
        read.append(self.path.stem)
        if read.count("000003") == 2:  # after the basis
            raise KeyboardInterrupt
        return load(self)

    monkeypatch.setattr(images.ImageFile, "load", load_or_die)
    words = embed(tmp_path / "maps", "--pca", 4, "--batch", 1)
    assert run(*words) == 130
    there = maps_in(tmp_path / "maps")
    assert there == NAMES[: len(there)]
    assert 0 < len(there) <= 3
    basis = (tmp_path / "maps" / "basis.safetensors").read_bytes()
    (tmp_path / "maps" / f"{NAMES[0]}.embedding.npy").write_bytes(b"damaged")
    capsys.readouterr()
    read.clear()
    assert run(*words) == 0
    missing = [NAMES[0], *NAMES[len(there) :]]
    assert sorted(f"sequences/00/image_2/{stem}" for stem in read) == missing
    assert f"6 images, {len(there) - 1} of them are there" in capsys.readouterr().out
    assert maps_in(tmp_path / "maps") == NAMES
    assert (tmp_path / "maps" / "basis.safetensors").read_bytes() == basis


def test_a_folder_of_another_teacher_is_refused(embed, tmp_path, capsys):
    assert run(*embed(tmp_path / "maps")) == 0
    assert run(*embed(tmp_path / "maps", "--window", 16)) == 2
    assert "another teacher or of other settings (window: 32, not 16)" in capsys.readouterr().err
    other = write_small_clip(tmp_path / "small", VIT, seed=1)
    assert run(*embed(tmp_path / "maps", "--model", other)) == 2
    assert "(model: small, weights" in capsys.readouterr().err
    assert run(*embed(tmp_path / "maps", "--pca", 5)) == 2
    assert "(stored: 24, not 5)" in capsys.readouterr().err


def test_a_full_disk_is_noticed_before(embed, tmp_path, monkeypatch, capsys):
    disk = SimpleNamespace(total=2**40, free=30_000)
    monkeypatch.setattr(embedding_job.shutil, "disk_usage", lambda _: disk)
    assert run(*embed(tmp_path / "maps")) == 2
    assert "are needed and 0.0 MiB free" in capsys.readouterr().err
    assert not (tmp_path / "maps").exists()
    disk.free = 90_000
    assert run(*embed(tmp_path / "maps")) == 0


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--pca", "25"], "--pca 25: the embeddings have 24 numbers"),
        (["--window", "12"], "such as 16"),
        (["--overlap", "1"], "overlap"),
        (["--images-root", "/nowhere"], "not below"),
        (["--option", "cameras="], "no sample of the dataset has an image"),
    ],
)
def test_what_makes_no_sense_is_refused(embed, tmp_path, capsys, more, message):
    assert run(*embed(tmp_path / "maps", *more)) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "maps").exists()


@pytest.mark.parametrize("last", [0, 1])
def test_processes_make_shares_of_the_maps(embed, whole, tmp_path, monkeypatch, last):
    made = []
    write = embedding_job.EmbeddingWriter.write
    monkeypatch.setattr(
        embedding_job.EmbeddingWriter,
        "write",
        lambda writer, relative, maps: made.append(relative.stem) or write(writer, relative, maps),
    )
    monkeypatch.setattr(embedding_job, "wait_for_all", lambda: None)
    for rank in range(last + 1):
        made.clear()
        monkeypatch.setattr(embedding_job, "place", lambda rank=rank: Place(rank, 2))
        assert run(*embed(tmp_path / "maps")) == 0
    assert made == [f"{number:06d}" for number in range(last, 6, 2)]
    for name in NAMES[0 : last + 1]:
        one, two = (np.load(f / f"{name}.embedding.npy") for f in (whole, tmp_path / "maps"))
        np.testing.assert_allclose(one, two, atol=2e-3)


def test_values_that_are_not_finite_are_refused(embed, tmp_path, monkeypatch, capsys):
    encode = ClipModel.encode_pixels
    monkeypatch.setattr(ClipModel, "encode_pixels", lambda *words: encode(*words) * torch.inf)
    for name, more in (("all", []), ("some", ["--pca", 4])):
        assert run(*embed(tmp_path / name, *more)) == 2
        assert "000000.png: the teacher gives values for it that are" in capsys.readouterr().err


def test_texts_are_embedded_in_the_space_of_the_images(whole, data, model, tmp_path, capsys):
    prompts = tmp_path / "prompts.yaml"
    prompts.write_text("classes: {car: [car, van]}\nbackground: [sky]")
    path = tmp_path / "new" / "texts.safetensors"
    words = ["--ontology", "semantic_kitti", "--prompts", prompts]
    assert run("embed-texts", path, *model, *words) == 0
    assert "20 phrases of 19 classes, 1 of the background" in capsys.readouterr().out
    texts = read_texts(path)
    assert texts.teacher == EmbeddingMaps(whole, data).teacher["model"]
    assert texts.size == DIMENSIONS
    assert len(texts.of("car")) == 2
    assert texts.names[-1] == "background:sky"


def test_texts_need_something_to_embed(model, tmp_path, capsys):
    assert run("embed-texts", tmp_path / "texts.safetensors", *model) == 2
    assert "give --ontology, --prompts or both" in capsys.readouterr().err
