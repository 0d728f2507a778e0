"""Where a PointCloud2 keeps its values: its fields, checked against the bytes there are."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsss_perception.errors import MessageError

TYPE_CODES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}
"""numpy's name of each PointField datatype."""

_PADDING_NAMES = ("", "_")
"""Fields that only fill a gap, as PCL writes them."""


@dataclass(frozen=True)
class Field:
    """A checked PointField: ``count`` values of ``dtype`` at byte ``offset`` of each point."""

    name: str
    offset: int
    dtype: np.dtype
    count: int

    @property
    def end(self) -> int:
        """The byte of a point after the field's last one."""
        return self.offset + self.dtype.itemsize * self.count


@dataclass(frozen=True)
class Layout:
    """A checked message.

    Attributes:
        fields: its fields by name, without padding.
        data: its bytes, uint8; those of all rows, or more.
        points: ``data`` viewed as [height, width, point_step]; [0, 0, 0] without points.
    """

    fields: dict[str, Field]
    data: NDArray[np.uint8]
    points: NDArray[np.uint8]

    def __len__(self) -> int:
        return self.points.shape[0] * self.points.shape[1]

    def heads(self, size: int) -> NDArray[np.void]:
        """Views the first ``size`` bytes of each point as one element, [height, width]."""
        return np.ndarray(
            self.points.shape[:2],
            np.dtype((np.void, size)),
            self.data,
            0,
            self.points.strides[:2],
        )

    def values(self, field: Field) -> NDArray:
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


def read_layout(message: Any) -> Layout:
    """Checks a message's description of its bytes against the bytes there are.

    A single row needs no ``row_step``, and publishers that leave it unset or count points in it
    are common; it is looked at only where there are more rows.

    Args:
        message: the PointCloud2, of rclpy or rosbags.

    Raises:
        MessageError: the layout contradicts itself, or the data are cut short.
    """
    where = describe(message)
    fields: dict[str, Field] = {}
    for entry in message.fields:
        if entry.name in _PADDING_NAMES:
            continue
        if entry.name in fields:
            raise MessageError(f"{where}: two fields are named '{entry.name}'; rename one")
        fields[entry.name] = _field(entry, message, where)
    height, width = int(message.height), int(message.width)
    step = int(message.point_step)
    row_step = width * step if height == 1 else int(message.row_step)
    if not height * width:
        return Layout(fields, np.zeros(0, dtype=np.uint8), np.zeros((0, 0, 0), dtype=np.uint8))
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
    return Layout(fields, data, points)


def _field(entry: Any, message: Any, where: str) -> Field:
    code = TYPE_CODES.get(int(entry.datatype))
    if code is None:
        raise MessageError(
            f"{where}: field '{entry.name}' has the unknown datatype {entry.datatype}; "
            "sensor_msgs/PointField knows 1 to 8"
        )
    dtype = np.dtype((">" if message.is_bigendian else "<") + code)
    count = max(int(entry.count), 1)  # PCL reads 0 as 1
    field = Field(entry.name, int(entry.offset), dtype, count)
    if field.end > message.point_step:
        raise MessageError(
            f"{where}: field '{entry.name}' ends at byte {field.end} of a point, but point_step "
            f"is {message.point_step}; the publisher's offsets or point_step are wrong"
        )
    return field


def describe(message: Any) -> str:
    """Names a cloud in messages of errors."""
    stamp = message.header.stamp
    return f"cloud of {stamp.sec}.{stamp.nanosec:09d} in frame '{message.header.frame_id}'"
