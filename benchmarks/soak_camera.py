"""A camera of ``node_soak.py``, as a process of its own."""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import rclpy
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image

from wsss_perception.camera_topics import is_compressed
from wsss_perception.messages import image
from wsss_perception.ros.session import MESSAGE_TYPES

PERIOD = 100_000_000  # nanoseconds between two images
LOOP = 10_000_000_000  # nanoseconds after which the stamps begin anew
START = 1_600_000_000_000_000_000  # stamp of the begin of a loop, nanoseconds


def stamp_of(elapsed: int) -> int:
    """Returns the stamp of a moment, in nanoseconds since the first cloud."""
    return START + elapsed % LOOP


@contextmanager
def start_camera(topic: str, pixels: Path, begin: int, domain: int) -> Iterator[None]:
    """Runs a camera, and kills it at the end.

    Args:
        topic: of its images.
        pixels: file of the image.
        begin: ``time.monotonic_ns()`` of the first cloud.
        domain: of ROS.
    """
    words = [sys.executable, __file__, topic, str(pixels), str(begin)]
    process = subprocess.Popen(words, env={**os.environ, "ROS_DOMAIN_ID": str(domain)})
    try:
        yield
    finally:
        process.kill()
        process.wait()


def publish_images(topic: str, pixels: NDArray[np.uint8], begin: int) -> None:
    """Publishes images until it is killed."""
    rclpy.init()
    node = rclpy.create_node("camera")
    compressed = is_compressed(topic)
    publisher = node.create_publisher(CompressedImage if compressed else Image, topic, 5)
    encode = image.encode_jpeg if compressed else image.encode_rgb8
    message = encode(pixels, 0, "camera", MESSAGE_TYPES)
    while True:
        now = time.monotonic_ns() - begin
        following = (now // PERIOD + 1) * PERIOD
        time.sleep((following - now) / 1e9)
        stamp = message.header.stamp
        stamp.sec, stamp.nanosec = divmod(stamp_of(following), 1_000_000_000)
        publisher.publish(message)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("topic")
    parser.add_argument("pixels", type=Path)
    parser.add_argument("begin", type=int)
    arguments = parser.parse_args()
    publish_images(arguments.topic, np.load(arguments.pixels), arguments.begin)
