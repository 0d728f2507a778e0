from importlib import resources
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from wsss_perception.errors import DatasetError
from wsss_perception.frame import UNKNOWN
from wsss_perception.ontology import load_ontology
from wsss_training.teachers.precomputed import PrecomputedTeacher, write_teacher_maps


@pytest.fixture
def folders(tmp_path):
    (tmp_path / "teacher" / "log").mkdir(parents=True)
    (tmp_path / "images" / "log").mkdir(parents=True)
    labels = np.uint8([[0, 13], [19, 255]])
    Image.fromarray(labels).save(tmp_path / "teacher" / "log" / "1.label.png")
    Image.fromarray(np.uint8([[255]])).save(tmp_path / "teacher" / "log" / "1.conf.png")
    prob = np.zeros((20, 1, 1), np.uint8)
    prob[13] = 51
    np.savez_compressed(tmp_path / "teacher" / "log" / "1.prob.npz", prob=prob)
    return tmp_path


@pytest.fixture
def teacher(folders):
    return PrecomputedTeacher(folders / "teacher", folders / "images", load_ontology("cityscapes"))


def test_precomputed_teacher_reads_maps_and_knows_no_class_beyond_its_ontology(folders, teacher):
    maps = teacher(folders / "images" / "log" / "1.png")
    assert maps.labels.tolist() == [[0, 13], [UNKNOWN, UNKNOWN]]
    assert maps.confidence.tolist() == [[1.0]]


def test_precomputed_teacher_reads_probabilities(folders, teacher):
    probabilities = teacher.probabilities(folders / "images" / "log" / "1.png")
    assert probabilities.shape == (19, 1, 1)
    assert probabilities[13, 0, 0] == pytest.approx(0.2)


def test_precomputed_teacher_names_a_missing_map_and_its_image(folders, teacher):
    with pytest.raises(DatasetError, match=r"2\.label\.png.*images.log.2\.png"):
        teacher(folders / "images" / "log" / "2.png")


def test_precomputed_teacher_refuses_images_elsewhere_and_missing_folders(folders, teacher):
    with pytest.raises(DatasetError, match="images_root"):
        teacher(folders / "elsewhere" / "1.png")
    with pytest.raises(DatasetError, match="no such folder"):
        PrecomputedTeacher(folders / "none", folders / "images", load_ontology("cityscapes"))


@pytest.mark.parametrize("suffix", [".label.png", ".conf.png", ".prob.npz"])
def test_precomputed_teacher_names_a_damaged_map(folders, teacher, suffix):
    path = folders / "teacher" / "log" / f"1{suffix}"
    path.write_bytes(path.read_bytes()[:20])
    image = folders / "images" / "log" / "1.png"
    with pytest.raises(DatasetError, match=f"1{suffix}"):
        teacher.probabilities(image) if suffix == ".prob.npz" else teacher(image)


def test_precomputed_teacher_takes_the_index_of_a_palette_image_as_class(folders, teacher):
    image = Image.fromarray(np.uint8([[0, 13], [5, 8]]), mode="P")
    image.putpalette([7, 90, 200] * 256)
    image.save(folders / "teacher" / "log" / "1.label.png")
    maps = teacher(folders / "images" / "log" / "1.png")
    assert maps.labels.tolist() == [[0, 13], [5, 8]]


def test_precomputed_teacher_refuses_maps_of_colours(folders, teacher):
    Image.new("RGB", (2, 2), (90, 0, 200)).save(folders / "teacher" / "log" / "1.label.png")
    with pytest.raises(DatasetError, match=r"1\.label\.png.*RGB"):
        teacher(folders / "images" / "log" / "1.png")


def test_precomputed_teacher_follows_linked_folders_of_images(folders, teacher):
    (folders / "elsewhere").mkdir()
    (folders / "images" / "log").rmdir()
    (folders / "images" / "log").symlink_to(folders / "elsewhere")
    assert teacher(folders / "images" / "log" / "1.png").labels[0, 1] == 13


def complete_maps(seed: int = 0) -> SimpleNamespace:
    rng = np.random.default_rng(seed)
    return SimpleNamespace(
        labels=rng.integers(0, 19, (17, 23), dtype=np.uint8),
        confidence=rng.random((8, 11), dtype=np.float32),
        probabilities=rng.random((20, 3, 3), dtype=np.float32),
    )


def test_write_teacher_maps_writes_what_the_reader_reads(folders, teacher):
    maps = complete_maps()
    write_teacher_maps(maps, folders / "teacher", Path("log/deep/7.png"))
    image = folders / "images" / "log" / "deep" / "7.png"
    read = teacher(image)
    np.testing.assert_array_equal(read.labels, maps.labels)
    np.testing.assert_allclose(read.confidence, maps.confidence, atol=0.5001 / 255)
    probabilities = teacher.probabilities(image)  # of the ontology's 19 classes
    np.testing.assert_allclose(probabilities, maps.probabilities[:19], atol=0.5001 / 255)


def test_write_teacher_maps_replaces_and_leaves_nothing_else(folders, teacher):
    for seed in (1, 2):
        write_teacher_maps(complete_maps(seed), folders / "teacher", Path("log/1.png"))
    names = sorted(path.name for path in (folders / "teacher" / "log").iterdir())
    assert names == ["1.conf.png", "1.label.png", "1.prob.npz"]
    read = teacher(folders / "images" / "log" / "1.png")
    np.testing.assert_array_equal(read.labels, complete_maps(2).labels)


@pytest.mark.parametrize("path", ["../1.png", "log/../../1.png", "/1.png"])
def test_write_teacher_maps_stays_in_its_folder(folders, path):
    with pytest.raises(DatasetError, match="not a path below"):
        write_teacher_maps(complete_maps(), folders / "teacher", Path(path))


def test_write_teacher_maps_names_the_image_it_cannot_write(folders):
    (folders / "teacher" / "file").write_text("in the way")
    with pytest.raises(DatasetError, match=r"file.1\.png.*cannot be written"):
        write_teacher_maps(complete_maps(), folders / "teacher", Path("file/1.png"))


@pytest.mark.parametrize("value", [20, 26, 254])
def test_a_value_that_is_no_class_is_refused(folders, teacher, value):
    path = folders / "teacher" / "log" / "1.label.png"
    Image.fromarray(np.uint8([[0, value], [19, 255]])).save(path)
    message = rf"1\.label\.png: value {value} is no class of 'cityscapes' \(0 to 18\)"
    with pytest.raises(DatasetError, match=message):
        teacher(folders / "images" / "log" / "1.png")


def test_a_folder_that_says_its_maps_are_of_other_classes_is_refused(folders):
    shipped = resources.files("wsss_perception") / "ontologies"
    path = folders / "teacher" / "ontology.yaml"
    for name in ("cityscapes", "semantic_kitti"):
        path.write_text((shipped / f"{name}.yaml").read_text())
        PrecomputedTeacher(folders / "teacher", folders / "images", load_ontology(name))
    with pytest.raises(DatasetError, match=r"are not those of 'cityscapes', .* teacher\.ontology="):
        PrecomputedTeacher(folders / "teacher", folders / "images", load_ontology("cityscapes"))


def test_labels_without_probabilities_are_told_from_a_missing_map(folders, teacher):
    (folders / "teacher" / "log" / "1.prob.npz").unlink()
    with pytest.raises(
        DatasetError, match=r"1\.prob\.npz: the teacher has labels of .*1\.png, but"
    ):
        teacher.probabilities(folders / "images" / "log" / "1.png")
