"""PointCloud2 in, semantic PointCloud2 out: what the node does to a message, without rclpy."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsss_perception.frame import Frame, PointCloud, SemanticCloud, View
from wsss_perception.geometry import Visible
from wsss_perception.input_check import InputCheck
from wsss_perception.messages.point_cloud2 import decode, encode_semantic
from wsss_perception.segmenter import Segmenter, count_seen, see_points

Motion = Callable[[Any, PointCloud], NDArray]
"""Where the points [N, 3] of a message and its decoded cloud are at the cloud's stamp."""


@dataclass(frozen=True)
class Result:
    """A segmented message.

    Attributes:
        message: the input's fields plus label, confidence, seen and rgb.
        frame: what was segmented, and the views.
        semantic: the result for its points.
        seconds: time spent in each stage, in the order of the stages.
        warnings: what is new and suspicious about the input.
        visible: what each view sees.
        is_unlabelled: see ``Segmenter``.
        is_out_of_range: see ``Segmenter``.
    """

    message: Any
    frame: Frame
    semantic: SemanticCloud
    seconds: dict[str, float]
    warnings: list[str]
    visible: tuple[Visible, ...] = ()
    is_unlabelled: bool = False
    is_out_of_range: bool = False

    def visible_in(self, view: View) -> Visible | None:
        """Returns what a view sees, if it was computed for one that is no other but for pixels."""
        for known, visible in zip(self.frame.views, self.visible, strict=True):
            same_place = np.array_equal(known.T_camera_lidar, view.T_camera_lidar)
            if known.camera is view.camera and known.depth is view.depth and same_place:
                return visible
        return None


class Pipeline:
    """Segments messages.

    Args:
        segmenter: labels the points.
    """

    def __init__(self, segmenter: Segmenter) -> None:
        self._segmenter = segmenter
        self._check = InputCheck(segmenter.spec)
        self._palette = segmenter.spec.ontology.palette()
        self._channels = segmenter.spec.channels()

    def __call__(
        self,
        message: Any,
        min_confidence: float,
        intensity_scale: float,
        views: Callable[[], tuple[View, ...]] | None = None,
        motion: Motion | None = None,
        query: NDArray[np.float32] | None = None,
    ) -> Result:
        """Segments a PointCloud2; the points keep their order and number.

        Args:
            message: the cloud, in the LiDAR frame.
            min_confidence: weaker labels become unknown.
            intensity_scale: factor that brings the intensities to those of training.
            views: makes those of the cameras; None for no cameras. A model that takes images asks
                for them first, and any other when the labels are there, which need none.
            motion: undoes the sensor's motion before the points are labelled; None for none. The
                message in the result has the points as they came.
            query: vectors of a phrase to compare every point to, see ``Segmenter``.

        Raises:
            MessageError: the message cannot be decoded or lacks a channel the model needs.
        """
        start = time.perf_counter()
        cloud = decode(message, self._channels, intensity_scale)
        warnings = self._check(cloud)
        seconds = {"decode": time.perf_counter() - start}
        if motion is not None:
            cloud = replace(cloud, xyz=motion(message, cloud))
            seconds["motion"] = time.perf_counter() - start - seconds["decode"]
        self._segmenter.min_confidence, self._segmenter.query = min_confidence, query
        paints = self._segmenter.spec.takes_images
        frame = Frame(cloud)
        visible: tuple[Visible, ...] = ()
        if views is not None and paints:
            frame, visible = _look(cloud, views, seconds)
        semantic = self._segmenter(frame, visible)
        timing = self._segmenter.timing
        seconds |= {"paint": timing.paint} if paints else {}
        seconds |= {
            "voxelize": timing.voxelize,
            "network": timing.network,
            "scatter": timing.scatter,
        }
        if views is not None and not paints:
            frame, visible = _look(cloud, views, seconds)
            semantic = replace(semantic, seen=count_seen(len(cloud), visible))
        begin = time.perf_counter()
        result = encode_semantic(message, semantic, self._palette)
        seconds["encode"] = time.perf_counter() - begin
        amiss = self._segmenter.is_unlabelled, self._segmenter.is_out_of_range
        return Result(result, frame, semantic, seconds, warnings, visible, *amiss)


def _look(
    cloud: PointCloud, views: Callable[[], tuple[View, ...]], seconds: dict[str, float]
) -> tuple[Frame, tuple[Visible, ...]]:
    """Asks for the views of a cloud and finds what they see; notes the seconds of both."""
    begin = time.perf_counter()
    frame = Frame(cloud, views())
    looked = time.perf_counter()
    visible = see_points(cloud.xyz, frame.views)
    seconds |= {"cameras": looked - begin, "seen": time.perf_counter() - looked}
    return frame, visible
