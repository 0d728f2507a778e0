from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsss_perception.geometry import invert
from wsss_training.world import camera as cameras
from wsss_training.world.objects.shapes import box
from wsss_training.world.scene import Actor, Part, Scene, Surface
from wsss_training.world.settings import CameraSettings

SMALL = CameraSettings("front", [0.5, 0.2, 1.5], 10.0, 64, 48, 50.0, [31.0, 25.0], 0.0)
GROUND = Surface("road", "road", (0.3, 0.3, 0.3))
WALL = Surface("building", "building", (0.6, 0.2, 0.1))


@given(st.floats(-180, 180), st.integers(0, 63), st.integers(0, 47), st.floats(1, 60))
def test_pixel_rays_go_through_their_pixels(
    yaw: float, column: int, row: int, distance: float
) -> None:
    settings = replace(SMALL, yaw=yaw)
    camera, T_world_camera = cameras.intrinsics(settings), cameras.mounting(settings)
    ray = cameras.pixel_rays(camera, T_world_camera)[row * 64 + column].astype(np.float64)
    point = np.append(ray[:3] + distance * ray[3:], 1.0)
    uv, inside = camera.project((invert(T_world_camera) @ point)[None, :3])
    assert inside[0]
    assert uv[0] == pytest.approx([column, row], abs=0.01)


def test_camera_looks_where_its_yaw_says() -> None:
    left = cameras.mounting(replace(SMALL, yaw=90.0))
    assert left[:3, 2] == pytest.approx([0, 1, 0])  # forward
    assert left[:3, 1] == pytest.approx([0, 0, -1])  # down


def shoot(sun_height: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An image of a wall on a plane, the sun behind the wall: pixels, classes, regions."""
    from wsss_training.world.tracer import Tracer

    ground = Actor("ground", (Part(box((90, 90, 1), (0, 0, -0.5)), GROUND),), (0, 0, 0, 0))
    wall = Actor("house", (Part(box((1, 8, 4), (14.5, 0, 2)), WALL),), (0, 0, 0, 0))
    scene = Scene(0, "city", (ground, wall), lambda seconds: np.eye(4))
    tracer = Tracer(scene)
    settings = replace(SMALL, yaw=0.0, position=[0.0, 0.0, 1.5])
    camera = cameras.intrinsics(settings)
    rays = cameras.pixel_rays(camera, cameras.mounting(settings))
    hits = tracer.cast(rays, 0.0)
    sun = np.float32([np.cos(sun_height), 0, np.sin(sun_height)])
    light = replace(
        cameras.draw_light(np.random.default_rng(0)), sun=sun, sunlight=np.float32([2, 2, 2])
    )
    pixels = cameras.render(tracer, rays, hits, light, 0.0, (48, 64), np.random.default_rng(0))
    return pixels, *cameras.true_maps(hits, tracer.surfaces, (48, 64))


def test_maps_tell_sky_wall_and_ground() -> None:
    pixels, classes, regions = shoot(0.5)
    assert pixels.shape == (48, 64, 3)
    assert pixels.dtype == np.uint8
    assert (classes[0, 32], classes[24, 32], classes[47, 32]) == (10, 2, 0)
    assert (regions == -1).sum() == (classes == 10).sum() > 0
    assert len(np.unique(regions)) == 3


def test_wall_casts_a_shadow_towards_the_camera() -> None:
    (low, classes, _), (high, _, _) = shoot(0.4), shoot(1.5)
    shadow = (slice(33, 36), slice(30, 33))  # ground 8 to 10 m ahead
    assert (classes[shadow] == 0).all()
    assert low[shadow].mean() < 0.7 * high[shadow].mean()


def test_days_differ() -> None:
    lights = [cameras.draw_light(np.random.default_rng(seed)) for seed in range(20)]
    assert np.std([light.sunlight.mean() for light in lights]) > 0.2
    assert all(light.sun @ light.sun == pytest.approx(1.0) for light in lights)
    assert all(light.sun[2] > 0.2 for light in lights)
