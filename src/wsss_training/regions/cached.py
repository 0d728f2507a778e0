"""Regions of clouds, kept on disk: finding them takes seconds."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsss_perception.frame import PointCloud
from wsss_training.data.array_cache import ArrayCache, digest_arrays
from wsss_training.regions import REGION_VERSION, REGIONS

_REGION = "region"


class CachedRegions:
    """Partitions the clouds of samples, each one once.

    What is kept belongs to the cloud itself, and not to files: that a sample is read with other
    images or labels does not matter.

    Args:
        kind: key of ``REGIONS``.
        folder: keeps the regions.

    Attributes:
        version: tells regions of one kind and program from others.
    """

    def __init__(self, kind: str, folder: Path) -> None:
        self.version = f"{kind} {REGION_VERSION}"
        self._partition = REGIONS[kind]
        self._cache = ArrayCache(folder, f"regions {self.version}")

    def __call__(self, sample_id: str, cloud: PointCloud) -> NDArray[np.int32]:
        """The region of each point of a sample's cloud, int32 [N]; -1 for none."""

        def compute() -> dict[str, NDArray]:
            return {_REGION: self._partition(cloud)}

        known = digest_arrays({"xyz": cloud.xyz, **cloud.channels})
        return self._cache.get(sample_id, [known], compute)[_REGION]
