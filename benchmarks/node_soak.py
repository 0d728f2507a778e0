"""Runs the live node for long at 20 clouds a second; one of its two cameras dies and returns.

::

  PYTHONPATH=src:tests/helpers python benchmarks/node_soak.py --data ../shared/data --json soak.json

Real sweeps of KITTI raw, thinned, or random streets without ``--data``. Their stamps jump back at
the end of each loop. Prints what was measured and whether it keeps its bound; exits with 1 if one
is broken. Memory is fitted by a line, and a step where the camera is alive, from the end of the
warm-up on, the first fifth: in a run of less than minutes its growth says nothing. Linux only.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from live_node import CALIBRATION, Usage, end_on_sigterm, make_street, write_tiny_bundle
from node_process import NodeProcess
from numpy.typing import NDArray
from sensor_msgs.msg import Image, PointCloud2
from soak_camera import stamp_of, start_camera

from wsss_perception.calibration import CameraCalibration, write_calibration
from wsss_perception.frame import PointCloud
from wsss_perception.messages.common import stamp_to_ns
from wsss_perception.messages.point_cloud2 import decode, encode_cloud
from wsss_perception.ros.session import MESSAGE_TYPES
from wsss_training.data.kitti_raw import KittiRaw

PERIOD = 50_000_000  # nanoseconds between two clouds
TOPICS = {"left": "/left/image_rect", "right": "/right/image_rect/compressed"}
MORTAL = "right"  # the camera that dies
SAMPLE_PERIOD = 0.5  # seconds between two looks at the node's process
SETTLE = 1.0  # seconds after a change of the cameras in which it shows
ANSWERS = 10  # fewest in a settled third
PATIENCE = 60.0  # seconds for a camera to be used or not, and for these answers
MAX_GROWTH = 0.02
LOG_LENGTH = 5000  # characters of the node's log that are kept


@dataclass
class Record:
    """What was seen during the run; times are seconds since the first cloud.

    Attributes:
        sent: clouds published to the node.
        late: of each, seconds that it was published late.
        answers: semantic clouds: time, latency in seconds, cameras that see a point at most.
        parts: messages on filtered_points and on the overlay.
        usage: time and usage of the node's process.
        thirds: begin and end of the thirds, with the camera, without it, and with it again.
        revival: seconds from the start of the revived camera until it was used.
    """

    sent: int = 0
    late: list[float] = field(default_factory=list)
    answers: list[tuple[float, float, int]] = field(default_factory=list)
    parts: dict[str, int] = field(default_factory=dict)
    usage: list[tuple[float, Usage]] = field(default_factory=list)
    thirds: list[tuple[float, float]] = field(default_factory=list)
    revival: float = 0.0


def read_drive(
    data: Path | None, points: int
) -> tuple[list[PointCloud], NDArray, CameraCalibration]:
    """Reads clouds of about so many points, and an image with its camera."""
    if data is None:
        rng = np.random.default_rng(0)
        shape = (CALIBRATION.camera.height, CALIBRATION.camera.width, 3)
        pixels = rng.integers(0, 256, shape, dtype=np.uint8)
        return [make_street(points, seed) for seed in range(20)], pixels, CALIBRATION
    samples = list(KittiRaw(data / "kitti_raw"))
    view = samples[0].images[0].load()
    clouds = []
    for sample in samples:
        step = -(-len(sample.cloud) // points)
        clouds.append(sample.cloud.select(np.arange(0, len(sample.cloud), step)))
    return clouds, view.image, CameraCalibration(view.camera, view.T_camera_lidar)


class Drive:
    """Publishes clouds to a node in real time and records what comes back."""

    def __init__(self, node: NodeProcess, clouds: list[PointCloud]) -> None:
        self.record = Record()
        self.begin = time.monotonic_ns()
        self._node = node
        self._messages = [encode_cloud(cloud, MESSAGE_TYPES) for cloud in clouds]
        self._sent: dict[int, int] = {}  # stamp -> when, since the first cloud
        self._parts = {
            "filtered": node.collect(PointCloud2, "filtered_points"),
            "overlay": node.collect(Image, f"overlay/{MORTAL}"),
        }
        self._frame = 0

    def drive_third(self, frames: int) -> None:
        """Publishes so many clouds, and more until enough are answered."""
        begin = self._now() / 1e9
        self._drive(frames)
        deadline = self._now() / 1e9 + PATIENCE
        while len(settled(self.record, begin, self._now() / 1e9)) < ANSWERS:
            if self._now() / 1e9 > deadline:
                break
            self._drive(1)
        self.record.thirds.append((begin, self._now() / 1e9))

    def wait_for(self, cameras: int) -> float:
        """Publishes until so many cameras are used; returns the seconds it took, if not in vain."""
        begin, answers = self._now(), self.record.answers
        while not (answers and answers[-1][2] == cameras):
            self._drive(1)
            if self._now() - begin > 1e9 * PATIENCE:
                break
        return (self._now() - begin) / 1e9

    def _drive(self, frames: int) -> None:
        until = self.record.sent + frames
        while self.record.sent < until:
            due = self._frame * PERIOD
            while (now := self._now()) < due:
                self._node.spin_once((due - now) / 1e9)
                self._receive()
            self.record.late.append((now - due) / 1e9)
            message = self._messages[self._frame % len(self._messages)]
            stamp = stamp_of(due)
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, 1_000_000_000)
            self._sent[stamp] = self._now()
            self._node.publish_as_is(message)
            self.record.sent += 1
            self._frame = max(self._frame + 1, self._now() // PERIOD)
            self._look()

    def finish(self) -> None:
        """Receives what is still on its way."""
        deadline = self._now() + 2_000_000_000
        while self._now() < deadline:
            self._node.spin_once(0.1)
            self._receive()

    def _now(self) -> int:
        return time.monotonic_ns() - self.begin

    def _receive(self) -> None:
        now = self._now()
        for answer in self._node.answers:
            latency = now - self._sent[stamp_to_ns(answer.header.stamp)]
            seen = int(decode(answer, ["seen"]).channels["seen"].max())
            self.record.answers.append((now / 1e9, latency / 1e9, seen))
        self._node.answers.clear()
        for name, messages in self._parts.items():
            self.record.parts[name] = self.record.parts.get(name, 0) + len(messages)
            messages.clear()

    def _look(self) -> None:
        """Samples the node's process, and fails if it has ended."""
        now = self._now() / 1e9
        if self._node.process.poll() is not None:
            raise SystemExit(f"the node has ended; its log:\n{self._node.log()}")
        if not self.record.usage or now - self.record.usage[-1][0] >= SAMPLE_PERIOD:
            self.record.usage.append((now, Usage.of(self._node.process.pid)))


def soak(frames: int, points: int, data: Path | None, folder: Path) -> dict[str, Any]:
    """Runs the node, and a camera that is dead in the middle third; returns what was measured."""
    clouds, pixels, calibration = read_drive(data, points)
    bundle, place = write_tiny_bundle(folder / "bundle"), folder / "calibration.yaml"
    write_calibration(place, dict.fromkeys(TOPICS, calibration))
    np.save(folder / "pixels.npy", pixels)
    node = NodeProcess(
        folder,
        *(f"model:={bundle.folder}", "device:=cpu", f"calibration_file:={place}"),
        f"image_topics:=[{', '.join(TOPICS.values())}]",
        "filter_classes:=[road]",
    )
    try:
        drive = Drive(node, clouds)
        cameras = {
            name: (topic, folder / "pixels.npy", drive.begin, node.domain)
            for name, topic in TOPICS.items()
        }
        with start_camera(*cameras["left"]):
            with start_camera(*cameras[MORTAL]):
                drive.wait_for(cameras=2)
                drive.drive_third(frames // 3)
            drive.wait_for(cameras=1)
            drive.drive_third(frames // 3)
            with start_camera(*cameras[MORTAL]):
                drive.record.revival = drive.wait_for(cameras=2)
                drive.drive_third(frames // 3)
                drive.finish()
        status = node.stop(15)
        return measure(drive.record, node.counters(), status, node.log())
    finally:
        node.close()


def measure(record: Record, counters: dict[str, int], status: int, log: str) -> dict[str, Any]:
    """Returns what was measured, and of what has a bound whether it is kept, by name."""
    begin, end = record.usage[0][0], record.usage[-1][0]
    warm = [(t, usage) for t, usage in record.usage if t >= begin + (end - begin) / 5]
    times = np.array([t for t, _ in warm])
    memory = np.array([usage.memory for _, usage in warm])
    alive = ~((times >= record.thirds[1][0]) & (times < record.thirds[2][0]))
    columns = np.stack([times, alive, np.ones_like(times)], axis=1)
    slope = np.linalg.lstsq(columns, memory, rcond=None)[0][0]
    growth = slope * (times[-1] - times[0]) / memory.mean()
    tenth = max(len(warm) // 10, 1)
    more = {
        name: max(getattr(u, name) for _, u in warm[-tenth:])
        - max(getattr(u, name) for _, u in warm[:tenth])
        for name in ("threads", "files")
    }
    accounted = counters["published"] + counters["dropped"] + counters["failed"]
    seen = seen_in_thirds(record)
    latencies = 1e3 * np.array([latency for _, latency, _ in record.answers])
    latency = {f"p{p}": float(np.percentile(latencies, p)) for p in (50, 95, 99)}
    return {
        "values": {
            "clouds sent": record.sent,
            **{f"clouds {name}": counters[name] for name in counters},
            "clouds that never reached the node": record.sent - counters["received"],
            "answers that never arrived": counters["published"] - len(record.answers),
            **{f"messages of {name}": count for name, count in record.parts.items()},
            "seconds": round(end - begin, 1),
            "clouds published late, p95 ms": round(1e3 * float(np.percentile(record.late, 95)), 1),
            **{f"latency {p} ms": round(v, 1) for p, v in latency.items()},
            "memory at the end, MiB": round(memory[-1] / 2**20, 1),
            "of it shared, MiB": round(warm[-1][1].shared / 2**20, 1),
            "memory growth after warm-up, %": round(100 * growth, 2),
            "threads": warm[-1][1].threads,
            "file descriptors": warm[-1][1].files,
            "cameras used, by third": seen,
            "revived camera was used after, s": round(record.revival, 1),
        },
        "bounds": {
            f"memory grows by less than {MAX_GROWTH:.0%}": bool(growth < MAX_GROWTH),
            "no thread more": more["threads"] <= 0,
            "no file descriptor more": more["files"] <= 0,
            "received = published + dropped + failed": counters["received"] == accounted,
            "no more answers than published": len(record.answers) <= counters["published"],
            "none failed": counters["failed"] == 0,
            "the camera was used, lost, and used again": seen == [2, 1, 2],
            "the node ended well": status == 0 and "Traceback" not in log,
        },
        "log": log[-LOG_LENGTH:],
        "usage": [{"seconds": round(t, 1), **asdict(usage)} for t, usage in record.usage],
    }


def seen_in_thirds(record: Record) -> list[int]:
    """Returns the median of the cameras that see a point at most, in each settled third."""
    return [int(np.median(settled(record, *third) or [0])) for third in record.thirds]


def settled(record: Record, begin: float, end: float) -> list[int]:
    """Returns the cameras that see a point at most, of each answer once a third has settled."""
    return [n for t, _, n in record.answers if begin + SETTLE < t <= end]


def main() -> None:
    """Runs the soak and prints what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=10_000, help="clouds to publish")
    parser.add_argument("--points", type=int, default=6000, help="of a cloud, about")
    parser.add_argument("--data", type=Path, help="folder that holds kitti_raw")
    parser.add_argument("--json", type=Path, help="file for what was measured")
    arguments = parser.parse_args()
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    end_on_sigterm()
    with tempfile.TemporaryDirectory() as folder:
        measured = soak(arguments.frames, arguments.points, arguments.data, Path(folder))
    if arguments.json:
        arguments.json.write_text(json.dumps(measured, indent=1) + "\n")
    for name, value in measured["values"].items():
        print(f"{name:<48}{value}")
    for name, kept in measured["bounds"].items():
        print(f"{name:<48}{'yes' if kept else 'NO'}")
    sys.exit(not all(measured["bounds"].values()))


if __name__ == "__main__":
    main()
