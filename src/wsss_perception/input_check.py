"""Warns when clouds differ from those a model was trained on."""

import numpy as np

from wsss_perception.bundle import ModelSpec
from wsss_perception.errors import MessageError
from wsss_perception.features import Feature, point_features
from wsss_perception.frame import PointCloud

_SAMPLE = 10_000
"""About so many points are looked at: enough for a median."""


class InputCheck:
    """Compares the median of each input feature of the valid points with its range in training.

    Args:
        spec: the model, with the statistics of its training input.
    """

    def __init__(self, spec: ModelSpec) -> None:
        names = [feature.name for feature in spec.features]
        self._ranges = {
            name: (np.float32(statistics["p01"]), np.float32(statistics["p99"]))
            for name, statistics in spec.input_statistics.items()
            if name in names
        }

    def __call__(self, cloud: PointCloud) -> list[str]:
        """Returns a warning for each feature that is outside now and was not before."""
        sample = cloud.select(np.arange(0, len(cloud), max(1, len(cloud) // _SAMPLE)))
        warnings = []
        for name in list(self._ranges):
            low, high = self._ranges[name]
            median = _median(sample, name)
            if median is not None and not low <= median <= high:
                del self._ranges[name]
                warnings.append(_describe(name, median, low, high))
        return warnings


def _median(cloud: PointCloud, name: str) -> np.float32 | None:
    try:
        values = point_features(cloud, (Feature(name),))[:, 0]
    except MessageError:  # a channel the cloud lacks: the model's fill value stands in
        return None
    values = values[np.isfinite(values) & np.isfinite(cloud.xyz).all(axis=1)]
    return np.median(values) if len(values) else None


def _describe(name: str, median: np.float32, low: np.float32, high: np.float32) -> str:
    advice = (
        "set 'intensity_scale' (of commands: --intensity-scale) to the factor that brings the "
        "sensor's intensities to those of training"
        if name == "intensity"
        else "the labels may be poor; check the sensor's mounting and its driver"
    )
    return (
        f"the median {name} of the clouds is {median:.4g}; 98 % of the training input was "
        f"between {low:.4g} and {high:.4g}: {advice}"
    )
