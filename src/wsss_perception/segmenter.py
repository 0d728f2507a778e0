"""Point cloud in, semantic cloud out: the whole job with no ROS and no files."""

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsss_perception.bundle import ModelSpec
from wsss_perception.embedding import similarities
from wsss_perception.engines import Engine
from wsss_perception.features import point_features
from wsss_perception.frame import UNKNOWN, Frame, PointCloud, SemanticCloud, View
from wsss_perception.geometry import Visible, visible_points
from wsss_perception.painting import paint
from wsss_perception.voxels import VoxelGrid, voxelize


@dataclass
class Timing:
    """Seconds the last frame spent in each stage."""

    voxelize: float = 0.0
    network: float = 0.0
    scatter: float = 0.0
    seen: float = 0.0
    paint: float = 0.0


class Segmenter:
    """Labels every point of a cloud.

    Args:
        spec: the model's description.
        engine: its loaded network.
        min_confidence: weaker labels become UNKNOWN.

    Attributes:
        query: vectors [m, K] of a phrase to compare every point to, see ``ClassTexts``; None for
            none. May be changed.
        timing: of the last frame.
        is_unlabelled: whether none of the last frame's points that are in range has a label, though
            none is too weak: the network does not work.
        is_out_of_range: whether the last frame has points, but none that is valid and in range.
    """

    def __init__(self, spec: ModelSpec, engine: Engine, min_confidence: float = 0.0) -> None:
        self.spec = spec
        self.min_confidence = min_confidence
        self.query: NDArray[np.float32] | None = None
        self.timing = Timing()
        self.is_unlabelled = False
        self.is_out_of_range = False
        self._engine = engine

    def __call__(self, frame: Frame, visible: tuple[Visible, ...] | None = None) -> SemanticCloud:
        """Segments a frame.

        Points out of range, or with a coordinate or feature that is not finite, are UNKNOWN. Where
        the model takes images, the cloud is painted with those of the views first; without any it
        goes by the cloud alone.

        Args:
            frame: the cloud and the views that count as seeing its points.
            visible: what each view sees, where that is known; found by ``see_points`` otherwise.

        Raises:
            MessageError: the cloud lacks a channel the model needs, or an image that is to be
                painted has another size than its camera.
            BundleError: the texts of a model that answers them are not loaded.
        """
        cloud, spec = frame.cloud, self.spec
        times = [time.perf_counter()]
        if visible is None:
            visible = see_points(cloud.xyz, frame.views)
        seen = count_seen(len(cloud), visible)
        times.append(time.perf_counter())
        if spec.takes_images:
            cloud = paint(cloud, frame.views, visible)
        times.append(time.perf_counter())
        grid, features = voxel_features(cloud, spec)
        times.append(time.perf_counter())
        if len(grid.coords):
            outputs = self._engine(grid.coords, features)
        else:
            outputs = np.zeros((0, spec.outputs), dtype=np.float32)
        times.append(time.perf_counter())
        logits = spec.class_logits(outputs)
        labels, confidence = classify(logits, spec.temperature, self.min_confidence)
        accepts_all = self.min_confidence <= 0
        self.is_out_of_range = len(cloud) > 0 and not len(grid.coords)
        self.is_unlabelled = accepts_all and len(labels) > 0 and bool((labels == UNKNOWN).all())
        likeness = None if self.query is None else similarities(outputs, self.query)
        result = SemanticCloud(
            labels=grid.to_points(labels, UNKNOWN),
            confidence=grid.to_points(confidence, 0.0),
            seen=seen,
            similarity=None if likeness is None else grid.to_points(likeness, np.nan),
        )
        times.append(time.perf_counter())
        stages = ("seen", "paint", "voxelize", "network", "scatter")
        self.timing = Timing(**dict(zip(stages, np.diff(times).tolist(), strict=True)))
        return result


def voxel_features(cloud: PointCloud, spec: ModelSpec) -> tuple[VoxelGrid, NDArray[np.float32]]:
    """Computes a network's input: the voxels of a cloud and their mean features [V, F].

    Points out of range, or with a coordinate or feature that is not finite, are in no voxel: one
    NaN would spread in the network.

    Raises:
        MessageError: the cloud lacks a channel the model needs.
    """
    features = point_features(cloud, spec.features)
    finite = np.isfinite(features).all(axis=1, keepdims=True)
    xyz = cloud.xyz if finite.all() else np.where(finite, cloud.xyz, np.float32("nan"))
    grid = voxelize(xyz, spec.voxel_size, spec.point_range)
    return grid, grid.mean(features)


def classify(
    logits: NDArray[np.float32], temperature: float, min_confidence: float = 0.0
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Turns logits [V, C] into labels uint8 [V] and calibrated confidences float32 [V].

    Voxels below ``min_confidence``, or with logits that are not finite, are UNKNOWN with
    confidence 0.
    """
    labels = logits.argmax(axis=1).astype(np.uint8)
    with np.errstate(invalid="ignore"):
        scaled = (logits - logits.max(axis=1, keepdims=True)) / np.float32(temperature)
    confidence = 1.0 / np.exp(scaled).sum(axis=1)
    known = confidence >= min_confidence  # NaN is not
    labels[~known] = UNKNOWN
    return labels, np.where(known, confidence, 0.0).astype(np.float32)


def count_views(xyz: NDArray[np.float32], views: tuple[View, ...]) -> NDArray[np.uint8]:
    """Counts the views that see each point [N, 3] -> uint8 [N]."""
    return count_seen(len(xyz), see_points(xyz, views))


def see_points(xyz: NDArray[np.float32], views: tuple[View, ...]) -> tuple[Visible, ...]:
    """Finds, for each view, the points [N, 3] that it sees; see ``visible_points``.

    Depth images have no say: robots have none, and what a model is given must be what it learned.
    """
    return tuple(visible_points(xyz, view.camera, view.T_camera_lidar) for view in views)


def count_seen(count: int, visible: tuple[Visible, ...]) -> NDArray[np.uint8]:
    """Counts for each of ``count`` points the views that see it -> uint8 [count]."""
    seen = np.zeros(count, dtype=np.uint8)
    for index, _ in visible:
        seen[index] += 1
    return seen
