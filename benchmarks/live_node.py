"""What the benchmarks of the live node share: a tiny model, cameras, what a process uses."""

import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wsss_perception.bundle import Bundle, ModelSpec, NetworkSpec, write_bundle
from wsss_perception.calibration import CameraCalibration
from wsss_perception.features import Feature
from wsss_perception.frame import PointCloud
from wsss_perception.geometry import Camera, make_transform
from wsss_perception.ontology import load_ontology

CAMERA = Camera(160, 120, np.array([[80.0, 0, 80], [0, 80.0, 60], [0, 0, 1]]))
FORWARD = make_transform([[0, -1, 0], [0, 0, -1], [1, 0, 0]], [0.0, -0.1, 0.0])
CALIBRATION = CameraCalibration(CAMERA, FORWARD)
"""A small camera that looks forward."""


@dataclass(frozen=True)
class Usage:
    """What a process uses now.

    Attributes:
        memory: resident bytes, shared ones included.
        shared: resident bytes of shared memory, as that of Fast DDS.
        threads: number of threads.
        files: number of file descriptors.
    """

    memory: int
    shared: int
    threads: int
    files: int

    @classmethod
    def of(cls, pid: int) -> "Usage":
        """Reads it from Linux.

        Raises:
            OSError: there is no such process.
        """
        folder = Path(f"/proc/{pid}")
        lines = (line.split() for line in (folder / "status").read_text().splitlines())
        numbers = {words[0]: int(words[1]) for words in lines if words[-1] == "kB"}
        return cls(
            memory=1024 * numbers["VmRSS:"],
            shared=1024 * numbers["RssShmem:"],
            threads=len(list((folder / "task").iterdir())),
            files=len(list((folder / "fd").iterdir())),
        )


def write_tiny_bundle(folder: Path) -> Bundle:
    """Writes a bundle with random weights, whose network is fast on a CPU."""
    import torch  # here, since the processes that are cameras have no need of it
    from safetensors.torch import save

    from wsss_perception.networks.minkunet import MinkUNet

    ontology = load_ontology("semantic_kitti")
    features = (Feature("x", 0.02), Feature("y", 0.02), Feature("z", 0.3), Feature("intensity"))
    spec = ModelSpec(ontology, NetworkSpec("small", 0.25), features, voxel_size=0.4)
    torch.manual_seed(0)
    network = MinkUNet(spec.network, len(features), len(ontology))
    return write_bundle(folder, spec, {"weights.safetensors": save(network.state_dict())})


def make_street(points: int, seed: int) -> PointCloud:
    """Makes points on the ground and on walls, with intensity."""
    rng = np.random.default_rng(seed)
    azimuth = rng.uniform(-np.pi, np.pi, points)
    distance = rng.gamma(2.0, 8.0, points) + 2.0
    height = np.where(rng.random(points) < 0.6, -1.7, rng.uniform(-1.7, 3.0, points))
    xyz = np.stack([distance * np.cos(azimuth), distance * np.sin(azimuth), height], axis=1)
    intensity = rng.random(points, dtype=np.float32)
    return PointCloud(xyz.astype(np.float32), {"intensity": intensity})


def end_on_sigterm() -> None:
    """Makes SIGTERM end this process by an exception, so that it ends those it has started."""
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
