"""Subscriptions to large messages that hear every publisher and count what was lost."""

import threading
from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.event_handler import QoSMessageLostInfo, SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription


class SensorSubscription:
    """Subscribes to messages of a sensor, reliably as long as its publishers are reliable.

    A best-effort subscription takes messages of any publisher, but Fast DDS loses more than half
    of the large ones (2 MB) even on one machine. So the first try is reliable, and the first
    best-effort publisher, which it cannot hear, makes it subscribe anew.

    Args:
        node: that subscribes.
        message_class: of the messages.
        topic: their topic.
        callback: takes each message.
        depth: messages that may wait for the callback; the newest stay.
        on_lost: told how many messages were lost on the way, as far as the middleware knows.
    """

    def __init__(
        self,
        node: Node,
        message_class: type,
        topic: str,
        callback: Callable[[Any], None],
        depth: int,
        on_lost: Callable[[int], None] = lambda count: None,
    ) -> None:
        self._node = node
        self._message_class = message_class
        self._topic = topic
        self._callback = callback
        self._depth = depth
        self._on_lost = on_lost
        self._lock = threading.Lock()  # an executor's thread may subscribe anew
        self._subscription: Subscription | None = None
        with self._lock:
            self._subscription = self._subscribe(ReliabilityPolicy.RELIABLE)
        self.topic_name: str = self._subscription.topic_name

    def close(self) -> None:
        """Unsubscribes; a callback that runs already goes on."""
        with self._lock:
            subscription, self._subscription = self._subscription, None
        if subscription is not None:
            self._node.destroy_subscription(subscription)

    def _subscribe(self, reliability: ReliabilityPolicy) -> Subscription:
        events = SubscriptionEventCallbacks(
            incompatible_qos=self._subscribe_best_effort, message_lost=self._count_lost
        )
        return self._node.create_subscription(
            self._message_class,
            self._topic,
            self._callback,
            QoSProfile(depth=self._depth, reliability=reliability),
            # not that of a subscription destroyed before: rclpy never frees a group in which an
            # event came to nothing since its subscription had gone
            callback_group=MutuallyExclusiveCallbackGroup(),
            event_callbacks=events,
        )

    def _subscribe_best_effort(self, _event: object) -> None:
        with self._lock:
            if self._subscription is None:  # closed in the meantime
                return
            self._node.get_logger().info(
                f"a publisher on {self._subscription.topic_name} is best-effort: so is the "
                "subscription now, and messages may be lost on the way"
            )
            self._node.destroy_subscription(self._subscription)
            self._subscription = self._subscribe(ReliabilityPolicy.BEST_EFFORT)

    def _count_lost(self, event: QoSMessageLostInfo) -> None:
        self._on_lost(event.total_count_change)
