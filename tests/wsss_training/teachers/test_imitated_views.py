from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from wsss_perception.errors import DatasetError
from wsss_perception.frame import UNKNOWN, PointCloud
from wsss_perception.geometry import Camera, make_transform
from wsss_perception.ontology import load_ontology
from wsss_training.data.sample import ImageSource, Sample
from wsss_training.teachers.embedding_maps import EmbeddingMaps
from wsss_training.teachers.imitated_clip import ImitatedClip, load_imitation
from wsss_training.teachers.imitated_views import (
    driving_views,
    labelled_views,
    patches_of,
    view_of_points,
    write_imitated_maps,
)
from wsss_training.teachers.precomputed import write_teacher_maps

CAMERA = Camera(40, 16, np.array([[20.0, 0, 19.5], [0, 20, 7.5], [0, 0, 1]]))
AXES = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])
IMAGE = ImageSource("a", Path("a.png"), CAMERA, make_transform(AXES, np.zeros(3)), 0)


def at(column: float, row: float, depth: float = 10.0) -> list[float]:
    """The point that a pixel shows."""
    return [depth, -(column - 19.5) / 20 * depth, -(row - 7.5) / 20 * depth]


def test_cells_show_the_points_in_them_and_empty_ones_the_nearest():
    xyz = np.float32([at(3, 3), at(4, 4), at(5, 5), at(20, 3), at(36, 12), [-10, 0, 0]])
    labels = np.uint8([0, 0, 1, 1, 2, 0])
    shares, patches = view_of_points(xyz, labels, np.arange(6) + 10, IMAGE, 2)
    assert shares.shape == (3, 2, 5)
    np.testing.assert_allclose(shares.sum(axis=0), 1)
    np.testing.assert_allclose(shares[:, 0, 0], [2 / 3, 1 / 3, 0])
    np.testing.assert_allclose(shares[:, 0, 2], [0, 1, 0])
    np.testing.assert_allclose(shares[:, 1, 4], [0, 0, 1])
    np.testing.assert_allclose(shares[:, 1, 0], shares[:, 0, 0], err_msg="no point there")
    assert patches[0, 2] == 13
    assert patches[1, 4] == 14
    assert patches[1, 0] in (10, 11, 12)


def test_an_image_without_points_shows_nothing():
    shares, patches = view_of_points(
        np.float32([[-10, 0, 0]]), np.uint8([0]), np.zeros(1, int), IMAGE, 2
    )
    assert not shares.any()
    assert (patches == -1).all()


def test_a_patch_is_one_label_in_one_cube():
    xyz = np.float32([[0.1, 0, 0], [0.9, 0.9, 0.9], [1.1, 0, 0], [0.5, 0, 0]])
    patches = patches_of(xyz, np.uint8([1, 1, 1, 2]), 1.0)
    assert patches[0] == patches[1]
    assert len(set(patches.tolist())) == 3


def test_views_of_a_labelled_dataset_count_unknown_as_all_else():
    xyz = np.float32([at(3, 3), at(20, 3)])
    sample = Sample("s/0", "s", PointCloud(xyz), (IMAGE,), labels=np.uint8([1, UNKNOWN]))
    ((scene, number, image, (shares, _)),) = labelled_views([sample], 2, 1.0)
    assert (scene, number, image) == (0, 0, IMAGE)
    assert (shares[1, 0, 0], shares[2, 0, 2]) == (1, 1)
    with pytest.raises(DatasetError, match="s/0: no labels"):
        next(labelled_views([replace(sample, labels=None)], 2, 1.0))


def test_views_of_the_driving_world_are_its_teachers_probabilities(tmp_path):
    source, target = load_ontology("cityscapes"), load_ontology("semantic_kitti")
    probabilities = np.zeros((20, 2, 5), np.float32)
    probabilities[source.index("road"), 0] = 1
    probabilities[source.index("bus"), 1, :2] = 0.6
    probabilities[source.index("train"), 1, :2] = 0.4
    probabilities[source.index("sky"), 1, 2:] = 1
    maps = SimpleNamespace(
        probabilities=probabilities,
        labels=np.zeros((16, 40), np.uint8),
        confidence=np.ones((8, 20), np.float32),
    )
    write_teacher_maps(maps, tmp_path / "teacher", Path("a.png"))
    image = replace(IMAGE, path=tmp_path / "a.png")
    sample = Sample("s/0", "s", PointCloud(np.zeros((1, 3), np.float32)), (image,))
    views = driving_views([sample], tmp_path / "teacher", tmp_path, "semantic_kitti")
    ((_, _, _, (shares, patches)),) = views
    assert shares.shape == (20, 2, 5)
    np.testing.assert_allclose(shares[target.index("road"), 0], 1)
    np.testing.assert_allclose(shares[target.index("other-vehicle"), 1, :2], 1, atol=0.01)
    np.testing.assert_allclose(shares[19, 1, 2:], 1)
    assert (patches == -1).all()


def test_maps_are_written_where_readers_look_for_them(tmp_path):
    settings = replace(load_imitation(), size=16)
    names = (*load_ontology("semantic_kitti").classes, "sky")
    view = (np.full((20, 2, 5), 0.05, np.float32), np.full((2, 5), -1))
    (tmp_path / "images" / "b").mkdir(parents=True)
    image = replace(IMAGE, path=tmp_path / "images" / "b" / "1.png")
    views = iter([(3, 4, image, view)])
    root = tmp_path / "maps"
    assert write_imitated_maps(root, tmp_path / "images", views, names, settings) == 1
    maps = EmbeddingMaps(root, tmp_path / "images")
    expected = ImitatedClip(names, settings)(*view, 3, 4)
    np.testing.assert_allclose(maps.cells(image.path), expected, atol=2e-3)
    assert (maps.size, maps.logit_scale) == (16, 100.0)
