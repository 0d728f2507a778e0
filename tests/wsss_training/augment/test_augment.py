import numpy as np
import pytest

from wsss_perception.frame import UNKNOWN, PointCloud
from wsss_training.augment import (
    Compose,
    CropRange,
    DropBeams,
    DropPoints,
    Flip,
    JitterIntensity,
    JitterPoints,
    Mount,
    Rotate,
    Scale,
    random_sector,
    supervised_sector,
)
from wsss_training.data.labelled_points import LabelledPoints

ALL = [
    Rotate(np.pi),
    Flip(),
    Scale(0.9, 1.1),
    Mount(0.2, 0.02),
    DropPoints(0.5),
    DropBeams(1.0),
    CropRange(1.0, 10.0, 20.0),
    JitterPoints(0.01),
    JitterIntensity(0.2, 0.05),
]


@pytest.fixture
def points():
    """Each point's label and weight follow from its intensity, so that mixing them up shows."""
    generator = np.random.default_rng(0)
    xyz = generator.uniform(-30, 30, (5000, 3)).astype(np.float32)
    number = np.arange(5000)
    channels = {"intensity": (number % 100 / 100).astype(np.float32), "id": number.astype("f4")}
    labels = (number % 5).astype(np.uint8)
    return LabelledPoints(PointCloud(xyz, channels), labels, (number % 7).astype(np.float32))


@pytest.mark.parametrize("augmentation", ALL, ids=lambda a: type(a).__name__)
def test_augmentation_keeps_labels_with_their_points(points, augmentation):
    before = points.cloud.xyz.copy()
    result = augmentation(points, np.random.default_rng(1))
    assert 0 < len(result) <= len(points)
    assert result.cloud.xyz.dtype == np.float32
    number = result.cloud.channels["id"].astype(int)
    assert (result.labels == number % 5).all()
    assert (result.weights == number % 7).all()
    assert (points.cloud.xyz == before).all(), "the input changed"


@pytest.mark.parametrize("augmentation", ALL, ids=lambda a: type(a).__name__)
def test_augmentation_follows_from_its_generator(points, augmentation):
    first, second = (augmentation(points, np.random.default_rng(5)) for _ in range(2))
    other = augmentation(points, np.random.default_rng(9))
    np.testing.assert_array_equal(first.cloud.xyz, second.cloud.xyz)
    a, b = first.cloud, other.cloud
    same = a.xyz.shape == b.xyz.shape and (a.xyz == b.xyz).all()
    assert not same or (a.channels["intensity"] != b.channels["intensity"]).any()


@pytest.mark.parametrize("augmentation", [Rotate(np.pi), Flip()], ids=["Rotate", "Flip"])
def test_rigid_augmentations_keep_height_and_range(points, augmentation):
    result = augmentation(points, np.random.default_rng(2)).cloud.xyz
    np.testing.assert_array_equal(result[:, 2], points.cloud.xyz[:, 2])
    before = np.linalg.norm(points.cloud.xyz, axis=1)
    np.testing.assert_allclose(np.linalg.norm(result, axis=1), before, rtol=1e-4)


def test_crop_range_cuts_at_a_range_between_its_limits(points):
    ranges = np.linalg.norm(points.cloud.xyz, axis=1)
    for seed in range(20):
        kept = CropRange(1.0, 10.0, 20.0)(points, np.random.default_rng(seed))
        farthest = np.linalg.norm(kept.cloud.xyz, axis=1).max()
        assert farthest <= 20.0
        assert len(kept) == (ranges <= farthest).sum()


def test_drop_beams_removes_whole_beams():
    elevations = np.deg2rad(np.arange(-24.0, 2.0, 26.8 / 64))
    azimuths = np.linspace(-np.pi, np.pi, 50)
    elevation, azimuth = (grid.ravel() for grid in np.meshgrid(elevations, azimuths))
    xyz = 10 * np.stack(
        [
            np.cos(elevation) * np.cos(azimuth),
            np.cos(elevation) * np.sin(azimuth),
            np.sin(elevation),
        ],
        axis=1,
    )
    cloud = PointCloud(xyz.astype(np.float32), {})
    sweep = LabelledPoints(cloud, np.zeros(len(xyz), np.uint8), np.ones(len(xyz), np.float32))
    for seed in range(10):
        kept = DropBeams(1.0, np.deg2rad(26.8 / 64))(sweep, np.random.default_rng(seed))
        z, counts = np.unique(np.round(kept.cloud.xyz[:, 2], 3), return_counts=True)
        assert len(z) in (
            len(elevations) // 4,
            len(elevations) // 4 + 1,
            len(elevations) // 2,
            len(elevations) // 2 + 1,
        )
        assert (counts >= len(azimuths)).all()


def test_jitter_intensity_stays_in_range_and_passes_clouds_without_intensity(points):
    changed = JitterIntensity(0.5, 0.0)(points, np.random.default_rng(0))
    intensity = changed.cloud.channels["intensity"]
    assert intensity.min() >= 0.0
    assert intensity.max() <= 1.0
    assert (intensity != points.cloud.channels["intensity"]).any()
    bare = LabelledPoints(PointCloud(points.cloud.xyz), points.labels, points.weights)
    assert JitterIntensity(0.5, 0.0)(bare, np.random.default_rng(0)) is bare


def test_supervised_sector_keeps_all_labelled_points_and_the_margin(points):
    azimuth = np.arctan2(points.cloud.xyz[:, 1], points.cloud.xyz[:, 0])
    labels = np.where(np.abs(azimuth) < 0.6, points.labels, UNKNOWN).astype(np.uint8)
    sweep = LabelledPoints(points.cloud, labels, points.weights)
    kept = supervised_sector(sweep, margin=0.2)
    kept_azimuth = np.abs(np.arctan2(kept.cloud.xyz[:, 1], kept.cloud.xyz[:, 0]))
    assert (kept.labels != UNKNOWN).sum() == (labels != UNKNOWN).sum()
    assert kept_azimuth.max() == pytest.approx(0.8, abs=0.15)
    assert len(kept) == (np.abs(azimuth) <= kept_azimuth.max()).sum()


def test_supervised_sector_of_a_sweep_without_labels_is_the_sweep(points):
    labels = np.full(len(points), UNKNOWN, np.uint8)
    sweep = LabelledPoints(points.cloud, labels, points.weights)
    assert supervised_sector(sweep, margin=0.2) is sweep


def test_random_sector_forgets_the_labels_outside_a_quarter_turn(points):
    azimuth = np.arctan2(points.cloud.xyz[:, 1], points.cloud.xyz[:, 0])
    kept = np.zeros(len(points), bool)
    for seed in range(60):
        result = random_sector(points, np.random.default_rng(seed))
        assert result.cloud is points.cloud
        known = result.labels != UNKNOWN
        assert known.mean() == pytest.approx(0.25, abs=0.03)
        around = np.sort(azimuth[known])
        gap = np.diff(around, append=around[0] + 2 * np.pi).max()
        assert 2 * np.pi - gap <= np.pi / 2 + 1e-5
        assert (result.labels[known] == points.labels[known]).all()
        assert (result.weights[known] == points.weights[known]).all()
        assert (result.weights[~known] == 0).all()
        kept |= known
    assert kept.all()


def test_random_sector_leaves_labels_that_reach_no_wider(points):
    azimuth = np.arctan2(points.cloud.xyz[:, 1], points.cloud.xyz[:, 0])
    labels = np.where(np.abs(azimuth) < 0.7, points.labels, UNKNOWN).astype(np.uint8)
    narrow = LabelledPoints(points.cloud, labels, points.weights)
    assert random_sector(narrow, np.random.default_rng(0)) is narrow
    none = LabelledPoints(points.cloud, np.full_like(labels, UNKNOWN), points.weights)
    assert random_sector(none, np.random.default_rng(0)) is none


def test_compose_applies_its_steps_in_order(points):
    rng = np.random.default_rng(3)
    expected = Flip()(Scale(0.9, 1.1)(points, rng), rng)
    result = Compose([Scale(0.9, 1.1), Flip()])(points, np.random.default_rng(3))
    np.testing.assert_array_equal(result.cloud.xyz, expected.cloud.xyz)


@pytest.mark.parametrize("augmentation", [Rotate(np.pi), Flip(), Mount(0.2, 0.02)])
def test_normals_turn_with_their_points(points, augmentation):
    """Normals that are the points' own directions must stay so."""
    xyz = points.cloud.xyz
    channels = {f"normal_{axis}": xyz[:, k] / 50 for k, axis in enumerate("xyz")}
    cloud = PointCloud(xyz, channels)
    turned = augmentation(
        LabelledPoints(cloud, points.labels, points.weights), np.random.default_rng(3)
    )
    normals = np.stack([turned.cloud.channels[name] for name in channels], axis=1)
    offset = turned.cloud.xyz - 50 * normals
    np.testing.assert_allclose(offset - offset[0], 0, atol=1e-4)  # all moved alike
    assert np.abs(normals - xyz / 50).max() > 0.01
    np.testing.assert_array_equal(cloud.channels["normal_x"], xyz[:, 0] / 50)
