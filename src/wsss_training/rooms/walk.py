"""A hand-held camera's way through the rooms: where a person can stand, looking around."""

import numpy as np
from numpy.typing import NDArray

from wsss_perception.geometry import Matrix
from wsss_training.rooms.scene import RoomScene, Space
from wsss_training.rooms.settings import CameraSettings
from wsss_training.world.objects.meshes import rotation

_OPTICAL = np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]], dtype=np.float64)
_GRID = 0.08  # metres between places that are looked at


def draw_walk(
    scene: RoomScene, frames: int, settings: CameraSettings, generator: np.random.Generator
) -> NDArray[np.float64]:
    """Draws the camera's poses.

    Args:
        scene: the rooms.
        frames: how many.
        settings: of the camera.
        generator: of the walk.

    Returns:
        T_room_camera [frames, 4, 4] of the optical frame, in the order they are taken; none is in
        a thing, or closer to one than half the clearance where the room allows that.
    """
    areas = np.array([space.area() for space in scene.spaces])
    counts = np.diff(np.rint(frames * np.cumsum([0, *areas]) / areas.sum()).astype(int))
    poses = [
        pose
        for space, count in zip(scene.spaces, counts, strict=True)
        for pose in _walk_in(space, scene.boxes, int(count), settings, generator)
    ]
    return np.array(poses).reshape(-1, 4, 4)


def _walk_in(
    space: Space,
    boxes: NDArray[np.float64],
    count: int,
    settings: CameraSettings,
    generator: np.random.Generator,
) -> list[Matrix]:
    if not count:
        return []
    low, high = np.array(space.low), np.array(space.high)
    middle, half = (low + high) / 2, (high - low) / 2
    start, turns = generator.uniform(0, 2 * np.pi), generator.choice([-1, 1])
    way = start + turns * 2 * np.pi * np.arange(count) / count
    bend = generator.uniform(0.25, 0.8, 2)[:, None] * (1 + 0.15 * generator.normal(size=(2, count)))
    wanted = middle + np.column_stack([np.cos(way), np.sin(way)]) * half * bend.T
    heights = generator.uniform(*settings.height) + generator.normal(0, 0.06, count)
    heights = np.clip(heights, *settings.height)
    places = _free_places(space, boxes, settings)
    nearest = ((wanted[:, None] - places) ** 2).sum(axis=2).argmin(axis=1)
    at = places[nearest]
    yaw, pitch = _gaze(at, low, high, settings, generator)
    things = _looks(at, heights, _inside(boxes, low, high), generator)
    drawn = generator.random(count) < settings.interest
    yaw, pitch = np.where(drawn & np.isfinite(things), things, [yaw, pitch])
    roll = np.deg2rad(generator.normal(0, settings.roll, count))
    poses = []
    for (x, y), z, turn in zip(at, heights, np.stack([roll, pitch, yaw], axis=1), strict=True):
        pose = np.eye(4)
        pose[:3, :3] = rotation(*turn) @ _OPTICAL
        pose[:3, 3] = x, y, z
        poses.append(pose)
    return poses


def _gaze(
    at: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    settings: CameraSettings,
    generator: np.random.Generator,
) -> NDArray[np.float64]:
    """Yaw and pitch [2, N] across the room from places [N, 2]; sometimes at the wall nearby."""
    middle, half = (low + high) / 2, (high - low) / 2
    yaw = np.arctan2(*(middle - at).T[::-1]) + generator.normal(0, 0.6, len(at))
    yaw += np.pi * (generator.random(len(at)) < 0.1)
    steeper = np.clip(1.5 / half.min(), 1, 1.4)  # where all that is to be seen is close
    return np.stack([yaw, -np.deg2rad(generator.uniform(*settings.pitch, len(at))) * steeper])


def _looks(
    at: NDArray[np.float64],
    heights: NDArray[np.float64],
    boxes: NDArray[np.float64],
    generator: np.random.Generator,
) -> NDArray[np.float64]:
    """Yaw and pitch [2, N] from places at heights to any of the boxes; NaN where there are none."""
    if not len(boxes):
        return np.full((2, len(at)), np.nan)
    targets = boxes.mean(axis=1)[generator.integers(len(boxes), size=len(at))]
    way = targets[:, :2] - at
    down = np.arctan2(heights - targets[:, 2], np.linalg.norm(way, axis=1))
    noise = generator.normal(0, 0.12, (2, len(at)))
    return np.stack([np.arctan2(way[:, 1], way[:, 0]), np.clip(down, -0.4, 1.0)]) + noise


def _inside(
    boxes: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]
) -> NDArray[np.float64]:
    middle = boxes[:, :, :2].mean(axis=1)
    return boxes[((middle > low) & (middle < high)).all(axis=1)]


def _free_places(
    space: Space, boxes: NDArray[np.float64], settings: CameraSettings
) -> NDArray[np.float64]:
    """Places [P, 2] that keep a distance from walls and from what is as tall as the camera.

    The distance is twice the clearance where there is room enough, and half of it, or as much as
    there is, where there is hardly any.
    """
    low, high = np.array(space.low), np.array(space.high)
    axes = [np.arange(a + _GRID, b, _GRID) for a, b in zip(low, high, strict=True)]
    places = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    reach = settings.clearance
    tall = boxes[boxes[:, 1, 2] > settings.height[0] - reach]
    tall = tall[tall[:, 0, 2] < settings.height[1] + reach, :, :2]
    gaps = np.minimum(places - low, high - places).min(axis=1)
    beyond = np.maximum(tall[:, 0] - places[:, None], places[:, None] - tall[:, 1]).max(axis=2)
    gaps = np.minimum(gaps, beyond.min(axis=1, initial=np.inf))
    for factor, enough in ((2.0, 12), (1.0, 4), (0.5, 1)):
        free = places[gaps > factor * reach]
        if len(free) >= enough:
            return free
    return places[[gaps.argmax()]]
