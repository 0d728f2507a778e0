"""What the node publishes: only what somebody listens to is computed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image, PointCloud2

from wsss_perception.frame import View
from wsss_perception.heat import heat_levels, heat_palette
from wsss_perception.legend import draw_legend
from wsss_perception.messages import image, label_info
from wsss_perception.messages.point_cloud2 import encode_query
from wsss_perception.ontology import Ontology, ground_classes
from wsss_perception.outputs import class_mask, select_points
from wsss_perception.overlay import overlay_points
from wsss_perception.ros.parameters import read_parameter
from wsss_perception.ros.pipeline import Result
from wsss_perception.ros.session import MESSAGE_TYPES, import_message

_DEPTH = 5


@dataclass(frozen=True)
class Selection:
    """Which points ``filtered_points`` and ``ground_points`` have.

    Attributes:
        classes: names of classes.
        keeps: whether the points of ``classes`` are filtered_points, or all the others.
        ground: names of the ground's classes; those of the ontology if empty.
    """

    classes: tuple[str, ...]
    keeps: bool
    ground: tuple[str, ...]

    @classmethod
    def of(cls, node: Node, **changed: Any) -> "Selection":
        """Reads the node's parameters; ``changed`` are values that they are about to have."""
        names = ("filter_classes", "filter_keeps", "ground_classes")
        values = (changed.get(n, read_parameter(node, n)) for n in names)
        return cls(*values)

    def check(self, ontology: Ontology) -> None:
        """Raises OntologyError where a name is not one of the ontology's classes."""
        class_mask(np.zeros(0, dtype=np.uint8), ontology, (*self.classes, *self.ground))


class Outputs:
    """The node's publishers.

    Args:
        node: that publishes.
        reliable: whether a slow subscriber is waited for.
        cameras: names of the cameras.
    """

    def __init__(self, node: Node, reliable: bool, cameras: Sequence[str]) -> None:
        self._node = node
        reliability = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
        qos = QoSProfile(depth=_DEPTH, reliability=reliability)
        latched = QoSProfile(
            depth=1,
            reliability=ReliabilityPolicy.RELIABLE,
            durability=DurabilityPolicy.TRANSIENT_LOCAL,
        )
        self._semantic = node.create_publisher(PointCloud2, "semantic_points", qos)
        self._filtered = node.create_publisher(PointCloud2, "filtered_points", qos)
        self._ground = node.create_publisher(PointCloud2, "ground_points", qos)
        self._query = node.create_publisher(PointCloud2, "query_points", qos)
        self._overlays = {
            name: node.create_publisher(Image, f"overlay/{name}", qos) for name in cameras
        }
        self._legend = node.create_publisher(Image, "legend", latched)
        self._label_info: Publisher | None = None
        label_info_class = import_message("vision_msgs/msg/LabelInfo")
        if label_info_class is not None:
            self._label_info = node.create_publisher(label_info_class, "label_info", latched)

    @property
    def topic_name(self) -> str:
        """Name of the semantic clouds' topic."""
        return self._semantic.topic_name

    @property
    def overlaid(self) -> list[str]:
        """Names of the cameras whose overlay somebody listens to."""
        return [name for name in self._overlays if self.is_overlaid(name)]

    def announce(self, ontology: Ontology) -> None:
        """Publishes what describes the labels, for present and later subscribers."""
        stamp = self._node.get_clock().now().nanoseconds
        legend = draw_legend(ontology)
        self._legend.publish(image.encode_rgb8(legend, stamp, "", MESSAGE_TYPES))
        if self._label_info is not None:
            threshold = read_parameter(self._node, "min_confidence")
            self._label_info.publish(
                label_info.encode(ontology, threshold, stamp, "", MESSAGE_TYPES)
            )

    def publish_semantic(self, message: PointCloud2) -> None:
        """Publishes a semantic cloud."""
        self._semantic.publish(message)

    @property
    def is_query_heard(self) -> bool:
        """Whether somebody listens to how alike points are to a phrase."""
        return _is_heard(self._query)

    def publish_query(self, message: PointCloud2, similarity: NDArray[np.float32]) -> None:
        """Publishes how alike the points of a cloud are to a phrase.

        Args:
            message: the cloud as it came.
            similarity: of its points [N].
        """
        levels = heat_levels(similarity)
        self._query.publish(encode_query(message, similarity, levels, heat_palette()))

    def publish_parts(self, result: Result, ontology: Ontology) -> None:
        """Publishes the parts of a semantic cloud that somebody listens to.

        Args:
            result: the cloud.
            ontology: its classes.

        Raises:
            OntologyError: there is no class that a parameter names.
        """
        labels = result.semantic.labels
        selection = Selection.of(self._node)
        if _is_heard(self._filtered):
            mask = class_mask(labels, ontology, selection.classes)
            part = select_points(result.message, mask if selection.keeps else ~mask)
            self._filtered.publish(part)
        if _is_heard(self._ground):
            names = selection.ground or ground_classes(ontology)
            part = select_points(result.message, class_mask(labels, ontology, names))
            self._ground.publish(part)

    def is_overlaid(self, camera: str) -> bool:
        """Whether somebody listens to a camera's overlay."""
        return _is_heard(self._overlays[camera])

    def publish_overlay(
        self, view: View, frame_id: str, result: Result, ontology: Ontology
    ) -> None:
        """Publishes an image with the labels of the points on it.

        Args:
            view: the image and where its camera was.
            frame_id: of the image.
            result: the cloud.
            ontology: its classes.
        """
        xyz, labels = result.frame.cloud.xyz, result.semantic.labels
        visible = result.visible_in(view)
        picture = overlay_points(view, xyz, labels, ontology.palette(), visible)
        self._overlays[view.name].publish(
            image.encode_rgb8(picture, view.stamp, frame_id, MESSAGE_TYPES)
        )

    def close(self) -> None:
        """Ends the topics."""
        others = [self._label_info] if self._label_info is not None else []
        for publisher in (
            self._semantic,
            self._filtered,
            self._ground,
            self._query,
            self._legend,
            *self._overlays.values(),
            *others,
        ):
            self._node.destroy_publisher(publisher)


def _is_heard(publisher: Publisher) -> bool:
    return publisher.get_subscription_count() > 0
