from dataclasses import replace

import numpy as np
import pytest

from wsss_training.world.lidar import LidarSweep, beam_elevations, record_sweep
from wsss_training.world.objects.shapes import box
from wsss_training.world.scene import Actor, Part, Scene, Surface
from wsss_training.world.settings import LidarSettings, load_world_settings

BRICK = Surface("building", "building", (0.5, 0.3, 0.2), reflectance=0.5)
SMALL = LidarSettings("velodyne", [0.0, 0.0, 2.0], [[4.0, -10.0, 8]], 360, 0.1, 50.0, 0.02)


def scan(
    surface: Surface, distance: float = 10.0, speed: float = 0.0, lidar: LidarSettings = SMALL
) -> LidarSweep:
    """Scans a square room of 20 m height whose walls are at a distance from the start."""
    from wsss_training.world.tracer import Tracer

    room = Part(box((2 * distance, 2 * distance, 20), (0, 0, 5)), surface)

    def vehicle(seconds: float) -> np.ndarray:
        pose = np.eye(4)
        pose[0, 3] = speed * seconds
        return pose

    scene = Scene(0, "city", (Actor("house", (room,), (0, 0, 0, 0)),), vehicle)
    return record_sweep(scene, Tracer(scene), lidar, 0.0, 7, np.random.default_rng(0))


def wall_errors(sweep: LidarSweep, distance: float = 10.0) -> np.ndarray:
    return np.abs(np.abs(sweep.cloud.xyz[:, :2]).max(axis=1) - distance)


def test_rigs_have_their_sensors_beams() -> None:
    rigs = load_world_settings().rigs
    hdl64, hdl32 = (beam_elevations(rigs[name].lidar) for name in ("kitti", "nuscenes"))
    assert (len(hdl64), len(hdl32)) == (64, 32)
    assert np.rad2deg([hdl64.max(), hdl64.min()]) == pytest.approx([2.0, -24.33])
    assert (np.diff(hdl64) < 0).all()
    assert (np.diff(hdl32) < 0).all()


def test_points_lie_on_the_walls_within_the_noise() -> None:
    sweep = scan(BRICK)
    assert len(sweep.cloud) > 0.9 * 8 * 360
    errors = wall_errors(sweep)
    assert errors.max() < 0.1
    assert 0.01 < np.sqrt((errors**2).mean()) < 0.03
    assert sweep.cloud.stamp == 7


def test_every_beam_has_its_elevation() -> None:
    cloud = scan(BRICK, lidar=replace(SMALL, noise=0.0)).cloud
    elevation = np.arctan2(cloud.xyz[:, 2], np.hypot(cloud.xyz[:, 0], cloud.xyz[:, 1]))
    expected = beam_elevations(SMALL)[cloud.channels["ring"].astype(int)]
    assert np.abs(elevation - expected).max() < 1e-3


def test_motion_during_the_turn_is_corrected() -> None:
    moving = wall_errors(scan(BRICK, speed=20.0))
    assert moving.max() < 0.1


def test_far_and_grazing_pulses_are_lost() -> None:
    near, far = scan(BRICK, 10.0), scan(BRICK, 30.0)
    assert len(far.cloud) < 0.95 * len(near.cloud)
    distances = np.linalg.norm(scan(BRICK, 48.0).cloud.xyz, axis=1)
    assert 48 < distances.max() < SMALL.max_range + 0.1


def test_glass_loses_its_share_of_pulses() -> None:
    ratio = len(scan(replace(BRICK, lost=0.6)).cloud) / len(scan(BRICK).cloud)
    assert ratio == pytest.approx(0.4, abs=0.05)


def test_intensity_tells_materials_apart() -> None:
    dark, bright = (
        scan(replace(BRICK, reflectance=value)).cloud.channels["intensity"] for value in (0.1, 0.5)
    )
    assert dark.min() >= 0
    assert bright.max() < 1
    assert np.median(bright) > 3 * np.median(dark)


def test_turn_starts_behind_and_goes_clockwise() -> None:
    cloud = scan(BRICK, lidar=replace(SMALL, noise=0.0)).cloud
    first = cloud.xyz[cloud.channels["ring"] == 0]
    azimuth = np.arctan2(first[:, 1], first[:, 0])
    assert azimuth[0] > 3.0
    assert (np.diff(azimuth) < 0).all()
