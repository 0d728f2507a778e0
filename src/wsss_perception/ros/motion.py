"""Motion compensation by the transforms of the graph."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsss_perception.errors import GeometryError, MessageError
from wsss_perception.frame import PointCloud
from wsss_perception.motion import compensate, point_times
from wsss_perception.ros.extrinsics import Extrinsics


class MotionCompensation:
    """Moves points to where they are at their cloud's stamp; leaves them where that is not known.

    Args:
        extrinsics: tells the LiDAR's pose in the fixed frame.
        warn: told why a cloud is left as it is.
    """

    def __init__(self, extrinsics: Extrinsics, warn: Callable[[str], None]) -> None:
        self._extrinsics = extrinsics
        self._warn = warn

    def __call__(self, message: Any, cloud: PointCloud) -> NDArray[np.float32]:
        """Returns the points [N, 3] of a PointCloud2 and its decoded cloud."""
        try:
            return self._compensate(message, cloud)
        except (GeometryError, MessageError) as error:
            self._warn(f"cloud not compensated for motion: {error}")
            return cloud.xyz

    def _compensate(self, message: Any, cloud: PointCloud) -> NDArray[np.float32]:
        seconds = point_times(message)
        if seconds is None:
            raise MessageError("its points carry no times; turn motion_compensation off")
        known = seconds[np.isfinite(seconds)]
        last = cloud.stamp + round(1e9 * float(known.max(initial=0.0)))
        self._extrinsics.wait_for(cloud.frame_id, last)
        pose = partial(self._extrinsics.pose, cloud.frame_id)
        return compensate(cloud.xyz, seconds, pose, cloud.stamp)
