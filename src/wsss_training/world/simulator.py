"""Drives a vehicle with its sensors through a scene: seed in, recording out."""

from collections.abc import Iterator

import numpy as np

from wsss_perception.errors import ConfigError
from wsss_training.world import camera as cameras
from wsss_training.world import lidar
from wsss_training.world.camera import Light
from wsss_training.world.recording import Recording, Shot, Sweep
from wsss_training.world.scene import Scene
from wsss_training.world.settings import CameraSettings, RigSettings, WorldSettings
from wsss_training.world.street import draw_scene
from wsss_training.world.tracer import Tracer

LONGEST_DRIVE = 60.0
"""Seconds; the path is as short as ``driving.yaml`` says, so that long drives are slow ones."""

_BETWEEN_SCENES = 100_000_000_000  # nanoseconds from the start of one scene to that of the next
_MARGIN = 0.2  # seconds that the vehicle is known before the first and after the last sweep


def simulate(
    name: str,
    seed: int,
    world: WorldSettings,
    rig: RigSettings,
    sweeps: int,
    interval: float | None = None,
    threads: int = 0,
) -> Recording:
    """Records a drive through the scene of a seed.

    Args:
        name: of the scene.
        seed: of everything in it.
        world: the world's settings.
        rig: the vehicle's sensors.
        sweeps: how many to record.
        interval: between them, seconds; the rig's own by default.
        threads: of the ray caster; 0 for all cores.

    Raises:
        ConfigError: the interval is not positive, or the drive too long.
    """
    step = check_drive(rig, sweeps, interval)
    return Recording(name, _record(seed, world, rig, sweeps, step, threads), sweeps)


def check_drive(rig: RigSettings, sweeps: int, interval: float | None) -> float:
    """Returns the seconds between sweeps.

    Raises:
        ConfigError: the interval is not positive, or the drive too long.
    """
    step = rig.interval if interval is None else interval
    if not 0 < step < np.inf or sweeps * step > LONGEST_DRIVE:
        raise ConfigError(
            f"{sweeps} sweeps every {step} s: the interval must be positive, and a drive at most "
            f"{LONGEST_DRIVE:.0f} s long"
        )
    return step


def _record(
    seed: int, world: WorldSettings, rig: RigSettings, sweeps: int, interval: float, threads: int
) -> Iterator[Sweep]:
    scene = draw_scene(seed, world, sweeps * interval + _MARGIN)
    tracer = Tracer(scene, threads)
    ground = np.array([actor.kind == "ground" for actor in scene.actors])
    weather = np.random.default_rng([scene.seed, 1])
    light = cameras.draw_light(weather)
    gain = float(np.exp(weather.normal(0, 0.15)))
    start = scene.seed * _BETWEEN_SCENES
    for number in range(sweeps):
        generator = np.random.default_rng([scene.seed, 2, number])
        seconds = number * interval
        stamp = start + round(seconds * 1e9)
        sweep = lidar.record_sweep(scene, tracer, rig.lidar, seconds, stamp, generator, gain)
        actor = tracer.surfaces.actor[sweep.surface]
        yield Sweep(
            sweep.cloud,
            tracer.surfaces.label[sweep.surface],
            np.where(ground[actor], 0, actor + 1).astype(np.int32),
            lidar.mounting(rig.lidar),
            scene.vehicle(seconds),
            tuple(_shoot(scene, tracer, light, c, seconds, start, generator) for c in rig.cameras),
        )


def _shoot(
    scene: Scene,
    tracer: Tracer,
    light: Light,
    settings: CameraSettings,
    seconds: float,
    start: int,
    generator: np.random.Generator,
) -> Shot:
    """Takes one camera's image."""
    exposed = seconds + settings.delay
    camera = cameras.intrinsics(settings)
    T_ego_camera, T_world_ego = cameras.mounting(settings), scene.vehicle(exposed)
    rays = cameras.pixel_rays(camera, T_world_ego @ T_ego_camera)
    hits = tracer.cast(rays, exposed)
    shape = (camera.height, camera.width)
    classes, regions = cameras.true_maps(hits, tracer.surfaces, shape)
    pixels = cameras.render(tracer, rays, hits, light, exposed, shape, generator)
    stamp = start + round(exposed * 1e9)
    return Shot(settings.name, camera, T_ego_camera, T_world_ego, stamp, pixels, classes, regions)
