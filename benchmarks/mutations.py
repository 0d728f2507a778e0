"""Damaged messages for the fuzz of the node: each is made by its number and a seed alone.

A message is a good one to which one to three things were done. All keep what rclpy demands of a
message, so that they can be sent.
"""

import array
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import yaml
from driver_clouds import DRIVERS, make_driver_cloud
from live_node import CAMERA, FORWARD

from wsss_perception.calibration import camera_to_dict
from wsss_perception.messages import camera_info, image

KINDS = {
    "cloud": 0.6,
    "image": 0.12,
    "compressed": 0.1,
    "info": 0.1,
    "transforms": 0.04,
    "calibration": 0.04,
}
"""What messages are, and how often."""

COUNTS = (0, 1, 2, 3, 7, 12, 16, 255, 256, 65535, 2**31 - 1, 2**31, 2**32 - 1)
NUMBERS = (math.nan, math.inf, -math.inf, 0.0, -0.0, -1.0, 1e-320, 1e-30, 1e9, 1e38, 1e308)
NAMES = ("", "x", "intensity", "label", "rgb", "ring", "time", "timestamp", "t", "ü点", "n" * 300)
FRAMES = ("velodyne", "", "/", "ü点", "f" * 1000)
ENCODINGS = ("", "rgb8", "bgra8", "mono16", "bayer_rggb8", "bayer_gbrg16", "yuv422", "8UC3", "rgb")
FORMATS = ("", "jpeg", "png", "rgb8; jpeg compressed bgr8", "bayer_rggb8; png compressed", "gif")
MODELS = ("", "plumb_bob", "equidistant", "rational_polynomial", "fisheye")

Change = Callable[[np.random.Generator, Any], None]


@dataclass(frozen=True)
class Damaged:
    """A damaged message.

    Attributes:
        number: by which it is made again.
        kind: one of KINDS.
        changes: what was done to it.
        message: of rclpy; for ``transforms`` what looks like a TFMessage, for ``calibration`` the
            text of a file.
    """

    number: int
    kind: str
    changes: tuple[str, ...]
    message: Any

    def __str__(self) -> str:
        return f"message {self.number} ({self.kind}: {', '.join(self.changes)})"


def make_damaged(number: int, seed: int, types: Mapping[str, Any]) -> Damaged:
    """Makes a message; clouds end in ``#<number>`` in their frames' names."""
    rng = np.random.default_rng([seed, number])
    kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
    message = _GOOD[kind](rng, types)
    available = _CHANGES[kind]
    chosen = [available[i] for i in rng.integers(len(available), size=rng.integers(1, 4))]
    for change in chosen:
        change(rng, message)
    if kind == "calibration":
        message = _damage_text(rng, yaml.safe_dump(message))
    if kind == "cloud":
        message.header.frame_id += f"#{number}"
    return Damaged(number, kind, tuple(change.__name__.strip("_") for change in chosen), message)


def _cloud(rng: np.random.Generator, types: Mapping[str, Any]) -> Any:
    return make_driver_cloud(str(rng.choice(list(DRIVERS))), types, int(rng.integers(1000)))[0]


def _pixels(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (CAMERA.height, CAMERA.width, 3), dtype=np.uint8)


def _image(rng: np.random.Generator, types: Mapping[str, Any]) -> Any:
    return image.encode_rgb8(_pixels(rng), 0, "camera", types)


def _compressed(rng: np.random.Generator, types: Mapping[str, Any]) -> Any:
    return image.encode_jpeg(_pixels(rng), 0, "camera", types)


def _info(_rng: np.random.Generator, types: Mapping[str, Any]) -> Any:
    return camera_info.encode(CAMERA, 0, "camera", types)


def _transforms(rng: np.random.Generator, types: Mapping[str, Any]) -> Any:
    stamped = types["geometry_msgs/msg/TransformStamped"]
    entries = [stamped(child_frame_id=child) for child in ("odom", "base", "lidar", "camera")]
    for entry, parent in zip(entries, ("map", "odom", "base", "base"), strict=True):
        entry.header.frame_id = parent
        entry.header.stamp.sec = int(rng.integers(5))
        entry.transform.rotation.w = 1.0
    return SimpleNamespace(transforms=entries)


def _calibration(_rng: np.random.Generator, _types: Mapping[str, Any]) -> Any:
    entry = {**camera_to_dict(CAMERA), "T_camera_lidar": FORWARD.tolist()}
    return {"schema": 1, "cameras": {"front": entry}}


def _pick(rng: np.random.Generator, values: Sequence[Any]) -> Any:
    return values[int(rng.integers(len(values)))]


def _flip_bytes(rng: np.random.Generator, message: Any) -> None:
    data = np.frombuffer(message.data, np.uint8)
    if len(data):
        at = rng.integers(len(data), size=rng.integers(1, 65))
        data[at] = rng.integers(0, 256, len(at), dtype=np.uint8)


def _special_values(rng: np.random.Generator, message: Any) -> None:
    whole = np.frombuffer(message.data, np.uint8)[: len(message.data) // 4 * 4].view("<f4")
    if len(whole):
        with np.errstate(over="ignore"):
            whole[rng.random(len(whole)) < rng.random()] = np.float32(_pick(rng, NUMBERS))


def _cut(rng: np.random.Generator, message: Any) -> None:
    message.data = message.data[: int(rng.integers(len(message.data) + 1))]


def _extend(rng: np.random.Generator, message: Any) -> None:
    message.data = message.data + array.array("B", rng.bytes(int(rng.integers(1, 100))))


def _frame(rng: np.random.Generator, message: Any) -> None:
    message.header.frame_id = _pick(rng, FRAMES)


def _stamp(rng: np.random.Generator, message: Any) -> None:
    message.header.stamp.sec = _pick(rng, (-(2**31), -1, 0, 1, 2**31 - 1))
    message.header.stamp.nanosec = _pick(rng, (0, 1, 10**9 - 1, 10**9, 2**32 - 1))


def _count_of(*names: str) -> Change:
    """Sets one of the message's numbers to an odd one."""

    def change(rng: np.random.Generator, message: Any) -> None:
        setattr(message, _pick(rng, names), _pick(rng, COUNTS))

    change.__name__ = "_or_".join(names)
    return change


def _flags(rng: np.random.Generator, message: Any) -> None:
    message.is_bigendian = bool(rng.integers(2))
    message.is_dense = bool(rng.integers(2))


def _datatype(rng: np.random.Generator, message: Any) -> None:
    if message.fields:
        _pick(rng, message.fields).datatype = int(
            rng.integers(0, 256) if rng.random() < 0.2 else rng.integers(0, 10)
        )


def _field_numbers(rng: np.random.Generator, message: Any) -> None:
    if message.fields:
        setattr(_pick(rng, message.fields), _pick(rng, ("offset", "count")), _pick(rng, COUNTS))


def _rename(rng: np.random.Generator, message: Any) -> None:
    if message.fields:
        _pick(rng, message.fields).name = _pick(rng, NAMES)


def _drop_field(rng: np.random.Generator, message: Any) -> None:
    if message.fields:
        del message.fields[int(rng.integers(len(message.fields)))]


def _repeat_fields(rng: np.random.Generator, message: Any) -> None:
    message.fields = [_pick(rng, message.fields) for _ in range(8)] if message.fields else []


def _encoding(rng: np.random.Generator, message: Any) -> None:
    message.encoding = _pick(rng, ENCODINGS)


def _format(rng: np.random.Generator, message: Any) -> None:
    message.format = _pick(rng, FORMATS)


def _matrices(rng: np.random.Generator, message: Any) -> None:
    values = getattr(message, _pick(rng, ("k", "r", "p")))
    values[int(rng.integers(len(values)))] = _pick(rng, NUMBERS)


def _distortion(rng: np.random.Generator, message: Any) -> None:
    message.d = [float(_pick(rng, NUMBERS)) for _ in range(int(rng.integers(0, 15)))]
    message.distortion_model = _pick(rng, MODELS)


def _region(rng: np.random.Generator, message: Any) -> None:
    name = _pick(rng, ("x_offset", "y_offset", "height", "width"))
    setattr(message.roi, name, _pick(rng, COUNTS))
    message.binning_x, message.binning_y = _pick(rng, COUNTS), _pick(rng, COUNTS)


def _pose(rng: np.random.Generator, message: Any) -> None:
    transform = _pick(rng, message.transforms).transform
    part = _pick(rng, (transform.translation, transform.rotation))
    setattr(part, _pick(rng, "xyz"), float(_pick(rng, NUMBERS)))


def _frames(rng: np.random.Generator, message: Any) -> None:
    entry = _pick(rng, message.transforms)
    entry.header.frame_id, entry.child_frame_id = _pick(rng, FRAMES), _pick(rng, FRAMES)
    _stamp(rng, entry)


def _entry(rng: np.random.Generator, tree: Any) -> None:
    entry = tree["cameras"]["front"]
    value: Any = _pick(rng, (None, "", [], {}, [[1]], "1", True, -1, 10**40, *NUMBERS))
    entry[_pick(rng, list(entry))] = value


def _number(rng: np.random.Generator, tree: Any) -> None:
    rows = tree["cameras"]["front"].get(_pick(rng, ("K", "T_camera_lidar")))
    if isinstance(rows, list) and rows and isinstance(rows[0], list):
        rows[0][0] = _pick(rng, NUMBERS)


def _damage_text(rng: np.random.Generator, text: str) -> bytes:
    data = bytearray(text.encode())
    if rng.random() < 0.5:
        for at in rng.integers(len(data), size=rng.integers(1, 9)):
            data[at] = int(rng.integers(256))
    return bytes(data[: int(rng.integers(len(data)))] if rng.random() < 0.2 else data)


_GOOD: dict[str, Callable[[np.random.Generator, Mapping[str, Any]], Any]] = {
    "cloud": _cloud,
    "image": _image,
    "compressed": _compressed,
    "info": _info,
    "transforms": _transforms,
    "calibration": _calibration,
}
_BYTES: tuple[Change, ...] = (_flip_bytes, _cut, _extend)
_CHANGES: dict[str, tuple[Change, ...]] = {
    "cloud": (
        *_BYTES,
        _special_values,
        _frame,
        _stamp,
        _count_of("height", "width"),
        _count_of("point_step", "row_step"),
        _flags,
        _datatype,
        _field_numbers,
        _rename,
        _drop_field,
        _repeat_fields,
    ),
    "image": (*_BYTES, _frame, _count_of("height", "width", "step"), _encoding),
    "compressed": (*_BYTES, _frame, _format),
    "info": (_frame, _count_of("height", "width"), _matrices, _distortion, _region),
    "transforms": (_pose, _frames),
    "calibration": (_entry, _number),
}
