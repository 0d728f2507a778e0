"""Keeps labelled sweeps on disk, so that clouds and teacher maps are joined only once."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from wsss_perception.frame import PointCloud
from wsss_training.data.array_cache import ArrayCache, Arrays
from wsss_training.data.labelled_points import LabelledPoints

FORMAT = 1
"""To be raised with any change of what a reader, a teacher's projection or this file computes."""

_CHANNEL = "channel."
_ATTRIBUTE = "attribute."


class SweepCache:
    """Labelled sweeps by their sample's id.

    A sweep is read and labelled anew when one of its files changes.

    Args:
        folder: of the cache, which any number of sources and processes may share.
        version: all settings that the sweeps and their labels depend on.
    """

    def __init__(self, folder: str | Path, version: str) -> None:
        self._cache = ArrayCache(folder, f"{FORMAT} {version}")

    def get(
        self, sample_id: str, compute: Callable[[], tuple[LabelledPoints, Sequence[Path]]]
    ) -> LabelledPoints:
        """Reads a sweep, or computes and keeps it.

        Args:
            sample_id: of the sweep.
            compute: reads the sweep and its labels, and tells the files they are from.
        """

        def to_arrays() -> tuple[Arrays, Sequence[Path]]:
            points, files = compute()
            return _to_arrays(points), files

        return _from_arrays(self._cache.get_traced(sample_id, to_arrays))


def _to_arrays(points: LabelledPoints) -> Arrays:
    cloud = points.cloud
    return {
        "xyz": cloud.xyz,
        "labels": points.labels,
        "weights": points.weights,
        "stamp": np.array([cloud.stamp], dtype=np.int64),
        "frame_id": np.frombuffer(cloud.frame_id.encode(), dtype=np.uint8),
        **{_CHANNEL + name: values for name, values in cloud.channels.items()},
        **{_ATTRIBUTE + name: values for name, values in points.attributes.items()},
    }


def _from_arrays(arrays: Arrays) -> LabelledPoints:
    channels, attributes = (
        {name.removeprefix(p): values for name, values in arrays.items() if name.startswith(p)}
        for p in (_CHANNEL, _ATTRIBUTE)
    )
    stamp, frame_id = int(arrays["stamp"][0]), arrays["frame_id"].tobytes().decode()
    cloud = PointCloud(arrays["xyz"], channels, stamp, frame_id)
    return LabelledPoints(cloud, arrays["labels"], arrays["weights"], attributes)
