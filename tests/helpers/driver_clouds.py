"""Clouds laid out as LiDAR drivers and bag converters publish them."""

from dataclasses import dataclass

import numpy as np

from wsss_perception.messages.common import make_header, make_message

DATATYPES = {"i1": 1, "u1": 2, "i2": 3, "u2": 4, "i4": 5, "u4": 6, "f4": 7, "f8": 8}
STAMP = 1_700_000_000_123_456_789
XYZ = (("x", 0, "f4"), ("y", 4, "f4"), ("z", 8, "f4"))


@dataclass(frozen=True)
class Driver:
    """What one driver publishes.

    Attributes:
        fields: name, byte offset and numpy type of each.
        step: bytes per point.
        shape: rows and columns; one row where the cloud is not organised.
        invalid: coordinate of a beam without return, where the driver publishes those.
        per_second: units of its field ``timestamp``, which counts since the epoch.
    """

    fields: tuple[tuple[str, int, str], ...]
    step: int
    shape: tuple[int, int] = (1, 300)
    invalid: float | None = None
    per_second: float = 1.0


DRIVERS = {
    "velodyne": Driver((*XYZ, ("intensity", 12, "f4"), ("ring", 16, "u2"), ("time", 18, "f4")), 22),
    "velodyne organised": Driver(
        (*XYZ, ("intensity", 12, "f4"), ("ring", 16, "u2"), ("time", 18, "f4")),
        22,
        (16, 25),
        np.nan,
    ),
    "velodyne of ROS 1": Driver(
        (*XYZ, ("intensity", 16, "f4"), ("ring", 20, "u2"), ("time", 24, "f4")), 32
    ),
    "ouster": Driver(
        (
            *XYZ,
            ("intensity", 16, "f4"),
            ("t", 20, "u4"),
            ("reflectivity", 24, "u2"),
            ("ring", 26, "u2"),
            ("ambient", 28, "u2"),
            ("range", 32, "u4"),
        ),
        48,
        (32, 16),
        0.0,
    ),
    "hesai": Driver(
        (*XYZ, ("intensity", 12, "f4"), ("ring", 16, "u2"), ("timestamp", 18, "f8")), 26
    ),
    "livox": Driver(
        (
            *XYZ,
            ("intensity", 12, "f4"),
            ("tag", 16, "u1"),
            ("line", 17, "u1"),
            ("timestamp", 18, "f8"),
        ),
        26,
        per_second=1e9,
    ),
    "robosense": Driver(
        (*XYZ, ("intensity", 12, "f4"), ("ring", 16, "u2"), ("timestamp", 18, "f8")),
        26,
        (40, 16),  # columns of the sensor are the rows of its message
        np.nan,
    ),
    "robosense through PCL": Driver(
        (*XYZ, ("intensity", 16, "u1"), ("ring", 18, "u2"), ("timestamp", 24, "f8")),
        32,
        (40, 16),
        np.nan,
    ),
    "nuscenes bag": Driver((*XYZ, ("intensity", 12, "f4"), ("ring", 16, "f4")), 20),
    "kitti bag": Driver((*XYZ, ("i", 12, "f4")), 16),
}


def make_driver_cloud(name, types, seed=0):
    """Makes a cloud of a driver.

    Returns:
        The message, and its values by field, [N] in the field's own type.
    """
    driver = DRIVERS[name]
    rows, columns = driver.shape
    rng = np.random.default_rng(seed)
    values = {field: _draw(rng, field, kind, rows * columns) for field, _, kind in driver.fields}
    if "timestamp" in values:
        values["timestamp"] *= driver.per_second
    if driver.invalid is not None:
        lost = rng.random(rows * columns) < 0.2
        for axis in "xyz":
            values[axis][lost] = driver.invalid
    cls, field_class = (types[f"sensor_msgs/msg/{n}"] for n in ("PointCloud2", "PointField"))
    message, data = make_message(
        cls,
        rows * columns * driver.step,
        header=make_header(STAMP, name.partition(" ")[0], types),
        height=rows,
        width=columns,
        fields=[
            field_class(name=field, offset=offset, datatype=DATATYPES[kind], count=1)
            for field, offset, kind in driver.fields
        ],
        is_bigendian=False,
        point_step=driver.step,
        row_step=columns * driver.step,
        is_dense=not np.isnan(values["x"]).any(),
    )
    points = data.view(
        {
            "names": list(values),
            "formats": ["<" + kind for _, _, kind in driver.fields],
            "offsets": [offset for _, offset, _ in driver.fields],
            "itemsize": driver.step,
        }
    )
    for field, column in values.items():
        points[field] = column
    return message, values


def _draw(rng, field, kind, count):
    """Draws values of a field; times are those of a sweep of 0.1 s."""
    if field in "xyz":
        return rng.normal(0, 20, count).astype(np.float32)
    if field == "timestamp":
        return STAMP / 1e9 + np.linspace(0, 0.1, count)
    if field == "time":
        return np.linspace(-0.1, 0, count, dtype=np.float32)
    if field == "t":
        return np.linspace(0, 1e8, count).astype(np.uint32)
    largest = 63 if field in ("ring", "line") else 255
    return rng.integers(0, largest + 1, count).astype(kind)
