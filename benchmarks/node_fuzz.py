"""Sends damaged messages to the live node, and to its parts directly.

::

  PYTHONPATH=src:tests/helpers python benchmarks/node_fuzz.py --json fuzz.json

Message n is made of ``--seed`` and n alone: ``--first n --messages 1`` sends it again. Directly,
each message goes through what the node does with it, and whatever is raised besides the package's
own errors is a fault. Live, over DDS, with cameras and all outputs subscribed, the node must not
die, answer no cloud with one of another size, log no traceback, and go on to answer a good cloud
after each hundred. Live there are no transforms (tf2_msgs is not in the pip wheels) and no
calibration files. Exits with 1 if there is a fault.
"""

import argparse
import json
import os
import sys
import tempfile
import time
import warnings
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from live_node import (
    CALIBRATION,
    CAMERA,
    FORWARD,
    Usage,
    end_on_sigterm,
    make_street,
    write_tiny_bundle,
)
from mutations import Damaged, make_damaged
from node_process import NodeProcess
from rclpy.publisher import Publisher
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2

from wsss_perception.bundle import Bundle
from wsss_perception.calibration import read_calibration, write_calibration
from wsss_perception.errors import WsssError
from wsss_perception.frame import Frame, View
from wsss_perception.geometry import Camera, TransformTree
from wsss_perception.messages import transform
from wsss_perception.messages.image import decode as decode_image
from wsss_perception.messages.point_cloud2 import encode_cloud
from wsss_perception.motion import point_times
from wsss_perception.outputs import select_points
from wsss_perception.overlay import overlay_points
from wsss_perception.ros.live_camera import LiveCamera, check_size
from wsss_perception.ros.model import Model, load_model
from wsss_perception.ros.session import MESSAGE_TYPES
from wsss_perception.segmenter import count_views

TOPICS = ("/front/image_raw", "/rear/image_raw/compressed", "/side/image_raw")
"""Of an Image and a CompressedImage that the calibration file places, and of one by CameraInfo."""

GOOD_AFTER = 100
SECOND = 1_000_000_000


class Direct:
    """Gives messages to the parts of the node; raises what they raise."""

    def __init__(self, model: Model, folder: Path) -> None:
        self._model = model
        self._file = folder / "damaged.yaml"
        self._cloud = make_street(400, 0)
        self._tree = TransformTree(10 * SECOND)
        self._side = [LiveCamera(f"/side/{name}", None) for name in ("image_raw", "image_rect")]
        self._fixed = LiveCamera(TOPICS[0], CALIBRATION)

    def __call__(self, damaged: Damaged) -> None:
        """Takes a message as the node would.

        Raises:
            WsssError: the message is refused.
            AssertionError: the result has another size.
        """
        getattr(self, f"_take_{damaged.kind}")(damaged.message)

    def _take_cloud(self, message: Any) -> None:
        with suppress(WsssError):
            point_times(message)
        view = View("front", CAMERA, FORWARD, np.zeros((120, 160, 3), dtype=np.uint8))
        result = self._model.pipeline(message, 0.0, 1.0, lambda: (view,))
        assert is_answer(result.message, message.height, message.width), "another size"
        labels, palette = result.semantic.labels, self._model.spec.ontology.palette()
        part = select_points(result.message, labels == labels.max(initial=0))
        assert part.width == np.count_nonzero(labels == labels.max(initial=0)), "another size"
        overlay_points(view, result.frame.cloud.xyz, labels, palette)

    def _take_image(self, message: Any) -> None:
        self._fixed.note_image(message)
        view = self._fixed.view(0, 0, "velodyne", None)
        pixels = decode_image(message)
        check_size(view.camera, pixels.shape[1], pixels.shape[0])

    _take_compressed = _take_image

    def _take_info(self, message: Any) -> None:
        for camera in self._side:
            camera.set_info(message)
            assert camera._model or camera._problem
            if camera._model:
                self._look(camera._model[0], camera._model[1])

    def _take_transforms(self, message: Any) -> None:
        try:
            transform.add_to_tree(self._tree, message, static=False)
        finally:
            self._tree.lookup_between("camera", SECOND, "lidar", 2 * SECOND, "map")

    def _take_calibration(self, text: bytes) -> None:
        self._file.write_bytes(text)
        for entry in read_calibration(self._file).values():
            self._look(entry.camera, entry.T_camera_lidar)

    def _look(self, camera: Camera, pose: Any) -> None:
        view = View("side", camera, pose, np.zeros((0, 0, 3), dtype=np.uint8))
        count_views(self._cloud.xyz, Frame(self._cloud, (view,)).views)


class Live:
    """Sends messages to a running node."""

    def __init__(self, bundle: Bundle, folder: Path, pause: float) -> None:
        place = folder / "calibration.yaml"
        write_calibration(place, {"front": CALIBRATION, "rear": CALIBRATION})
        self.node = NodeProcess(
            folder,
            *(f"model:={bundle.folder}", "device:=cpu", f"calibration_file:={place}"),
            f"image_topics:=[{', '.join(TOPICS)}]",
            "filter_classes:=[road]",
        )
        self.faults: list[str] = []
        self.answered = 0
        self._pause = pause
        self._good = encode_cloud(make_street(400, 1), MESSAGE_TYPES)
        self._good.header.frame_id = "good"
        self._sizes: dict[str, tuple[int, int]] = {"good": (1, 400)}
        self._others = [
            self.node.collect(kind, topic)
            for kind, topic in (
                (PointCloud2, "filtered_points"),
                (PointCloud2, "ground_points"),
                *((Image, f"overlay/{name}") for name in ("front", "rear", "side")),
            )
        ]
        create = self.node.client.create_publisher
        self._publishers: dict[str, Publisher] = {
            "image": create(Image, TOPICS[0], 10),
            "compressed": create(CompressedImage, TOPICS[1], 10),
            "side": create(Image, TOPICS[2], 10),
            "info": create(CameraInfo, "/side/camera_info", 10),
        }
        self.node.spin_until(
            lambda: all(p.get_subscription_count() for p in self._publishers.values()), 30.0
        )

    def send(self, damaged: Damaged) -> None:
        """Sends a message; one of a camera is followed by a cloud that it belongs to."""
        message = damaged.message
        if damaged.kind == "cloud":
            self._sizes[message.header.frame_id] = (message.height, message.width)
            if "stamp" not in damaged.changes:
                stamp_now(message)
            self.node.publish_as_is(message)
        elif damaged.kind in self._publishers:
            stamp_now(message)
            self._publishers[damaged.kind].publish(message)
            self._spin(0.3 * self._pause)
            self._good.header.stamp = message.header.stamp
            self.node.publish_as_is(self._good)
        self._spin(self._pause)
        if self.node.process.poll() is not None:
            raise SystemExit(f"{damaged}: the node has ended; its log:\n{self.node.log()}")

    def check(self, number: int) -> None:
        """Notes a fault if a good cloud is not answered."""
        try:
            stamp_now(self._good)
            self.node.publish_as_is(self._good)
            self.node.answer_to(self._good)
        except AssertionError as error:
            raise SystemExit(
                f"no answer to a good cloud after message {number}: {error}"
            ) from error
        self._receive()

    def close(self) -> dict[str, int]:
        """Stops the node; returns its counters."""
        usage = Usage.of(self.node.process.pid)
        status, log = self.node.stop(15), self.node.log()
        if status or "Traceback" in log:
            lines = [line for line in log.splitlines() if "Error" in line and "line" not in line]
            self.faults.append(f"status {status}; in the log: {sorted(set(lines))[:10]}")
        counters = self.node.counters()
        accounted = counters["published"] + counters["dropped"] + counters["failed"]
        if counters["received"] != accounted:
            self.faults.append(f"the counters do not add up: {counters}")
        return {**counters, "answered": self.answered, "memory, MiB": usage.memory // 2**20}

    def _spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.node.spin_once(left)
        self._receive()

    def _receive(self) -> None:
        for answer in self.node.answers:
            name = answer.header.frame_id
            if name not in self._sizes or not is_answer(answer, *self._sizes[name]):
                size = f"{answer.height} x {answer.width}"
                self.faults.append(f"the answer to '{name[-30:]}' has the size {size}")
            self.answered += 1
        for messages in (self.node.answers, *self._others):
            messages.clear()


def is_answer(message: Any, height: int, width: int) -> bool:
    """Whether a semantic cloud has as many points as its input, and all of their bytes."""
    size = height * width * message.point_step
    return (message.height, message.width) == (height, width) and len(message.data) == size


def stamp_now(message: Any) -> None:
    """Stamps a message with the present time."""
    now = divmod(time.time_ns(), SECOND)
    message.header.stamp.sec, message.header.stamp.nanosec = now


def fuzz_directly(numbers: range, seed: int, model: Model, folder: Path) -> dict[str, Any]:
    """Gives messages to the node's parts; returns counts and faults."""
    direct, faults, counts = Direct(model, folder), [], Counter[str]()
    warnings.simplefilter("ignore", RuntimeWarning)  # of numbers that overflow
    for number in numbers:
        damaged = make_damaged(number, seed, MESSAGE_TYPES)
        try:
            direct(damaged)
        except WsssError:
            counts[f"{damaged.kind} refused"] += 1
        except Exception as error:
            faults.append(f"{damaged}: {error!r}")
        else:
            counts[f"{damaged.kind} taken"] += 1
    return {"counts": dict(sorted(counts.items())), "faults": faults}


def fuzz_live(
    numbers: range, seed: int, bundle: Bundle, folder: Path, pause: float
) -> dict[str, Any]:
    """Sends messages to a running node; returns counts and faults."""
    live = Live(bundle, folder, pause)
    try:
        live.check(numbers.start - 1)
        for number in numbers:
            live.send(make_damaged(number, seed, MESSAGE_TYPES))
            if (number - numbers.start) % GOOD_AFTER == GOOD_AFTER - 1 or number == numbers[-1]:
                live.check(number)
        counts = live.close()
    finally:
        live.node.close()
    return {"counts": counts, "faults": live.faults}


def main() -> None:
    """Runs both and prints what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first message")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pause", type=float, default=0.02, help="seconds after a live message")
    parser.add_argument("--json", type=Path, help="file for the result")
    arguments = parser.parse_args()
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    end_on_sigterm()
    numbers = range(arguments.first, arguments.first + arguments.messages)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle = write_tiny_bundle(folder / "bundle")
        model = load_model(str(bundle.folder), "spconv", "cpu", "fp32", lambda _: None)
        result = {
            "directly": fuzz_directly(numbers, arguments.seed, model, folder),
            "live": fuzz_live(numbers, arguments.seed, bundle, folder, arguments.pause),
        }
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    for part, outcome in result.items():
        print(f"{part}: {len(outcome['faults'])} faults; {outcome['counts']}")
        for fault in outcome["faults"][:20]:
            print(f"  {fault}")
    sys.exit(any(outcome["faults"] for outcome in result.values()))


if __name__ == "__main__":
    main()
