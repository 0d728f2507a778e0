"""Times the message codec and what surrounds the network at the size of a 64-beam sweep.

Prints p50 and p95 in milliseconds: ``PYTHONPATH=src python benchmarks/message_codec.py``.
"""

import functools
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from rosbags.typesys import Stores, get_typestore

from wsss_perception.frame import PointCloud, SemanticCloud
from wsss_perception.messages import image
from wsss_perception.messages.common import MessageTypes
from wsss_perception.messages.point_cloud2 import decode, encode_cloud, encode_semantic
from wsss_perception.voxels import voxelize

POINTS = 120_000
RUNS = 60
VOXEL_SIZE = 0.1
CLASSES = 19
IMAGE_SIZE = (1080, 1920)
ENCODINGS = {"rgb8": 3, "bgr8": 3, "bgra8": 4, "mono16": 2, "bayer_rggb8": 1, "yuv422": 2}
"""Bytes per pixel of the encodings that are timed."""


def make_cloud() -> PointCloud:
    """Makes rings of points on the ground and on walls, with 3 channels: 24 bytes a point."""
    rng = np.random.default_rng(0)
    azimuth = rng.uniform(-np.pi, np.pi, POINTS)
    distance = rng.gamma(2.0, 8.0, POINTS) + 2.0
    height = np.where(rng.random(POINTS) < 0.6, -1.7, rng.uniform(-1.7, 3.0, POINTS))
    xyz = np.stack([distance * np.cos(azimuth), distance * np.sin(azimuth), height], axis=1)
    channels = {
        name: rng.random(POINTS, dtype=np.float32) for name in ("intensity", "ring", "time")
    }
    return PointCloud(xyz.astype(np.float32), channels)


def make_image(encoding: str, types: MessageTypes) -> Any:
    """Makes an Image of noise."""
    height, width = IMAGE_SIZE
    message = image.encode_rgb8(np.zeros((height, width, 3), dtype=np.uint8), 0, "camera", types)
    message.encoding, message.step = encoding, width * ENCODINGS[encoding]
    rng = np.random.default_rng(2)
    message.data = rng.integers(0, 256, height * message.step, dtype=np.uint8)
    return message


def report(name: str, task: Callable[[], Any]) -> None:
    """Prints the time of a task over many runs."""
    task()
    seconds = []
    for _ in range(RUNS):
        start = time.perf_counter()
        task()
        seconds.append(time.perf_counter() - start)
    p50, p95 = np.percentile(seconds, [50, 95]) * 1e3
    print(f"{name:<44}{p50:8.2f}{p95:8.2f}")


def main() -> None:
    """Times each stage and the whole."""
    cloud = make_cloud()
    types = get_typestore(Stores.ROS2_JAZZY).types
    message = encode_cloud(cloud, types)
    rng = np.random.default_rng(1)
    palette = rng.integers(0, 256, (256, 3), dtype=np.uint8)
    labels = rng.integers(0, CLASSES, POINTS, dtype=np.uint8)
    semantic = SemanticCloud(labels, np.ones(POINTS, np.float32), np.zeros(POINTS, np.uint8))

    def whole() -> None:
        decoded = decode(message, ["intensity"])
        grid = voxelize(decoded.xyz, VOXEL_SIZE)
        features = np.column_stack([decoded.xyz, decoded.channels["intensity"]])
        grid.mean(features)
        voxel_labels = labels[: len(grid.coords)]
        scattered = grid.to_points(voxel_labels, 255)
        encode_semantic(
            message, SemanticCloud(scattered, semantic.confidence, semantic.seen), palette
        )

    print(f"{POINTS} points of {message.point_step} bytes{'':<21}p50 ms  p95 ms")
    report("decode, all channels", lambda: decode(message))
    report("decode, intensity", lambda: decode(message, ["intensity"]))
    report("encode_semantic", lambda: encode_semantic(message, semantic, palette))
    report("voxelize", lambda: voxelize(cloud.xyz, VOXEL_SIZE))
    report("decode + voxelize + mean + scatter + encode", whole)
    for encoding in ENCODINGS:
        picture = make_image(encoding, types)
        size = f"{IMAGE_SIZE[1]} x {IMAGE_SIZE[0]}"
        report(f"image {encoding}, {size}", functools.partial(image.decode, picture))


if __name__ == "__main__":
    main()
