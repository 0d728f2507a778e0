import numpy as np
import pytest

from wsss_training.rooms.depth import measure_depth
from wsss_training.rooms.settings import load_room_settings

CAMERA = load_room_settings().camera
SHAPE = (90, 120)


def measure(depth: np.ndarray, cosine: float = 1.0, lost: float = 0.0) -> np.ndarray:
    """Measured metres [H, W], NaN where there is a hole."""
    columns = (depth.astype(np.float32), *(np.full(SHAPE, v, np.float32) for v in (cosine, lost)))
    counts = measure_depth(*columns, CAMERA, np.random.default_rng(3))
    assert counts.dtype == np.uint16
    return np.where(counts > 0, counts / 1000, np.nan)


@pytest.mark.parametrize(("distance", "noise"), [(1.0, 0.002), (2.5, 0.0095), (4.0, 0.027)])
def test_noise_grows_with_distance(distance: float, noise: float) -> None:
    error = measure(np.full(SHAPE, distance)) - distance
    assert np.nanstd(error) == pytest.approx(noise, rel=0.3)
    assert abs(np.nanmean(error)) < noise
    assert np.isnan(error).mean() < 0.2


def test_nothing_is_measured_too_near_too_far_or_outside() -> None:
    for depth in (0.2, 6.0, np.inf):
        assert np.isnan(measure(np.full(SHAPE, depth))).all()


def test_glass_and_grazing_surfaces_have_holes() -> None:
    wall = np.full(SHAPE, 2.0)
    assert np.isnan(measure(wall, lost=0.5)).mean() == pytest.approx(0.5, abs=0.2)
    assert np.isnan(measure(wall, cosine=0.02)).mean() > 0.7
    assert np.isnan(measure(wall, cosine=0.6)).mean() < 0.05


def test_edges_are_ragged() -> None:
    depth = np.full(SHAPE, 1.0)
    depth[:, 60:] = 2.0
    holes = np.isnan(measure(depth))
    assert holes[:, 59:61].mean() > 0.3
    assert holes[:, 5:55].mean() < 0.05
