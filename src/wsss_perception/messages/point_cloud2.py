"""sensor_msgs/PointCloud2 <-> arrays, for messages of rclpy and of rosbags alike."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsss_perception.errors import MessageError
from wsss_perception.frame import PointCloud, SemanticCloud
from wsss_perception.messages.common import (
    MessageTypes,
    make_header,
    make_message,
    stamp_to_ns,
)
from wsss_perception.messages.point_layout import TYPE_CODES, Field, Layout, describe, read_layout

INTENSITY_NAMES = ("intensity", "i", "reflectivity")
"""Fields that may hold the channel ``intensity``; the first one a cloud has does."""

_AXES = ("x", "y", "z")
_UINT8, _FLOAT32 = 2, 7
_SEMANTIC_FIELDS = {
    "label": (_UINT8, 8),
    "confidence": (_FLOAT32, 0),
    "seen": (_UINT8, 9),
    "rgb": (_FLOAT32, 4),
}
_QUERY_FIELDS = {"similarity": (_FLOAT32, 0), "rgb": (_FLOAT32, 4)}
"""Datatype of each field of a result and its offset in the block that is added to a point."""

_Fields = Mapping[str, tuple[int, int]]


def decode(
    message: Any, channels: Collection[str] | None = None, intensity_scale: float = 1.0
) -> PointCloud:
    """Decodes a PointCloud2: any field layout, row padding, organised clouds, either endianness.

    Points keep their order, row by row; invalid points keep their place. Those at exactly
    (0, 0, 0), which several drivers write for a beam without return, become NaN (REP-117). Every
    other field becomes a float32 channel of its name ([N], or [N, count] where count > 1), which
    rounds integers above 2^24. The channel ``intensity`` is the first field there is of
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
    layout = read_layout(message)
    for axis in _AXES:
        field = layout.fields.get(axis)
        if field is None or field.dtype.kind != "f" or field.count != 1:
            raise MessageError(
                f"{describe(message)}: no field '{axis}' of type FLOAT32 or FLOAT64; the fields "
                f"are {sorted(layout.fields) or 'none'}: choose a topic whose clouds hold x, y, z"
            )
    xyz = np.empty((len(layout), 3), dtype=np.float32)
    grid = xyz.reshape(*layout.points.shape[:2], 3)
    decoded = {}
    with np.errstate(over="ignore", invalid="ignore"):  # doubles beyond float32 become infinite
        for column, axis in enumerate(_AXES):
            grid[..., column] = layout.values(layout.fields[axis])[..., 0]
        for name, field in _channel_fields(layout).items():
            if channels is None or name in channels:
                values = layout.values(field).astype(np.float32).reshape(len(layout), field.count)
                decoded[name] = values[:, 0] if field.count == 1 else values
    x, y, z = xyz.T  # by column: xyz.any(axis=1) takes many times as long
    if not x.all():
        xyz[(x == 0) & (y == 0) & (z == 0)] = np.nan
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
    layout, coarse = read_layout(message), set()
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
    values: dict[str, NDArray] = {
        "label": semantic.labels,
        "confidence": semantic.confidence,
        "seen": semantic.seen,
        "rgb": _pack_rgb(palette)[semantic.labels],
    }
    return _add_fields(message, _SEMANTIC_FIELDS, 12, values)


def encode_query(
    message: Any,
    similarity: NDArray[np.float32],
    levels: NDArray[np.uint8],
    palette: NDArray[np.uint8],
) -> Any:
    """Adds how alike its points are to a phrase to a cloud; otherwise as ``encode_semantic``.

    The new fields are ``similarity`` and ``rgb`` (both FLOAT32).

    Args:
        message: the input PointCloud2, of rclpy or rosbags; it is not changed.
        similarity: of its points [N], in their order.
        levels: of their colours, uint8 [N].
        palette: RGB colours uint8 [256, 3] by level.

    Raises:
        MessageError: as of ``encode_semantic``.
    """
    values = {"similarity": similarity, "rgb": _pack_rgb(palette)[levels]}
    return _add_fields(message, _QUERY_FIELDS, 8, values)


def _add_fields(message: Any, fields: _Fields, size: int, values: Mapping[str, NDArray]) -> Any:
    """Adds a block of ``size`` bytes to the points of a cloud, in the place of equal fields."""
    layout = read_layout(message)
    count = len(next(iter(values.values())))
    if count != len(layout):
        raise MessageError(
            f"{describe(message)}: {len(layout)} points cannot take {count} labels; "
            "encode the result into the cloud it was computed from"
        )
    kept = {name: f for name, f in layout.fields.items() if name not in fields}
    start = -(-max((f.end for f in kept.values()), default=0) // 4) * 4
    step, point_field = start + size, type(message.fields[0])
    new = [
        point_field(name=name, offset=start + offset, datatype=datatype, count=1)
        for name, (datatype, offset) in fields.items()
    ]
    result, data = make_message(
        type(message),
        step * len(layout),
        header=message.header,
        height=int(message.height),
        width=int(message.width),
        fields=[field for field in message.fields if field.name in kept] + new,
        is_bigendian=bool(message.is_bigendian),
        point_step=step,
        row_step=step * layout.points.shape[1],
        is_dense=bool(message.is_dense),
    )
    if len(data):
        copied = min(start, layout.points.shape[2])
        head = np.dtype((np.void, copied))  # one element: twice as fast as its bytes
        points = np.ndarray((len(layout),), head, data, 0, (step,))
        points.reshape(layout.points.shape[:2])[...] = layout.heads(copied)
        added = _block_dtype(">" if message.is_bigendian else "<", fields, size)
        block = np.ndarray((len(layout),), added, data, start, (step,))
        for name, column in values.items():
            block[name] = column
    return result


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
    message, data = make_message(
        types["sensor_msgs/msg/PointCloud2"],
        step * len(cloud),
        header=make_header(cloud.stamp, cloud.frame_id, types),
        height=1,
        width=len(cloud),
        fields=fields,
        is_bigendian=False,
        point_step=step,
        row_step=step * len(cloud),
        is_dense=bool(np.isfinite(cloud.xyz).all()),
    )
    values_out = data.view("<f4").reshape(len(cloud), step // 4)
    np.concatenate(list(columns.values()), axis=1, out=values_out)
    return message


def _channel_fields(layout: Layout) -> dict[str, Field]:
    """Returns the field of each channel."""
    fields = {name: field for name, field in layout.fields.items() if name not in _AXES}
    source = next((name for name in INTENSITY_NAMES if name in fields), None)
    if source is not None:
        fields = {"intensity" if n == source else n: field for n, field in fields.items()}
    return fields


def _block_dtype(byte_order: str, fields: _Fields, size: int) -> np.dtype:
    """Structured dtype of the added block; rgb as UINT32, whose bits are what is stored."""
    formats = [
        byte_order + ("u4" if name == "rgb" else TYPE_CODES[datatype])
        for name, (datatype, _) in fields.items()
    ]
    offsets = [offset for _, offset in fields.values()]
    return np.dtype(
        {"names": list(fields), "formats": formats, "offsets": offsets, "itemsize": size}
    )


def _pack_rgb(palette: NDArray[np.uint8]) -> NDArray[np.uint32]:
    red, green, blue = palette.astype(np.uint32).T
    return (red << 16) | (green << 8) | blue
