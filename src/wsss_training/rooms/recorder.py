"""Walks a camera through a scene: scene in, posed colour and depth images out."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsss_perception.geometry import Camera, Matrix
from wsss_training.rooms.depth import measure_depth
from wsss_training.rooms.render import Palette, render
from wsss_training.rooms.scene import RoomScene
from wsss_training.rooms.settings import CameraSettings
from wsss_training.rooms.walk import draw_walk
from wsss_training.world.camera import pixel_rays
from wsss_training.world.objects.meshes import rotation
from wsss_training.world.tracer import MISS, Geometry


@dataclass(frozen=True)
class Frame:
    """What the camera took from one place.

    Attributes:
        pixels: uint8 [H, W, 3].
        depth: uint16 [H, W], millimetres along the optical axis, 0 where unknown.
        T_world_camera: [4, 4], the pose as it is known, not quite the true one.
    """

    pixels: NDArray[np.uint8]
    depth: NDArray[np.uint16]
    T_world_camera: Matrix


def camera_of(size: tuple[int, int], settings: CameraSettings) -> Camera:
    """Returns the intrinsics of images of a width and height; colour and depth share them."""
    width, height = size
    focal = width / 2 / np.tan(np.deg2rad(settings.field_of_view) / 2)
    matrix = [[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]]
    return Camera(width, height, np.array(matrix))


def record(
    scene: RoomScene,
    geometry: Geometry,
    palette: Palette,
    frames: int,
    camera: Camera,
    settings: CameraSettings,
) -> Iterator[Frame]:
    """Takes the frames of a walk, one after the other."""
    walk = draw_walk(scene, frames, settings, np.random.default_rng([scene.seed, 21]))
    shape = (camera.height, camera.width)
    for number, T_room_camera in enumerate(walk):
        generator = np.random.default_rng([scene.seed, 22, number])
        rays = pixel_rays(camera, T_room_camera)
        hits = geometry.cast(rays)
        axial = rays[:, 3:] @ T_room_camera[:3, 2].astype(np.float32)
        cosine = np.abs((rays[:, 3:] * hits.normal).sum(axis=1))
        lost = np.where(hits.surface == MISS, 1, palette.lost[hits.surface])
        true, cosine, lost = (
            column.reshape(shape) for column in (hits.distance * axial, cosine, lost)
        )
        depth = measure_depth(true, cosine, lost, settings, generator)
        pixels = render(geometry, palette, scene, rays, hits, shape, generator)
        known = T_room_camera @ _slip(settings.pose_noise, generator)
        yield Frame(pixels, depth, scene.T_world_room @ known)


def _slip(noise: tuple[float, float], generator: np.random.Generator) -> Matrix:
    """A small motion [4, 4]: the error of a pose."""
    slip = np.eye(4)
    slip[:3, :3] = rotation(*np.deg2rad(generator.normal(0, noise[1] / np.sqrt(3), 3)))
    slip[:3, 3] = generator.normal(0, noise[0] / np.sqrt(3), 3)
    return slip
