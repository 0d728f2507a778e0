"""A spinning LiDAR: beams, the vehicle's motion during a turn, noise, lost pulses, intensity."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsss_perception.frame import PointCloud
from wsss_perception.geometry import Matrix, invert, transform_points
from wsss_training.world.scene import Scene
from wsss_training.world.settings import LidarSettings
from wsss_training.world.tracer import MISS, Hits, Surfaces, Tracer

_MIN_RANGE = 1.8
_HALF_LOST = 0.0022  # arriving light, as of ``_signal``, at which half the pulses are lost
_HALF_FAINT = 0.01  # at which half of the others have intensity 0
_NEVER_LOST = 0.99  # share of the pulses that no accident takes
_ROUGHNESS = 0.45  # share of the intensity that does not depend on the angle


@dataclass(frozen=True)
class LidarSweep:
    """A turn of the LiDAR.

    Attributes:
        cloud: points in the LiDAR frame at the sweep's stamp; intensity and ring.
        surface: int32 [N], the surface each point is on.
    """

    cloud: PointCloud
    surface: NDArray[np.int32]


def beam_elevations(settings: LidarSettings) -> NDArray[np.float64]:
    """Elevation of every beam [B], radians, from the top down."""
    groups = [np.linspace(first, last, int(count)) for first, last, count in settings.elevations]
    return np.deg2rad(np.concatenate(groups))


def mounting(settings: LidarSettings) -> Matrix:
    """``T_ego_lidar`` [4, 4]."""
    pose = np.eye(4)
    pose[:3, 3] = settings.position
    return pose


def record_sweep(
    scene: Scene,
    tracer: Tracer,
    settings: LidarSettings,
    seconds: float,
    stamp: int,
    generator: np.random.Generator,
    gain: float = 1.0,
) -> LidarSweep:
    """Records one turn, which is centred on the stamp and starts behind the vehicle.

    Actors stand still during a turn; the vehicle does not, and its motion is corrected for.

    Args:
        scene: the world.
        tracer: casts the rays.
        settings: the sensor.
        seconds: time of the stamp in the scene.
        stamp: the same time in nanoseconds.
        generator: draws noise and lost pulses.
        gain: factor on intensities; differs between sensors.
    """
    rays, rings = _rays(scene, settings, seconds)
    hits = tracer.cast(rays, seconds)
    kept = _returns(rays, hits, tracer.surfaces, settings, generator)
    surface = hits.surface[kept]
    noise = generator.normal(0, settings.noise, len(kept)).astype(np.float32)
    distance = (hits.distance[kept] + noise)[:, None]
    world = rays[kept, :3] + distance * rays[kept, 3:]
    T_world_lidar = scene.vehicle(seconds) @ mounting(settings)
    xyz = transform_points(invert(T_world_lidar), world.astype(np.float64))
    intensity = _intensity(rays, hits, kept, tracer.surfaces, gain, generator)
    channels = {"intensity": intensity, "ring": rings[kept]}
    return LidarSweep(PointCloud(xyz.astype(np.float32), channels, stamp, settings.name), surface)


def _rays(
    scene: Scene, settings: LidarSettings, seconds: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Rays [B * C, 6] in the world, beam by beam, and their rings [B * C]."""
    elevation = beam_elevations(settings)
    turn = (np.arange(settings.columns) + 0.5) / settings.columns
    azimuth = np.pi - 2 * np.pi * turn  # clockwise, from behind
    level = np.stack([np.cos(azimuth), np.sin(azimuth)], axis=-1)
    flat = np.cos(elevation)[:, None, None] * level[None]
    rise = np.broadcast_to(np.sin(elevation)[:, None, None], (*flat.shape[:2], 1))
    directions = np.concatenate([flat, rise], axis=-1)  # [B, C, 3]
    poses = _poses_during_turn(scene, settings, seconds, turn)
    turned = np.einsum("cij,bcj->bci", poses[:, :3, :3], directions)
    origins = np.broadcast_to(poses[:, :3, 3], turned.shape)
    rays = np.concatenate([origins, turned], axis=-1).reshape(-1, 6)
    return rays.astype(np.float32), np.repeat(np.arange(len(elevation)), settings.columns).astype(
        np.float32
    )


def _poses_during_turn(
    scene: Scene, settings: LidarSettings, seconds: float, turn: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Poses of the LiDAR [C, 4, 4]: those of a few moments, in between linear."""
    moments = np.linspace(0, 1, 9)
    times = seconds + (moments - 0.5) * settings.period
    known = np.stack([scene.vehicle(t) @ mounting(settings) for t in times])
    index = np.clip(np.searchsorted(moments, turn) - 1, 0, len(moments) - 2)
    part = ((turn - moments[index]) / np.diff(moments)[index])[:, None, None]
    return known[index] * (1 - part) + known[index + 1] * part


def _signal(
    rays: NDArray[np.float32], hits: Hits, index: NDArray[np.int64], surfaces: Surfaces
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Light that comes back from some hits [M]: near the sensor, and as it arrives."""
    cosine = np.abs(np.einsum("mk,mk->m", rays[index, 3:], hits.normal[index]))
    reflectance = surfaces.reflectance[hits.surface[index]]
    sent_back = reflectance * (_ROUGHNESS + (1 - _ROUGHNESS) * cosine)
    return sent_back, reflectance * cosine / (hits.distance[index] / 10) ** 2


def _returns(
    rays: NDArray[np.float32],
    hits: Hits,
    surfaces: Surfaces,
    settings: LidarSettings,
    generator: np.random.Generator,
) -> NDArray[np.int64]:
    """Indices of the pulses that come back strong enough."""
    near = (hits.surface != MISS) & (hits.distance < settings.max_range)
    index = np.flatnonzero(near & (hits.distance > _MIN_RANGE))
    _, arriving = _signal(rays, hits, index, surfaces)
    weak = _HALF_LOST / (_HALF_LOST + arriving)
    lost = 1 - (1 - weak) * (1 - surfaces.lost[hits.surface[index]]) * _NEVER_LOST
    return index[generator.random(len(index)) >= lost]


def _intensity(
    rays: NDArray[np.float32],
    hits: Hits,
    kept: NDArray[np.int64],
    surfaces: Surfaces,
    gain: float,
    generator: np.random.Generator,
) -> NDArray[np.float32]:
    """Intensities 0..0.99: corrected for range, and 0 for some of the weakest pulses."""
    sent_back, arriving = _signal(rays, hits, kept, surfaces)
    value = gain * sent_back * np.exp(generator.normal(0, 0.2, len(kept)))
    value += generator.normal(0, 0.03, len(kept))
    faint = _HALF_FAINT / (_HALF_FAINT + arriving)
    value[generator.random(len(kept)) < faint] = 0.0
    return np.clip(np.round(value * 100) / 100, 0, 0.99).astype(np.float32)
