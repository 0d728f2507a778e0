"""Point cloud in, semantic cloud out: the whole job with no ROS and no files."""

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsss_perception.bundle import ModelSpec
from wsss_perception.engines import Engine
from wsss_perception.features import point_features
from wsss_perception.frame import UNKNOWN, Frame, SemanticCloud
from wsss_perception.voxels import voxelize


@dataclass
class Timing:
    """Seconds the last frame spent in each stage."""

    voxelize: float = 0.0
    network: float = 0.0
    scatter: float = 0.0


class Segmenter:
    """Labels every point of a cloud.

    Args:
        spec: the model's description.
        engine: its loaded network.
        min_confidence: weaker labels become UNKNOWN.
    """

    def __init__(self, spec: ModelSpec, engine: Engine, min_confidence: float = 0.0) -> None:
        self.spec = spec
        self.min_confidence = min_confidence
        self.timing = Timing()
        self._engine = engine

    def __call__(self, frame: Frame) -> SemanticCloud:
        """Segments a frame; points that are not finite or out of range are UNKNOWN.

        Raises:
            MessageError: the cloud lacks a channel the model needs.
        """
        cloud, spec = frame.cloud, self.spec
        start = time.perf_counter()
        features = point_features(cloud, spec.features)
        grid = voxelize(cloud.xyz, spec.voxel_size, spec.point_range)
        voxel_features = grid.mean(features)
        voxelized = time.perf_counter()
        if len(grid.coords):
            logits = self._engine(grid.coords, voxel_features)
        else:
            logits = np.zeros((0, len(spec.ontology)), dtype=np.float32)
        computed = time.perf_counter()
        labels, confidence = classify(logits, spec.temperature, self.min_confidence)
        result = SemanticCloud(
            labels=grid.to_points(labels, UNKNOWN),
            confidence=grid.to_points(confidence, 0.0),
            seen=np.zeros(len(cloud), dtype=np.uint8),
        )
        done = time.perf_counter()
        self.timing = Timing(voxelized - start, computed - voxelized, done - computed)
        return result


def classify(
    logits: NDArray[np.float32], temperature: float, min_confidence: float = 0.0
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Turns logits [V, C] into labels uint8 [V] and calibrated confidences float32 [V]."""
    labels = logits.argmax(axis=1).astype(np.uint8)
    scaled = (logits - logits.max(axis=1, keepdims=True)) / np.float32(temperature)
    confidence = 1.0 / np.exp(scaled).sum(axis=1)
    labels[confidence < min_confidence] = UNKNOWN
    return labels, confidence.astype(np.float32)
