"""Seed in, recorded scene out: frames, camera and labelled mesh."""

from dataclasses import dataclass

from wsss_perception.geometry import Camera
from wsss_training.rooms.recorder import Frame, camera_of, record
from wsss_training.rooms.render import Palette
from wsss_training.rooms.room import draw_room
from wsss_training.rooms.settings import RoomSettings
from wsss_training.rooms.surface import LabelledMesh, fuse, label
from wsss_training.world.tracer import Geometry


@dataclass(frozen=True)
class RoomRecording:
    """What is written of a scene.

    Attributes:
        frames: in the order they were taken.
        camera: of all of them.
        mesh: fused of them, labelled.
    """

    frames: tuple[Frame, ...]
    camera: Camera
    mesh: LabelledMesh


def simulate(
    seed: int, settings: RoomSettings, frames: int, size: tuple[int, int], threads: int = 0
) -> RoomRecording:
    """Records the scene of a seed.

    Args:
        seed: of everything in it.
        settings: of rooms and camera.
        frames: how many to take.
        size: width and height of the images, pixels.
        threads: of the ray caster; 0 for all cores.
    """
    scene = draw_room(seed, settings)
    geometry = Geometry(list(scene.actors), 0.0, 0, threads)
    palette = Palette(scene)
    camera = camera_of(size, settings.camera)
    taken = tuple(record(scene, geometry, palette, frames, camera, settings.camera))
    mesh = fuse(taken, camera, settings.spacing)
    return RoomRecording(taken, camera, label(mesh, geometry, palette, scene.T_world_room))
