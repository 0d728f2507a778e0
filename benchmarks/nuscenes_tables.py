"""Measures how long nuScenes' tables take to open, at the size of v1.0-trainval.

Writes tables of as many rows as the real ones, with random tokens and no sensor files, opens them
in fresh processes, prints seconds and peak memory, and removes them. Needs 3 GB of disk and a few
minutes: ``PYTHONPATH=src python benchmarks/nuscenes_tables.py /tmp/nuscenes_tables``.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

SCENES = 850
SAMPLES = 40
PERIOD = 500_000  # microseconds between keyframes
CAMERAS = ("FRONT", "FRONT_RIGHT", "FRONT_LEFT", "BACK", "BACK_LEFT", "BACK_RIGHT")
RADARS = ("FRONT", "FRONT_LEFT", "FRONT_RIGHT", "BACK_LEFT", "BACK_RIGHT")
SENSORS = {  # channel: modality, suffix, files between two keyframes, one keyframe included
    "LIDAR_TOP": ("lidar", "pcd.bin", 10),
    **{f"CAM_{side}": ("camera", "jpg", 6) for side in CAMERAS},
    **{f"RADAR_{side}": ("radar", "pcd", 6.5) for side in RADARS},
}

OPEN = """
import json, resource, sys, time
start = time.perf_counter()
from wsss_training.data.nuscenes import NuScenes
imported = time.perf_counter()
NuScenes(sys.argv[1], sweeps=10)
opened = time.perf_counter()
print(json.dumps({
    "import": imported - start,
    "open": opened - imported,
    "cpu": time.process_time(),
    "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
}))
"""

Row = dict[str, Any]


class Tables:
    """Writes tables row by row as nuScenes' are written, each key on a line of its own."""

    def __init__(self, folder: Path, names: tuple[str, ...]) -> None:
        folder.mkdir(parents=True)
        self.rows = dict.fromkeys(names, 0)
        self._files = {name: (folder / f"{name}.json").open("w") for name in names}

    def add(self, name: str, row: Row) -> None:
        """Adds a row."""
        self._files[name].write(",\n" if self.rows[name] else "[\n")
        self._files[name].write(json.dumps(row, indent=0))
        self.rows[name] += 1

    def close(self) -> None:
        """Ends all tables."""
        for file in self._files.values():
            file.write("\n]")
            file.close()


def tokens(rng: np.random.Generator) -> Iterator[str]:
    """Endless random tokens."""
    while True:
        digits = rng.bytes(16 * 4096).hex()
        yield from (digits[at : at + 32] for at in range(0, len(digits), 32))


def write_scene(
    tables: Tables, number: int, token: Iterator[str], rng: np.random.Generator
) -> None:
    """Writes the rows of one scene of 20 seconds."""
    scene, start = next(token), 1_532_402_900_000_000 + number * 60_000_000
    name = f"n015-2018-07-24-11-22-45+0800-{number:04}"
    samples = [next(token) for _ in range(SAMPLES)]
    tables.add("scene", {"token": scene, "name": f"scene-{number + 1:04}", "nbr_samples": SAMPLES})
    for k, sample in enumerate(samples):
        row = {"token": sample, "timestamp": start + k * PERIOD, "prev": "", "next": ""}
        tables.add("sample", {**row, "scene_token": scene})
    for channel, (modality, suffix, rate) in SENSORS.items():
        mount = next(token)
        matrix = [[1266.4, 0.0, 816.3], [0.0, 1266.4, 491.5], [0.0, 0.0, 1.0]]
        image = modality == "camera"
        row = {"token": mount, "sensor_token": channel, **pose_fields(rng)}
        tables.add("calibrated_sensor", {**row, "camera_intrinsic": matrix if image else []})
        count = int(SAMPLES * rate)
        steps = np.linspace(0, SAMPLES - 1, count)
        keys = {int(np.argmin(abs(steps - k))): k for k in range(SAMPLES)}
        own = ["", *(next(token) for _ in range(count)), ""]
        for at, step in enumerate(steps):
            stamp = start + int(step * PERIOD)
            kind = "samples" if at in keys else "sweeps"
            row = {"token": own[at + 1], "sample_token": samples[round(step)]}
            row |= {"ego_pose_token": own[at + 1], "calibrated_sensor_token": mount}
            row |= {"timestamp": stamp, "fileformat": suffix[:3], "is_key_frame": at in keys}
            row |= {"height": 900 * image, "width": 1600 * image}
            row |= {"filename": f"{kind}/{channel}/{name}__{channel}__{stamp}.{suffix}"}
            tables.add("sample_data", {**row, "prev": own[at], "next": own[at + 2]})
            pose = {"token": own[at + 1], "timestamp": stamp, **pose_fields(rng)}
            tables.add("ego_pose", pose)
            if channel == "LIDAR_TOP" and at in keys:
                path = f"lidarseg/v1.0-trainval/{own[at + 1]}_lidarseg.bin"
                row = {"token": own[at + 1], "sample_data_token": own[at + 1], "filename": path}
                tables.add("lidarseg", row)


def pose_fields(rng: np.random.Generator) -> Row:
    """A random place and heading."""
    half = rng.uniform(-np.pi, np.pi) / 2
    place = [*rng.uniform(0, 2000, 2).tolist(), 0.0]
    tilt = rng.normal(0, 0.005, 2)
    rotation = np.array([np.cos(half), *tilt, np.sin(half)])
    return {"translation": place, "rotation": (rotation / np.linalg.norm(rotation)).tolist()}


def write_tables(folder: Path) -> dict[str, int]:
    """Writes all tables; returns their numbers of rows."""
    names = ("scene", "sample", "sensor", "calibrated_sensor", "sample_data", "ego_pose")
    tables, rng = Tables(folder, (*names, "lidarseg")), np.random.default_rng(0)
    token = tokens(rng)
    for channel, (modality, *_) in SENSORS.items():
        tables.add("sensor", {"token": channel, "channel": channel, "modality": modality})
    for number in range(SCENES):
        write_scene(tables, number, token, rng)
    tables.close()
    return tables.rows


def measure(root: Path, cache: Path) -> Row:
    """Opens the tables in a process of its own."""
    command = [sys.executable, "-c", OPEN, str(root)]
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    result = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
    return json.loads(result.stdout)


def size(folder: Path) -> float:
    """Size of what is in a folder, in GB."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e9


def main() -> None:
    """Writes, measures, prints, removes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="a folder that does not exist yet")
    folder = parser.parse_args().folder
    if folder.exists():
        parser.error(f"{folder} exists; choose a folder that can be removed afterwards")
    try:
        rows = write_tables(folder / "data" / "v1.0-trainval")
        for name, count in rows.items():
            print(f"{name:<20}{count:>10,} rows")
        print(f"{'tables':<20}{size(folder / 'data'):>10.2f} GB")
        columns = {"import": "import s", "open": "open s", "cpu": "CPU s", "peak": "peak GB"}
        print(f"{'':<20}" + "".join(f"{title:>10}" for title in columns.values()))
        for what in chain(["first open"], ["later open"] * 3):
            seen = measure(folder / "data", folder / "cache")
            print(f"{what:<20}" + "".join(f"{seen[key]:>10.2f}" for key in columns), flush=True)
        print(f"{'index':<20}{size(folder / 'cache'):>10.2f} GB")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
