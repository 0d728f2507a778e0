"""Hand-made recordings: a red box beside the road, driven past on a bend."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from wsss_perception.frame import UNKNOWN, PointCloud
from wsss_perception.geometry import Camera, make_transform
from wsss_perception.ontology import load_ontology
from wsss_training.world.recording import Recording, Shot, Sweep

START = 5_000_000_000
PERIOD = 100_000_000
WIDTH, HEIGHT = 64, 48
RED = (220, 20, 20)
LOOKING_AHEAD = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
T_EGO_LIDAR = make_transform([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]], [0.5, 0.25, 1.75])
"""The LiDAR's x looks to the vehicle's left."""


def turned(yaw: float) -> np.ndarray:
    """Rotation [3, 3] about z."""
    cos, sin = np.cos(yaw), np.sin(yaw)
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])


def ego_pose(stamp: int) -> np.ndarray:
    """Where the vehicle is: 10 m/s along a bend, on a slope."""
    time = (stamp - START) * 1e-9
    return make_transform(turned(0.3 + 0.5 * time), [40 + 10 * time, -7 + 3 * time, 0.2 * time])


def mounting(yaw: float, place: tuple[float, float, float]) -> np.ndarray:
    """T_ego_camera of a camera that looks that way."""
    return make_transform(turned(yaw) @ LOOKING_AHEAD, place)


def take_shot(name: str, T_ego_camera: np.ndarray, stamp: int, box: np.ndarray) -> Shot:
    """Draws the box's points [N, 3] as red spots of 5 x 5 pixels on black."""
    camera = Camera(WIDTH, HEIGHT, np.array([[40.0, 0, 31.5], [0, 42, 23.5], [0, 0, 1]]))
    points = (
        np.linalg.inv(ego_pose(stamp) @ T_ego_camera) @ np.column_stack([box, box[:, 0] ** 0]).T
    )
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    x, y, z = points[:3, points[2] > 0.1]
    for column, row in zip(40 * x / z + 31.5, 42 * y / z + 23.5, strict=True):
        if -0.5 <= column < WIDTH - 0.5 and -0.5 <= row < HEIGHT - 0.5:
            top, left = max(round(row) - 2, 0), max(round(column) - 2, 0)
            pixels[top : round(row) + 3, left : round(column) + 3] = RED
    seen = pixels[..., 0] > 0
    classes = np.where(seen, load_ontology("cityscapes").index("car"), UNKNOWN).astype(np.uint8)
    regions = np.where(seen, 0, -1).astype(np.int32)
    return Shot(name, camera, T_ego_camera, ego_pose(stamp), stamp, pixels, classes, regions)


def take_sweep(
    rng: np.random.Generator, stamp: int, cameras: dict[str, np.ndarray], delay: int
) -> Sweep:
    """Sweeps the box (a car's label) 8 m ahead of the start, and ground (unscored or road)."""
    box = rng.uniform([-1, -1, 0], [1, 1, 2], (200, 3)) + (ego_pose(START) @ [9, 0, 0, 1])[:3]
    ground = (
        np.column_stack([rng.uniform(-20, 20, (100, 2)), np.zeros(100)]) + ego_pose(START)[:3, 3]
    )
    world = np.concatenate([box, ground])
    T_lidar_world = np.linalg.inv(ego_pose(stamp) @ T_EGO_LIDAR)
    xyz = (np.column_stack([world, np.ones(300)]) @ T_lidar_world.T)[:, :3].astype(np.float32)
    channels = {
        "intensity": rng.uniform(0, 1, 300).astype(np.float32),
        "ring": rng.integers(0, 32, 300).astype(np.float32),
    }
    classes = load_ontology("semantic_kitti")
    labels = np.repeat([classes.index("car"), classes.index("road"), UNKNOWN], [200, 60, 40])
    shots = tuple(
        take_shot(name, T_ego_camera, stamp + k * delay, box)
        for k, (name, T_ego_camera) in enumerate(cameras.items(), start=1)
    )
    return Sweep(
        PointCloud(xyz, channels, stamp),
        labels.astype(np.uint8),
        np.repeat([7, 0], [200, 100]).astype(np.int32),
        T_EGO_LIDAR,
        ego_pose(stamp),
        shots,
    )


@pytest.fixture
def sweeps() -> Callable[..., list[Sweep]]:
    """Makes the three sweeps of a drive; images are taken ``delay`` ns apart, after the sweep."""

    def make(cameras: dict[str, np.ndarray], delay: int = 0, seed: int = 0) -> list[Sweep]:
        rng = np.random.default_rng(seed)
        return [take_sweep(rng, START + k * PERIOD, cameras, delay) for k in range(3)]

    return make


@pytest.fixture
def ahead() -> dict[str, np.ndarray]:
    """A rig of two parallel cameras that look 0.05 rad off the vehicle's axis."""
    return {"CAM_A": mounting(0.05, (1.5, 0.2, 1.5)), "CAM_B": mounting(0.05, (1.4, -0.3, 1.6))}


@pytest.fixture
def around() -> dict[str, np.ndarray]:
    """A rig of two cameras, left and right of ahead."""
    return {
        "CAM_FRONT_LEFT": mounting(0.2, (1.5, 0.3, 1.5)),
        "CAM_FRONT_RIGHT": mounting(-0.2, (1.5, -0.3, 1.5)),
    }


@pytest.fixture
def recording() -> Callable[..., Recording]:
    """Makes a recording of sweeps; ``stops`` makes its simulator fail after them."""

    def make(name: str, sweeps: list[Sweep], stops: bool = False) -> Recording:
        def run() -> Iterator[Sweep]:
            yield from sweeps
            if stops:
                raise KeyboardInterrupt

        return Recording(name, run(), len(sweeps))

    return make


@pytest.fixture
def red_share() -> Callable[..., float]:
    """Share of a sample's box points, of those in an image, that fall on its red pixels."""
    from wsss_training.data.sample import Sample

    def measure(sample: Sample, image_number: int) -> float:
        image = sample.images[image_number]
        T = image.T_camera_lidar
        box = sample.cloud.xyz[:200].astype(np.float64) @ T[:3, :3].T + T[:3, 3]
        uv, inside = image.camera.project(box)
        assert inside.sum() > 50
        column, row = np.floor(uv[inside] + 0.5).astype(int).T
        return float((image.load().image[row, column, 0] > 100).mean())

    return measure
