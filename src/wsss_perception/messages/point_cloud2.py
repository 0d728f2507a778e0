"""sensor_msgs/PointCloud2 <-> arrays, for messages of rclpy and of rosbags alike."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsss_perception.errors import MessageError
from wsss_perception.frame import PointCloud, SemanticCloud
from wsss_perception.messages.common import MessageTypes, allocate, make_header, stamp_to_ns

INTENSITY_NAMES = ("intensity", "i", "reflectivity")
"""Fields that may hold the channel ``intensity``; the first one a cloud has does."""

_UINT8, _FLOAT32 = 2, 7
_CODES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}
"""numpy's name of each PointField datatype."""

_PADDING_NAMES = ("", "_")
"""Fields that only fill a gap, as PCL writes them."""

_SEMANTIC_FIELDS = {
    "label": (_UINT8, 8),
    "confidence": (_FLOAT32, 0),
    "seen": (_UINT8, 9),
    "rgb": (_FLOAT32, 4),
}
"""Datatype of each field of the result and its offset in a block of 12 bytes."""


@dataclass(frozen=True)
class _Field:
    """A checked PointField: ``count`` values of ``dtype`` at byte ``offset`` of each point."""

    name: str
    offset: int
    dtype: np.dtype
    count: int

    @property
    def end(self) -> int:
        return self.offset + self.dtype.itemsize * self.count


@dataclass(frozen=True)
class _Layout:
    """A checked message.

    Attributes:
        fields: its fields by name, without padding.
        data: its bytes, uint8 [height * row_step] or more.
        points: ``data`` viewed as [height, width, point_step]; [0, 0, 0] without points.
    """

    fields: dict[str, _Field]
    data: NDArray[np.uint8]
    points: NDArray[np.uint8]

    def __len__(self) -> int:
        return self.points.shape[0] * self.points.shape[1]

    def values(self, field: _Field) -> NDArray:
        """Views a field as [height, width, count], in its own dtype."""
        if not len(self):
            return np.zeros((*self.points.shape[:2], field.count), dtype=field.dtype)
        return np.ndarray(
            (*self.points.shape[:2], field.count),
            field.dtype,
            self.data,
            field.offset,
            (*self.points.strides[:2], field.dtype.itemsize),
        )


def decode(
    message: Any, channels: Collection[str] | None = None, intensity_scale: float = 1.0
) -> PointCloud:
    """Decodes a PointCloud2: any field layout, row padding, organised clouds, either endianness.

    Points keep their order, row by row; invalid points (NaN) keep their place. Every other field
    becomes a float32 channel of its name ([N], or [N, count] where count > 1), which rounds
    integers above 2^24. The channel ``intensity`` is the first field there is of
    INTENSITY_NAMES.

    Args:
        message: the PointCloud2, of rclpy or rosbags.
        channels: names of the channels to decode, those the cloud lacks are left out; all by
            default.
        intensity_scale: factor that brings the sensor's intensities to 0..1, such as 1 / 255.

    Raises:
        MessageError: the layout contradicts itself, the data are cut short, or the cloud has no
            x, y, z of a float type.
    """
    layout = _layout(message)
    for axis in "xyz":
        field = layout.fields.get(axis)
        if field is None or field.dtype.kind != "f" or field.count != 1:
            raise MessageError(
                f"{_where(message)}: no field '{axis}' of type FLOAT32 or FLOAT64; the fields are "
                f"{sorted(layout.fields) or 'none'}: choose a topic whose clouds hold x, y and z"
            )
    xyz = np.empty((len(layout), 3), dtype=np.float32)
    grid = xyz.reshape(*layout.points.shape[:2], 3)
    decoded = {}
    with np.errstate(over="ignore", invalid="ignore"):  # doubles beyond float32 become infinite
        for column, axis in enumerate("xyz"):
            grid[..., column] = layout.values(layout.fields[axis])[..., 0]
        for name, field in _channel_fields(layout).items():
            if channels is None or name in channels:
                values = layout.values(field).astype(np.float32).reshape(len(layout), field.count)
                decoded[name] = values[:, 0] if field.count == 1 else values
    if intensity_scale != 1.0 and "intensity" in decoded:
        decoded["intensity"] *= np.float32(intensity_scale)
    header = message.header
    return PointCloud(xyz, decoded, stamp_to_ns(header.stamp), header.frame_id)


def coarse_channels(message: Any) -> set[str]:
    """Names the channels whose values ``decode`` would round away, as those of epoch seconds.

    These are the ones that float32 rounds by more than 0.001, and by more than a thousandth of the
    range that they have in this cloud.

    Args:
        message: the PointCloud2, of rclpy or rosbags.

    Raises:
        MessageError: as of ``decode``.
    """
    layout, coarse = _layout(message), set()
    for name, field in _channel_fields(layout).items():
        if len(layout) and field.dtype.itemsize >= 4 and field.dtype != np.float32:
            values = layout.values(field).astype(np.float64)
            values = values[np.abs(values) < np.finfo(np.float32).max]  # finite in either
            if values.size:
                error = np.abs(values.astype(np.float32) - values).max()
                if error > 1e-3 * max(values.max() - values.min(), 1.0):
                    coarse.add(name)
    return coarse


def encode_semantic(message: Any, semantic: SemanticCloud, palette: NDArray[np.uint8]) -> Any:
    """Adds the result to the cloud it was computed from.

    The output has the input's header, height, width, is_dense, byte order and fields with the
    same bytes, plus ``label`` (UINT8), ``confidence`` (FLOAT32), ``seen`` (UINT8) and ``rgb``
    (FLOAT32 holding the bits 0x00RRGGBB of the class colour, as RViz and PCL read it). Input
    fields of these names are replaced; padding of rows is dropped.

    Args:
        message: the input PointCloud2, of rclpy or rosbags; it is not changed.
        semantic: result for its points, in their order.
        palette: RGB colours uint8 [256, 3] by label.

    Returns:
        A new PointCloud2 of the input's class.

    Raises:
        MessageError: the input cannot be decoded, or has another number of points.
    """
    layout = _layout(message)
    if len(semantic.labels) != len(layout):
        raise MessageError(
            f"{_where(message)}: {len(layout)} points cannot take {len(semantic.labels)} labels; "
            "encode the result into the cloud it was computed from"
        )
    kept = {name: f for name, f in layout.fields.items() if name not in _SEMANTIC_FIELDS}
    start = -(-max((f.end for f in kept.values()), default=0) // 4) * 4
    block = _semantic_dtype(">" if message.is_bigendian else "<")
    step = start + block.itemsize
    cls, point_field = type(message), type(message.fields[0])
    container, data = allocate(cls, step * len(layout))
    points = data.reshape(*layout.points.shape[:2], step)
    copied = min(start, layout.points.shape[2])
    points[..., :copied] = layout.points[..., :copied]
    added = np.ndarray((len(layout),), block, data, start if len(layout) else 0, (step,))
    added["label"] = semantic.labels
    added["confidence"] = semantic.confidence
    added["seen"] = semantic.seen
    added["rgb"] = _pack_rgb(palette)[semantic.labels]
    new = [
        point_field(name=name, offset=start + offset, datatype=datatype, count=1)
        for name, (datatype, offset) in _SEMANTIC_FIELDS.items()
    ]
    return cls(
        header=message.header,
        height=int(message.height),
        width=int(message.width),
        fields=[field for field in message.fields if field.name in kept] + new,
        is_bigendian=bool(message.is_bigendian),
        point_step=step,
        row_step=step * layout.points.shape[1],
        data=container,
        is_dense=bool(message.is_dense),
    )


def encode_cloud(cloud: PointCloud, types: MessageTypes) -> Any:
    """Encodes a cloud as an unorganised PointCloud2: x, y, z and its channels, all FLOAT32.

    Args:
        cloud: the points; stamp and frame go into the header.
        types: the message classes.
    """
    columns = {"x": cloud.xyz[:, :1], "y": cloud.xyz[:, 1:2], "z": cloud.xyz[:, 2:]}
    columns |= {n: v if v.ndim == 2 else v[:, None] for n, v in cloud.channels.items()}
    fields, step = [], 0
    for name, values in columns.items():
        count = values.shape[1]
        fields.append(
            types["sensor_msgs/msg/PointField"](
                name=name, offset=step, datatype=_FLOAT32, count=count
            )
        )
        step += 4 * count
    cls = types["sensor_msgs/msg/PointCloud2"]
    container, data = allocate(cls, step * len(cloud))
    values_out = data.view("<f4").reshape(len(cloud), step // 4)
    np.concatenate(list(columns.values()), axis=1, out=values_out)
    return cls(
        header=make_header(cloud.stamp, cloud.frame_id, types),
        height=1,
        width=len(cloud),
        fields=fields,
        is_bigendian=False,
        point_step=step,
        row_step=step * len(cloud),
        data=container,
        is_dense=bool(np.isfinite(cloud.xyz).all()),
    )


def _layout(message: Any) -> _Layout:
    """Checks a message's description of its bytes against the bytes there are."""
    where = _where(message)
    fields: dict[str, _Field] = {}
    for entry in message.fields:
        if entry.name in _PADDING_NAMES:
            continue
        if entry.name in fields:
            raise MessageError(f"{where}: two fields are named '{entry.name}'; rename one")
        fields[entry.name] = _field(entry, message, where)
    height, width = int(message.height), int(message.width)
    step, row_step = int(message.point_step), int(message.row_step)
    if not height * width:
        return _Layout(fields, np.zeros(0, dtype=np.uint8), np.zeros((0, 0, 0), dtype=np.uint8))
    if row_step < width * step:
        raise MessageError(
            f"{where}: row_step {row_step} is less than {width} points of {step} bytes; "
            "the publisher must set row_step to at least width * point_step"
        )
    if len(message.data) < height * row_step:
        raise MessageError(
            f"{where}: {len(message.data)} bytes of data are fewer than {height} rows of "
            f"{row_step}; the message is cut short"
        )
    data = np.frombuffer(message.data, dtype=np.uint8)
    points = np.ndarray((height, width, step), np.uint8, data, 0, (row_step, step, 1))
    return _Layout(fields, data, points)


def _field(entry: Any, message: Any, where: str) -> _Field:
    code = _CODES.get(int(entry.datatype))
    if code is None:
        raise MessageError(
            f"{where}: field '{entry.name}' has the unknown datatype {entry.datatype}; "
            "sensor_msgs/PointField knows 1 to 8"
        )
    dtype = np.dtype((">" if message.is_bigendian else "<") + code)
    count = max(int(entry.count), 1)  # PCL reads 0 as 1
    field = _Field(entry.name, int(entry.offset), dtype, count)
    if field.end > message.point_step:
        raise MessageError(
            f"{where}: field '{entry.name}' ends at byte {field.end} of a point, but point_step "
            f"is {message.point_step}; the publisher's offsets or point_step are wrong"
        )
    return field


def _channel_fields(layout: _Layout) -> dict[str, _Field]:
    """Returns the field of each channel."""
    fields = {name: field for name, field in layout.fields.items() if name not in "xyz"}
    source = next((name for name in INTENSITY_NAMES if name in fields), None)
    if source is not None:
        fields = {"intensity" if n == source else n: field for n, field in fields.items()}
    return fields


def _semantic_dtype(byte_order: str) -> np.dtype:
    """Structured dtype of the added block; rgb as UINT32, whose bits are what is stored."""
    formats = [
        byte_order + ("u4" if name == "rgb" else _CODES[datatype])
        for name, (datatype, _) in _SEMANTIC_FIELDS.items()
    ]
    offsets = [offset for _, offset in _SEMANTIC_FIELDS.values()]
    names = list(_SEMANTIC_FIELDS)
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": 12})


def _pack_rgb(palette: NDArray[np.uint8]) -> NDArray[np.uint32]:
    red, green, blue = palette.astype(np.uint32).T
    return (red << 16) | (green << 8) | blue


def _where(message: Any) -> str:
    stamp = message.header.stamp
    return f"cloud of {stamp.sec}.{stamp.nanosec:09d} in frame '{message.header.frame_id}'"
