"""Weak labels on disk: what is written is read again, and never paired with another sample."""

import json

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wsss_perception.errors import DatasetError
from wsss_perception.frame import UNKNOWN
from wsss_perception.ontology import load_ontology
from wsss_training.data import open_dataset
from wsss_training.data.weak_labels import (
    INFO_FILE,
    UNLABELLED_FILE,
    ChosenPoints,
    WeaklyLabelled,
    has_label,
    read_chosen,
    write_weak_labels,
)

ONTOLOGY = load_ontology("semantic_kitti")


def choice(sample_id, indices, labels, points=3):
    return ChosenPoints(sample_id, np.uint32(indices), np.uint8(labels), points)


@pytest.fixture
def weak(semantic_kitti, tmp_path):
    """Weak labels of both sweeps: point 1 is a car, and none."""
    choices = [choice("00/000000", [1], [0]), choice("00/000001", [], [])]
    write_weak_labels(tmp_path / "weak", choices, ONTOLOGY, {"seed": 0})
    return tmp_path / "weak"


def test_the_chosen_points_alone_are_labelled(semantic_kitti, weak):
    dataset = open_dataset("semantic_kitti", semantic_kitti, weak_labels=weak)
    assert dataset.ontology.name == "semantic_kitti"
    np.testing.assert_array_equal(dataset[0].labels, [UNKNOWN, 0, UNKNOWN])
    np.testing.assert_array_equal(dataset[1].labels, [UNKNOWN] * 3)
    velodyne = semantic_kitti / "sequences/00/velodyne/000000.bin"
    assert {velodyne, weak / "00" / "000000.npz"} < set(dataset[0].files)


def test_the_datasets_own_labels_are_not_opened(semantic_kitti, weak):
    (semantic_kitti / "sequences/00/labels/000000.label").write_bytes(b"damaged")
    assert open_dataset("semantic_kitti", semantic_kitti, weak_labels=weak)[0].labels[1] == 0
    without = open_dataset("semantic_kitti", semantic_kitti, labels=False, weak_labels=weak)
    assert without[0].labels is None


def test_the_summary_tells_how_they_came_about(weak):
    info = yaml.safe_load((weak / INFO_FILE).read_text())
    assert (info["schema"], info["ontology"], info["seed"]) == (1, "semantic_kitti", 0)
    assert (info["samples"], info["points"], info["labelled_points"]) == (2, 6, 1)
    assert info["labelled_samples"] == 1
    assert info["labelled_points_of"]["car"] == 1
    assert json.dumps(info)  # plain numbers


def test_the_folder_tells_which_samples_have_a_label(weak):
    sample_ids = ["00/000001", "01/000000", "00/000000"]
    assert has_label(weak, sample_ids).tolist() == [False, True, True]
    assert has_label(weak, []).dtype == bool
    (weak / UNLABELLED_FILE).unlink()
    assert has_label(weak, sample_ids).all(), "pseudo-labels have no such list"
    (weak / UNLABELLED_FILE).write_bytes(b"\xff")
    with pytest.raises(DatasetError, match=r"unlabelled\.txt: cannot be read"):
        has_label(weak, sample_ids)


def test_choices_without_any_point_are_not_written(tmp_path):
    for choices in ([], [choice("00/000000", [], [])]):
        with pytest.raises(DatasetError, match=r"weak: not written: none of the . points"):
            write_weak_labels(tmp_path / "weak", choices, ONTOLOGY, {})
    assert list(tmp_path.iterdir()) == []


chosen = st.integers(0, 200).flatmap(
    lambda points: st.tuples(
        st.just(points),
        st.lists(st.integers(0, points - 1), unique=True).map(sorted) if points else st.just([]),
    )
)


@given(chosen, st.integers(0, 18))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_written_choices_are_read_again(tmp_path_factory, points_and_indices, label):
    points, indices = points_and_indices
    folder = tmp_path_factory.mktemp("weak") / "deep" / "er"
    written = choice("scene/part/LIDAR__1.2", indices, [label] * len(indices), points)
    write_weak_labels(folder, [written, choice("other/1", [0], [0])], ONTOLOGY, {})
    read = read_chosen(folder / "scene/part/LIDAR__1.2.npz", written.sample_id, 19)
    assert (read.points, read.sample_id) == (points, written.sample_id)
    np.testing.assert_array_equal(read.indices, written.indices)
    np.testing.assert_array_equal(read.labels, written.labels)


def test_a_sample_that_was_not_drawn_is_an_error_with_a_remedy(semantic_kitti, weak):
    (weak / "00" / "000001.npz").unlink()
    dataset = open_dataset("semantic_kitti", semantic_kitti, weak_labels=weak)
    with pytest.raises(DatasetError, match=r"00/000001\.npz: no such file; draw weak labels for"):
        dataset[1]


def test_a_sample_of_another_size_is_an_error_with_a_remedy(semantic_kitti, weak):
    dataset = open_dataset("semantic_kitti", semantic_kitti, weak_labels=weak, sweeps=2)
    assert dataset[0].labels[1] == 0
    with pytest.raises(DatasetError, match=r"000001\.npz: was drawn from 3 points.* has 6; draw"):
        dataset[1]


def test_weak_labels_of_another_ontology_are_refused(semantic_kitti, weak):
    with pytest.raises(DatasetError, match=r"of ontology 'semantic_kitti', the dataset's is 'sem"):
        open_dataset("semantic_kitti", semantic_kitti, weak_labels=weak, moving=True)


def test_a_set_without_classes_takes_those_of_its_weak_labels(kitti_object, weak):
    assert open_dataset("kitti_object", kitti_object, weak_labels=weak).ontology == ONTOLOGY


@pytest.mark.parametrize("content", [None, "", "schema: 2\n", "- a\n", "a: [", b"\xff"])
def test_a_folder_without_a_fitting_summary_is_refused(semantic_kitti, weak, content):
    path = weak / INFO_FILE
    path.unlink()
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DatasetError, match=r"(?s)weak_labels\.yaml.*weak-labels"):
        open_dataset("semantic_kitti", semantic_kitti, weak_labels=weak)


@pytest.mark.parametrize(
    "arrays",
    [
        {"indices": np.uint32([1, 1])},
        {"indices": np.uint32([2, 1])},
        {"indices": np.uint32([0, 3])},
        {"indices": np.int64([0, -1])},
        {"indices": np.uint32([0, 1, 2])},
        {"indices": np.uint32([[0, 1]])},
        {"labels": np.uint8([0, 19])},
        {"labels": np.array(["car", "road"])},
        {"points": np.arange(3)},
        {"points": np.array("three")},
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path, arrays):
    fitting = {"indices": np.uint32([0, 2]), "labels": np.uint8([0, 18]), "points": np.int64(3)}
    path = tmp_path / "a.npz"
    np.savez(path, **fitting)
    assert read_chosen(path, "a", 19).labels.tolist() == [0, 18]
    np.savez(path, **{**fitting, **arrays})
    with pytest.raises(DatasetError, match=r"a\.npz"):
        read_chosen(path, "a", 19)


def test_missing_arrays_and_pickles_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, indices=np.uint32([0]))
    with pytest.raises(DatasetError, match=r"a\.npz"):
        read_chosen(path, "a", 19)
    np.savez(path, indices=np.array([{}]), labels=np.uint8([0]), points=1)
    with pytest.raises(DatasetError, match=r"a\.npz"):
        read_chosen(path, "a", 19)


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
def test_damaged_files_are_refused_or_unharmed(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "fuzz.npz"
    np.savez(path, indices=np.uint32([0, 2]), labels=np.uint8([0, 18]), points=np.int64(3))
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[place] ^= data.draw(st.integers(1, 255))
    else:
        del content[place:]
    path.write_bytes(content)
    try:
        read = read_chosen(path, "a", 19)
    except DatasetError:
        return
    assert (read.indices.tolist(), read.labels.tolist(), read.points) == ([0, 2], [0, 18], 3)


def test_what_exists_is_left_alone(weak):
    before = (weak / INFO_FILE).read_bytes()
    with pytest.raises(DatasetError, match="weak: exists; remove it"):
        write_weak_labels(weak, [], ONTOLOGY, {})
    assert (weak / INFO_FILE).read_bytes() == before


def test_a_draw_that_fails_leaves_nothing(tmp_path):
    def failing():
        yield choice("00/000000", [0], [0])
        raise DatasetError("cut short")

    (tmp_path / "out").mkdir()
    with pytest.raises(DatasetError, match="cut short"):
        write_weak_labels(tmp_path / "out" / "weak", failing(), ONTOLOGY, {})
    assert list((tmp_path / "out").iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DatasetError, match="file"):
        write_weak_labels(tmp_path / "file" / "weak", [], ONTOLOGY, {})


def test_the_wrapped_dataset_keeps_its_order(semantic_kitti, weak):
    dataset = WeaklyLabelled(open_dataset("semantic_kitti", semantic_kitti, labels=False), weak)
    assert len(dataset) == 2
    assert dataset.sample_ids == ["00/000000", "00/000001"]
    with pytest.raises(IndexError):
        dataset[2]
