from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from wsss_perception.frame import UNKNOWN
from wsss_training.world.imitated_teacher import imitate_teacher
from wsss_training.world.teacher_settings import (
    BACKGROUND,
    load_teacher_settings,
    settings_from_dict,
)

ROAD, SIDEWALK, BUILDING, POLE, VEGETATION, SKY, PERSON, CAR, TRAIN = 0, 1, 2, 5, 8, 10, 11, 13, 16
FAULTLESS = {
    "confusions": {},
    "gain": {},
    "vanishing_area": {},
    "absent": [],
    "whole_region": 0.5,
    "persistence": 0.9,
    "patch_size": 40,
    "softness": 1.0,
    "rival_limit": 0.8,
    "blur": 0.5,
    "spread": 0.02,
    "sharpness": 3.0,
    "border_noise": 0.0,
}


def habits(**changes):
    return settings_from_dict({**FAULTLESS, **changes}, "test")


def street(height=120, width=320):
    """Sky, building, road and sidewalk in bands, a car; regions are the classes."""
    classes = np.full((height, width), SKY, np.uint8)
    classes[height // 3 :] = BUILDING
    classes[2 * height // 3 :] = ROAD
    classes[5 * height // 6 :] = SIDEWALK
    classes[height // 2 : 3 * height // 4, width // 3 : width // 2] = CAR
    return classes, np.where(classes == SKY, -1, classes).astype(np.int32)


def dotted(size, step=40, label=PERSON):
    """Squares of ``size`` pixels, each its own region, on a building."""
    classes = np.full((400, 800), BUILDING, np.uint8)
    regions = np.zeros(classes.shape, np.int32)
    for number, (row, column) in enumerate(np.ndindex(400 // step, 800 // step)):
        place = np.s_[row * step : row * step + size, column * step : column * step + size]
        classes[place], regions[place] = label, number + 1
    return classes, regions


def recall(maps, classes, label):
    return (maps.labels[classes == label] == label).mean()


def test_imitated_teacher_repeats_itself():
    first, second = (imitate_teacher(*street(), load_teacher_settings(), 3, 4) for _ in range(2))
    np.testing.assert_array_equal(first.labels, second.labels)
    np.testing.assert_array_equal(first.probabilities, second.probabilities)


@pytest.mark.parametrize("whole_region", [0.0, 1.0])
def test_imitated_teacher_errs_otherwise_in_another_scene(whole_region):
    confusions = {"building": {"vegetation": 0.5}}
    settings = habits(confusions=confusions, whole_region=whole_region)
    image = dotted(40, label=BUILDING)
    first, second = (imitate_teacher(*image, settings, seed, 0).labels for seed in (0, 1))
    assert 0.3 < (first == second).mean() < 0.7


@pytest.mark.parametrize("shape", [(120, 320), (375, 1242), (97, 131), (8, 8), (9, 1), (1, 1)])
def test_imitated_teacher_labels_and_confidence_follow_from_probabilities(shape):
    maps = imitate_teacher(*street(*shape), load_teacher_settings(), 0, 0)
    height, width = shape
    assert maps.probabilities.shape == (20, -(-height // 8), -(-width // 8))
    assert maps.confidence.shape == (max(1, height // 2), max(1, width // 2))
    np.testing.assert_allclose(maps.probabilities.sum(axis=0), 1, atol=1e-5)
    upsampled = np.stack(
        [
            np.asarray(Image.fromarray(plane).resize((width, height), Image.Resampling.BILINEAR))
            for plane in maps.probabilities
        ]
    )
    np.testing.assert_array_equal(maps.labels, upsampled.argmax(axis=0))
    certainty = upsampled.max(axis=0)
    if min(shape) > 1:
        pair = certainty[:2, :2]
        assert maps.confidence[0, 0] == pytest.approx(pair.mean(), abs=1e-5)
    assert maps.confidence.min() >= certainty.min() - 1e-6
    assert maps.confidence.max() <= certainty.max() + 1e-6


def test_imitated_teacher_without_faults_is_right_off_the_borders():
    classes, regions = street()
    maps = imitate_teacher(classes, regions, habits(), 0, 0)
    assert (maps.labels == classes).mean() > 0.97
    inside = np.ones(classes.shape, bool)
    for axis in (0, 1):
        for shift in range(-8, 9):
            inside &= np.roll(classes, shift, axis) == classes
    np.testing.assert_array_equal(maps.labels[inside], classes[inside])


def test_imitated_teacher_is_less_sure_at_borders():
    classes, regions = street()
    confidence = imitate_teacher(classes, regions, habits(), 0, 0).confidence
    border = 40  # row of half size: building above, road below
    assert confidence[border, 10] < 0.7
    assert confidence[border - 8, 10] > 0.97
    assert confidence[border + 5, 10] > 0.97


def test_imitated_teacher_never_says_an_absent_class():
    classes = np.full((64, 512), TRAIN, np.uint8)
    classes[:, 488:] = ROAD
    settings = habits(absent=["train"], confusions={"building": {"train": 0.5}})
    maps = imitate_teacher(classes, classes.astype(np.int32), settings, 0, 0)
    assert maps.probabilities[TRAIN].max() == 0
    assert (maps.labels == ROAD).all()  # the only thing there is
    assert maps.confidence.min() > 0.95


def test_imitated_teacher_that_knows_nothing_in_view_says_background():
    classes = np.full((32, 32), TRAIN, np.uint8)
    maps = imitate_teacher(classes, np.zeros((32, 32), np.int32), habits(absent=["train"]), 0, 0)
    assert (maps.labels == BACKGROUND).all()


@pytest.mark.parametrize("seed", range(4))
def test_imitated_teacher_moves_a_whole_region_at_probability_one(seed):
    settings = habits(confusions={"building": {"vegetation": 1.0}})
    classes, regions = street()
    maps = imitate_teacher(classes, regions, settings, seed, 0)
    assert (maps.labels != BUILDING).all()
    assert (maps.labels[classes == BUILDING] == VEGETATION).mean() > 0.95
    assert (maps.labels[classes == ROAD] == ROAD).mean() > 0.9


def test_imitated_teacher_confuses_the_share_that_is_set_in_coherent_pieces():
    settings = habits(confusions={"building": {"vegetation": 0.3}}, whole_region=1.0)
    classes, regions = dotted(40, label=BUILDING)
    labels = np.concatenate(
        [imitate_teacher(classes, regions, settings, seed, 0).labels for seed in range(4)]
    )
    inner = labels.reshape(-1, 40, 20, 40)[:, 12:28, :, 12:28]
    share = (inner == VEGETATION).mean(axis=(1, 3))
    assert share.mean() == pytest.approx(0.3, abs=0.06)
    assert ((share == 0) | (share == 1)).mean() > 0.9


def test_imitated_teacher_confuses_parts_of_a_region_where_it_is_not_judged_whole():
    settings = habits(confusions={"building": {"vegetation": 0.5}}, whole_region=0.0)
    classes = np.full((400, 800), BUILDING, np.uint8)
    labels = imitate_teacher(classes, np.zeros(classes.shape, np.int32), settings, 0, 0).labels
    wrong = labels == VEGETATION
    assert wrong.mean() == pytest.approx(0.5, abs=0.15)
    assert (wrong[:, 1:] != wrong[:, :-1]).mean() < 0.05  # patches, not grains


def test_imitated_teacher_misses_small_objects_more_than_large():
    settings = habits(vanishing_area={"person": 256})
    large, small = dotted(32), dotted(16)
    recalls = [
        recall(imitate_teacher(*image, settings, 0, 0), image[0], PERSON)
        for image in (large, small)
    ]
    seen = recall(imitate_teacher(*small, habits(), 0, 0), small[0], PERSON)
    assert recalls[0] > 0.9
    assert seen > 0.7
    assert recalls[1] == pytest.approx(seen * (1 - np.exp(-1)), abs=0.08)


def test_imitated_teacher_sees_thin_things_where_they_count_more():
    classes = np.full((160, 160), BUILDING, np.uint8)
    classes[:, 80:83] = POLE
    regions = classes.astype(np.int32)
    plain = imitate_teacher(classes, regions, habits(), 0, 0)
    widened = imitate_teacher(classes, regions, habits(gain={"pole": 5}), 0, 0)
    assert recall(plain, classes, POLE) == 0
    assert recall(widened, classes, POLE) > 0.6
    assert (widened.labels == POLE).sum() > (classes == POLE).sum()


def test_imitated_teacher_errs_alike_in_the_next_sweep():
    settings = habits(confusions={"person": {"car": 0.5}}, whole_region=1.0, persistence=0.9)
    classes, regions = dotted(32)

    def verdicts(persistence, frame):
        maps = imitate_teacher(
            classes, regions, replace(settings, persistence=persistence), 5, frame
        )
        return maps.labels[16::40, 16::40] == CAR

    def agreement(persistence):
        return (verdicts(persistence, 0) == verdicts(persistence, 1)).mean()

    assert agreement(1.0) == 1.0
    assert 0.75 < agreement(0.9) < 1.0  # 0.86 for a bivariate normal
    assert 0.3 < agreement(0.0) < 0.7


def test_imitated_teacher_moves_errors_along_with_the_object():
    settings = habits(
        confusions={"building": {"vegetation": 0.5}}, whole_region=0.0, persistence=1.0
    )
    wrong = []
    for shift in (0, 64):
        classes = np.full((256, 512), SKY, np.uint8)
        classes[:, 64 + shift : 384 + shift] = BUILDING
        regions = np.where(classes == SKY, -1, 7).astype(np.int32)
        labels = imitate_teacher(classes, regions, settings, 2, shift).labels
        wrong.append(labels[:, 80 + shift : 368 + shift] == VEGETATION)
    assert 0.1 < wrong[0].mean() < 0.9
    assert (wrong[0] == wrong[1]).mean() > 0.97


def test_imitated_teacher_sees_nothing_but_sky_in_the_sky():
    classes = np.full((45, 83), SKY, np.uint8)
    maps = imitate_teacher(classes, np.full((45, 83), -1, np.int32), load_teacher_settings(), 0, 0)
    assert (maps.labels == SKY).all()
    assert maps.confidence.min() > 0.99


def test_imitated_teacher_takes_what_is_no_class_for_its_surroundings_or_as_told():
    classes, regions = street()
    place = np.s_[48:72, 200:232]
    classes[place], regions[place] = UNKNOWN, 50
    lost = imitate_teacher(classes, regions, habits(), 0, 0)
    assert (lost.labels[place] == BUILDING).all()
    told = imitate_teacher(classes, regions, habits(confusions={"background": {"car": 1}}), 0, 0)
    assert (told.labels[54:66, 206:226] == CAR).all()


def test_imitated_teacher_of_nothing_known_says_background():
    classes = np.full((16, 16), UNKNOWN, np.uint8)
    maps = imitate_teacher(classes, np.zeros((16, 16), np.int32), habits(), 0, 0)
    assert (maps.labels == BACKGROUND).all()


@pytest.mark.parametrize(
    ("classes", "regions", "message"),
    [
        (np.zeros((4, 5), np.uint8), np.zeros((5, 4), np.int32), r"one \[H, W\]"),
        (np.zeros((0, 5), np.uint8), np.zeros((0, 5), np.int32), r"one \[H, W\]"),
        (np.full((4, 5), 19, np.uint8), np.zeros((4, 5), np.int32), r"\[19\] are neither"),
        (np.zeros((4, 5), np.uint8), np.full((4, 5), -2, np.int32), "regions go down to -2"),
    ],
)
def test_imitated_teacher_refuses_what_is_no_image(classes, regions, message):
    with pytest.raises(ValueError, match=message):
        imitate_teacher(classes, regions, habits(), 0, 0)
