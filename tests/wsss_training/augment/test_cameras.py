import numpy as np
import pytest

from wsss_perception.features import PAINTED
from wsss_perception.frame import PointCloud
from wsss_training.augment import DropCameras, JitterCameras, Rotate
from wsss_training.data.camera_colors import COLORS, SEEN, painted
from wsss_training.data.labelled_points import LabelledPoints

CAMERAS = 3


@pytest.fixture
def points() -> LabelledPoints:
    """600 points, each third seen by a camera of its own."""
    rng = np.random.default_rng(0)
    seen = np.repeat(np.eye(CAMERAS, dtype=bool), 200, axis=0)
    colors = rng.integers(60, 190, (600, CAMERAS, 3), dtype=np.uint8) * seen[..., None]
    cloud = PointCloud(rng.normal(0, 9, (600, 3)).astype(np.float32))
    labels, weights = np.zeros(600, np.uint8), np.ones(600, np.float32)
    return painted(LabelledPoints(cloud, labels, weights, {COLORS: colors, SEEN: seen}))


def channels_of(points: LabelledPoints) -> np.ndarray:
    return np.stack([points.cloud.channels[name] for name in PAINTED], axis=1)


def lost_in(points: LabelledPoints, drop: DropCameras, draws: int) -> np.ndarray:
    """Which cameras each draw loses, bool [draws, CAMERAS]."""
    before, lost = channels_of(points), np.zeros((draws, CAMERAS), bool)
    for draw in range(draws):
        result = drop(points, np.random.default_rng(draw))
        after = channels_of(result)
        for camera in range(CAMERAS):
            own = slice(200 * camera, 200 * (camera + 1))
            lost[draw, camera] = not result.attributes[SEEN][own].any()
            expected = np.zeros_like(before[own]) if lost[draw, camera] else before[own]
            np.testing.assert_array_equal(after[own], expected)  # wholly or not at all
    return lost


def test_cameras_are_dropped_each_alone_and_all_together_with_their_probabilities(points):
    alone = lost_in(points, DropCameras(0.3, 0.0), 400)
    np.testing.assert_allclose(alone.mean(axis=0), 0.3, atol=0.06)
    assert (alone.sum(axis=1) == 1).mean() == pytest.approx(3 * 0.3 * 0.49, abs=0.06)
    together = lost_in(points, DropCameras(0.0, 0.25), 400)
    assert set(together.sum(axis=1)) == {0, CAMERAS}
    assert together[:, 0].mean() == pytest.approx(0.25, abs=0.05)


def test_probabilities_of_0_and_1_are_never_and_always(points):
    assert not lost_in(points, DropCameras(0.0, 0.0), 50).any()
    assert lost_in(points, DropCameras(1.0, 0.0), 50).all()
    assert lost_in(points, DropCameras(0.0, 1.0), 50).all()


def test_dropped_cameras_have_no_part_in_the_mean_of_the_others(points):
    seen = np.ones_like(points.attributes[SEEN])
    colors = np.full((600, CAMERAS, 3), (10, 100, 250), np.uint8)[:, [0, 1, 2]]
    colors[:, 1:] = 255
    both = painted(
        LabelledPoints(points.cloud, points.labels, points.weights, {COLORS: colors, SEEN: seen})
    )
    for seed in range(40):
        result = DropCameras(0.5, 0.0)(both, np.random.default_rng(seed))
        kept = result.attributes[SEEN][0]
        expected = colors[0][kept].mean(axis=0) / 255 if kept.any() else np.zeros(3)
        np.testing.assert_allclose(
            channels_of(result)[:, :3], expected[None].repeat(600, 0), atol=1e-6
        )


def test_jitter_changes_colours_of_seen_points_each_camera_by_its_own(points):
    result = JitterCameras(0.3)(points, np.random.default_rng(3))
    np.testing.assert_array_equal(result.attributes[SEEN], points.attributes[SEEN])
    assert not result.attributes[COLORS][~points.attributes[SEEN]].any()
    before, after = channels_of(points)[:, :3], channels_of(result)[:, :3]
    ratios = [
        after[200 * k : 200 * (k + 1)].mean() / before[200 * k : 200 * (k + 1)].mean()
        for k in range(3)
    ]
    assert np.ptp(ratios) > 0.02
    np.testing.assert_array_equal(
        channels_of(JitterCameras(0.0)(points, np.random.default_rng(3))), channels_of(points)
    )


@pytest.mark.parametrize("augmentation", [DropCameras(0.5, 0.5), JitterCameras(0.5)])
def test_points_without_images_draw_nothing(points, augmentation):
    plain = LabelledPoints(points.cloud, points.labels, points.weights)
    rng = np.random.default_rng(0)
    assert augmentation(plain, rng) is plain
    assert rng.random() == np.random.default_rng(0).random()


@pytest.mark.parametrize("augmentation", [DropCameras(0.5, 0.2), JitterCameras(0.5)])
def test_the_input_stays_as_it_is(points, augmentation):
    colors, channels = points.attributes[COLORS].copy(), channels_of(points)
    augmentation(points, np.random.default_rng(1))
    np.testing.assert_array_equal(points.attributes[COLORS], colors)
    np.testing.assert_array_equal(channels_of(points), channels)


def test_colours_stay_with_points_that_are_turned_and_thinned(points):
    turned = Rotate(1.0)(points.select(np.arange(0, 600, 7)), np.random.default_rng(0))
    np.testing.assert_array_equal(channels_of(turned), channels_of(points)[::7])
    np.testing.assert_array_equal(channels_of(painted(turned)), channels_of(points)[::7])
