import numpy as np
import pytest
from PIL import Image

from wsss_perception.errors import DatasetError
from wsss_perception.frame import UNKNOWN
from wsss_perception.ontology import load_ontology
from wsss_training.teachers.precomputed import PrecomputedTeacher


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
