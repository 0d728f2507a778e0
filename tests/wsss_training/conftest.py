"""A log small enough to train on in seconds: a road between two walls, seen by one camera."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from wsegpc_runs import SHORT

from wsss_perception.bundle import Bundle
from wsss_perception.cli import main
from wsss_training.__main__ import COMMANDS
from wsss_training.config import load_config
from wsss_training.export import export_bundle
from wsss_training.training import train

WIDTH, HEIGHT, FOCAL = 160, 80, 80.0
T_CAMERA_LIDAR = np.array([[0.0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0]])
ROAD_RAW, BUILDING_RAW = 40, 50
ROAD_TEACHER, BUILDING_TEACHER, SKY_TEACHER = 0, 2, 10


@dataclass(frozen=True)
class MiniLog:
    """Folders of a SemanticKITTI tree and of a teacher's maps for it, and a config for both."""

    root: Path
    teacher: Path
    config: Path


def street(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Points [N, 4] of a street in the LiDAR frame and their raw labels [N]."""
    half_width = rng.uniform(4, 7)
    road = np.stack([rng.uniform(-30, 30, 1500), rng.uniform(-1, 1, 1500) * half_width], axis=1)
    road = np.column_stack([road, np.full(1500, -1.7), np.full(1500, 0.2)])
    side = rng.choice([-1.0, 1.0], 1500) * half_width
    wall = np.column_stack(
        [rng.uniform(-30, 30, 1500), side, rng.uniform(-1.5, 3, 1500), np.full(1500, 0.6)]
    )
    points = np.concatenate([road, wall]).astype(np.float32)
    return points, np.repeat([ROAD_RAW, BUILDING_RAW], 1500).astype(np.uint32)


def render(points: np.ndarray, raw: np.ndarray) -> np.ndarray:
    """What a perfect teacher says of each pixel, from the nearest point in each column's cell."""
    xyz = points[:, :3] @ T_CAMERA_LIDAR[:, :3].T
    ahead = xyz[:, 2] > 1
    uv = FOCAL * xyz[ahead, :2] / xyz[ahead, 2:] + [WIDTH / 2, HEIGHT / 2]
    labels = np.full((HEIGHT, WIDTH), SKY_TEACHER, np.uint8)
    column, row = np.round(uv).astype(int).T
    inside = (column >= 0) & (column < WIDTH) & (row >= 0) & (row < HEIGHT)
    teacher = np.where(raw[ahead] == ROAD_RAW, ROAD_TEACHER, BUILDING_TEACHER)
    for d_row in range(-2, 3):  # thicken: points are sparse, surfaces are not
        for d_column in range(-2, 3):
            r = np.clip(row[inside] + d_row, 0, HEIGHT - 1)
            c = np.clip(column[inside] + d_column, 0, WIDTH - 1)
            labels[r, c] = teacher[inside]
    return labels


@pytest.fixture(autouse=True)
def _same_numbers_whatever_ran_before() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def mini_log(tmp_path_factory: pytest.TempPathFactory) -> MiniLog:
    """Six sweeps of sequence 00 with labels, image_2 and a teacher's maps."""
    base = tmp_path_factory.mktemp("mini_log")
    rng = np.random.default_rng(0)
    sequence = base / "data" / "sequences" / "00"
    teacher = base / "teacher" / "sequences" / "00" / "image_2"
    for folder in ("velodyne", "labels", "image_2"):
        (sequence / folder).mkdir(parents=True)
    teacher.mkdir(parents=True)
    projection = [FOCAL, 0, WIDTH / 2, 0, 0, FOCAL, HEIGHT / 2, 0, 0, 0, 1, 0]
    lines = {"P2": projection, "Tr": T_CAMERA_LIDAR.ravel()}
    text = "".join(f"{key}: {' '.join(map(str, values))}\n" for key, values in lines.items())
    (sequence / "calib.txt").write_text(text)
    for number in range(6):
        points, raw = street(rng)
        (sequence / "velodyne" / f"{number:06d}.bin").write_bytes(points.tobytes())
        (sequence / "labels" / f"{number:06d}.label").write_bytes(raw.tobytes())
        image = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
        Image.fromarray(image).save(sequence / "image_2" / f"{number:06d}.png")
        Image.fromarray(render(points, raw)).save(teacher / f"{number:06d}.label.png")
        confidence = np.full((HEIGHT // 2, WIDTH // 2), 230, np.uint8)
        Image.fromarray(confidence).save(teacher / f"{number:06d}.conf.png")
    config = base / "config.yaml"
    config.write_text(yaml.safe_dump(mini_config(base)))
    return MiniLog(base / "data", base / "teacher", config)


def mini_config(base: Path) -> dict:
    return {
        "output": str(base / "run"),
        "ontology": "semantic_kitti",
        "sources": [{"dataset": "semantic_kitti", "root": str(base / "data")}],
        "teacher": {
            "root": str(base / "teacher"),
            "images_root": str(base / "data"),
            "ontology": "cityscapes",
            "mapping": "cityscapes_to_semantic_kitti",
        },
        "model": {
            "network": "small",
            "width": 0.5,
            "voxel_size": 0.5,
            "point_range": [-40, -40, -5, 40, 40, 10],
            "features": [
                {"name": "intensity", "scale": 2.0, "offset": 0.3},
                {"name": "z", "scale": 0.5, "offset": -1.0},
            ],
        },
        "augment": {"rotation": 0.3, "crop_range": 0.0, "drop_beams": 0.0},
        "optimization": {
            "steps": 40,
            "batch_size": 2,
            "learning_rate": 0.01,
            "ema_decay": 0.8,
            "workers": 0,
            "checkpoint_every": 5,
            "validate_every": 20,
        },
    }


@pytest.fixture(scope="session")
def trained(mini_log: MiniLog, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Bundle]:
    """A short run on the mini log: its folder and its bundle."""
    output = tmp_path_factory.mktemp("trained") / "run"
    train(load_config(mini_log.config, [f"output={output}"]))
    return output, export_bundle(output, output / "bundle")


@pytest.fixture(scope="session")
def in_stages(mini_log: MiniLog, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a whole WSegPC run on the mini log, of a few steps."""
    output = tmp_path_factory.mktemp("in_stages") / "run"
    words = ["train", str(mini_log.config), f"output={output}", *SHORT]
    assert main("wsss_training", COMMANDS, words) == 0
    return output
