from dataclasses import replace

import numpy as np
import pytest

from wsss_perception.ontology import load_ontology
from wsss_training.teachers.imitated_clip import ImitatedClip, imitated_texts, load_imitation

CLASSES = load_ontology("scannet").classes
NAMES = (*CLASSES, "clutter")
QUIET = {"patch_errors": 0.0, "image_errors": 0.0, "noise": 0.0, "shift": 0.0, "blur": 0.0}


@pytest.fixture
def settings():
    return load_imitation()


@pytest.fixture
def quiet(settings):
    return replace(settings, missing={}, **QUIET)


def shown(labels: np.ndarray) -> np.ndarray:
    return (labels == np.arange(len(NAMES))[:, None, None]).astype(np.float32)


def said(vectors: np.ndarray, settings) -> np.ndarray:
    """The class whose text each cell is most like."""
    texts = imitated_texts(CLASSES, ["clutter"], replace(settings, synonyms={}))
    return (vectors @ texts.vectors.T).argmax(axis=-1)


def test_shipped_settings_name_classes_that_there_are(settings):
    known = {*CLASSES, *load_ontology("semantic_kitti").classes}
    named = {name for members in settings.groups.values() for name in members}
    assert named <= known
    assert {*settings.missing, *settings.missing.values(), *settings.synonyms} <= known
    assert set(settings.missing).isdisjoint(settings.missing.values())


def test_texts_are_of_classes_synonyms_and_background(settings):
    texts = imitated_texts(CLASSES, ["clutter"], settings)
    assert texts.names.count("sofa") == 3
    assert texts.names[-1] == "background:clutter"
    np.testing.assert_allclose(np.linalg.norm(texts.vectors, axis=1), 1, atol=1e-5)
    sofa, chair, toilet = (texts.of(name)[0] for name in ("sofa", "chair", "toilet"))
    assert texts.of("sofa")[1] @ sofa > chair @ sofa > toilet @ sofa > 0.5
    again = imitated_texts(("toilet",), [], settings)
    np.testing.assert_array_equal(again.vectors[0], toilet)


def test_without_damage_every_cell_says_what_it_shows(quiet):
    labels = np.arange(21).reshape(3, 7)
    vectors = ImitatedClip(NAMES, quiet)(shown(labels), np.zeros((3, 7), int), 0, 0)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=-1), 1, atol=1e-5)
    np.testing.assert_array_equal(said(vectors, quiet), labels)


def test_cells_that_show_nothing_have_no_vector(quiet):
    shares = shown(np.zeros((2, 2), int))
    shares[:, 0, 1] = 0
    vectors = ImitatedClip(NAMES, quiet)(shares, np.zeros((2, 2), int), 0, 0)
    np.testing.assert_array_equal(np.linalg.norm(vectors, axis=-1) > 0.5, [[1, 0], [1, 1]])


def test_missing_classes_look_like_another(quiet):
    wall, door = CLASSES.index("wall"), CLASSES.index("door")
    blind = replace(quiet, missing={"door": "wall"})
    vectors = ImitatedClip(NAMES, blind)(shown(np.full((2, 2), door)), np.zeros((2, 2), int), 0, 0)
    assert (said(vectors, quiet) == wall).all()


def test_patches_are_seen_wrongly_as_a_whole_and_mostly_as_a_relative(quiet):
    settings = replace(quiet, patch_errors=0.3, group_rivals=0.9)
    chair = CLASSES.index("chair")
    relatives = {CLASSES.index(name) for name in ("sofa", "bed")}
    patches = np.repeat(np.arange(2000), 4).reshape(200, 40)
    teacher = ImitatedClip(NAMES, settings)
    found = said(teacher(shown(np.full(patches.shape, chair)), patches, 0, 0), settings)
    by_patch = found.reshape(-1, 4)
    assert (by_patch == by_patch[:, :1]).all()
    wrong = by_patch[:, 0][by_patch[:, 0] != chair]
    assert 0.25 < len(wrong) / 2000 < 0.35
    assert 0.8 < np.isin(wrong, list(relatives)).mean() < 0.97


def test_errors_last_from_image_to_image(quiet):
    settings = replace(quiet, patch_errors=0.3, persistence=0.8)
    patches = np.arange(2000).reshape(50, 40)
    teacher, shares = ImitatedClip(NAMES, settings), shown(np.full((50, 40), 4))
    first, second, other = (
        said(teacher(shares, patches, scene, image), settings) != 4
        for scene, image in ((0, 0), (0, 1), (1, 0))
    )
    assert (first == second).mean() > 0.75
    assert (first == other).mean() < 0.7
    again = said(teacher(shares, patches, 0, 0), settings) != 4
    np.testing.assert_array_equal(first, again)


def test_cells_without_a_patch_have_no_patch_errors(quiet):
    settings = replace(quiet, patch_errors=1.0)
    vectors = ImitatedClip(NAMES, settings)(shown(np.full((4, 4), 3)), np.full((4, 4), -1), 0, 0)
    assert (said(vectors, settings) == 3).all()


def test_in_some_images_a_class_is_another_throughout(quiet):
    settings = replace(quiet, image_errors=0.5)
    teacher, shares = ImitatedClip(NAMES, settings), shown(np.full((3, 3), 5))
    found = [said(teacher(shares, np.full((3, 3), -1), 0, k), settings) for k in range(60)]
    assert all((image == image[0, 0]).all() for image in found)
    assert 15 < sum(image[0, 0] != 5 for image in found) < 45


def test_borders_are_blurred_and_noise_differs_between_images(quiet):
    labels = np.repeat([[0, 0, 0, 1, 1, 1]], 5, axis=0)
    sharp = ImitatedClip(NAMES, quiet)(shown(labels), np.full(labels.shape, -1), 0, 0)
    blurred = ImitatedClip(NAMES, replace(quiet, blur=1.0))(
        shown(labels), np.full(labels.shape, -1), 0, 0
    )
    np.testing.assert_allclose(blurred[:, 0], sharp[:, 0], atol=1e-5)
    assert (np.abs(blurred[:, 2] - sharp[:, 2]).max(axis=1) > 0.01).all()
    noisy = ImitatedClip(NAMES, replace(quiet, noise=1.0))
    one, two = (noisy(shown(labels), np.full(labels.shape, -1), 0, k) for k in (0, 1))
    assert np.abs(one - two).max() > 0.01
