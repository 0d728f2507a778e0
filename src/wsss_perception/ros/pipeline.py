"""PointCloud2 in, semantic PointCloud2 out: what the node does to a message, without rclpy."""

import time
from dataclasses import dataclass
from typing import Any

from wsss_perception.frame import Frame
from wsss_perception.messages.point_cloud2 import decode, encode_semantic
from wsss_perception.ros.input_check import InputCheck
from wsss_perception.segmenter import Segmenter


@dataclass(frozen=True)
class Result:
    """A segmented message.

    Attributes:
        message: the input's fields plus label, confidence, seen and rgb.
        seconds: time spent in each stage, in the order of the stages.
        warnings: what is new and suspicious about the input.
    """

    message: Any
    seconds: dict[str, float]
    warnings: list[str]


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

    def __call__(self, message: Any, min_confidence: float, intensity_scale: float) -> Result:
        """Segments a PointCloud2; the points keep their order and number.

        Args:
            message: the cloud, in the LiDAR frame.
            min_confidence: weaker labels become unknown.
            intensity_scale: factor that brings the intensities to those of training.

        Raises:
            MessageError: the message cannot be decoded or lacks a channel the model needs.
        """
        start = time.perf_counter()
        cloud = decode(message, self._channels, intensity_scale)
        warnings = self._check(cloud)
        decoded = time.perf_counter()
        self._segmenter.min_confidence = min_confidence
        semantic = self._segmenter(Frame(cloud))
        segmented = time.perf_counter()
        result = encode_semantic(message, semantic, self._palette)
        timing = self._segmenter.timing
        seconds = {
            "decode": decoded - start,
            "voxelize": timing.voxelize,
            "network": timing.network,
            "scatter": timing.scatter,
            "encode": time.perf_counter() - segmented,
        }
        return Result(result, seconds, warnings)
