"""What the recorder makes of topics that it cannot record; on a graph that is made up."""

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from rosbags.typesys import Stores, get_typestore

pytest.importorskip("rclpy", reason="rclpy is not installed: make install")

from rclpy.qos import QoSProfile

from wsss_perception.bag import BagWriter
from wsss_perception.errors import RosError
from wsss_perception.ros import record_bag
from wsss_perception.ros.record_bag import _Recorder, run_recorder

STORE = get_typestore(Stores.ROS2_JAZZY)
UNKNOWN = "its message type robot_msgs/msg/Chatter is not installed"


class Graph:
    """A node that sees topics of certain types."""

    def __init__(self, types: dict[str, str]) -> None:
        self.types = types
        self.callbacks: dict[str, Any] = {}
        self.context = None

    def resolve_topic_name(self, topic: str) -> str:
        return topic

    def get_publishers_info_by_topic(self, topic: str) -> list[SimpleNamespace]:
        kind = self.types.get(topic)
        return [SimpleNamespace(topic_type=kind, qos_profile=QoSProfile(depth=1))] if kind else []

    def count_publishers(self, topic: str) -> int:
        return len(self.get_publishers_info_by_topic(topic))

    def create_subscription(self, _class: type, topic: str, callback: Any, *_: Any, **__: Any):
        self.callbacks[topic] = callback

    def send(self, topic: str) -> None:
        self.callbacks[topic](b"\0\1\0\0\1\0\0\0\0", {"received_timestamp": 7})


def test_a_type_that_cannot_be_recorded_is_skipped_and_the_rest_goes_on(tmp_path, caplog):
    graph = Graph({"/text": "std_msgs/msg/String"})
    with BagWriter(tmp_path / "bag", "mcap", STORE) as writer:
        recorder = _Recorder(graph, writer, ["/text", "/chatter"])
        recorder.subscribe()
        graph.send("/text")
        graph.types["/chatter"] = "robot_msgs/msg/Chatter"
        recorder.subscribe()
        recorder.subscribe()
        assert recorder.write(None)
        assert not recorder.is_abandoned()
        del graph.types["/text"]
        assert recorder.is_abandoned()
        recorder.check()
    assert [record.getMessage() for record in caplog.records] == [f"/chatter is skipped: {UNKNOWN}"]
    assert str(recorder) == f"1 of /text, /chatter skipped, {UNKNOWN}"
    assert (tmp_path / "bag").is_dir()


def test_topics_none_of_which_can_be_recorded_are_refused(tmp_path):
    graph = Graph({"/a": "robot_msgs/msg/Chatter", "/b": "robot_msgs/msg/Chatter"})
    with BagWriter(tmp_path / "bag", "mcap", STORE) as writer:
        recorder = _Recorder(graph, writer, ["/a", "/b"])
        with pytest.raises(RosError, match=r"none of the topics.*: /a skipped.*, /b skipped"):
            recorder.subscribe()


@pytest.mark.parametrize(("limit", "recorded"), [(None, 7), (3, 3)])
def test_what_waits_at_the_end_is_recorded_up_to_the_count(tmp_path, limit, recorded):
    graph = Graph({"/text": "std_msgs/msg/String"})
    waiting = [True] * 4 + [False] * 2 + [True] * 3  # other callbacks in between

    def spin() -> None:
        if waiting and waiting.pop():
            graph.send("/text")

    with BagWriter(tmp_path / "bag", "mcap", STORE) as writer:
        recorder = _Recorder(graph, writer, ["/text"])
        recorder.subscribe()
        recorder.drain(spin, limit)
    assert str(recorder) == f"{recorded} of /text"


def test_a_signal_ends_a_recording_when_what_waits_is_written(tmp_path, monkeypatch, capsys):
    graph, waiting = Graph({"/text": "std_msgs/msg/String"}), ["/text"] * 5

    class Executor:
        def spin_once(self, timeout_sec: float) -> None:
            if waiting:
                graph.send(waiting.pop())

        def add_node(self, _: Graph) -> None: ...

        def shutdown(self) -> None: ...

    stopped = lambda: len(waiting) < 5  # noqa: E731
    monkeypatch.setattr(record_bag, "ros_session", lambda _: nullcontext((graph, stopped)))
    monkeypatch.setattr(record_bag, "SingleThreadedExecutor", lambda context: Executor())
    run_recorder(tmp_path / "bag", ["/text"], None)
    assert "5 of /text" in capsys.readouterr().out


def test_a_publisher_that_goes_on_does_not_keep_the_recorder(tmp_path):
    graph = Graph({"/text": "std_msgs/msg/String"})
    with BagWriter(tmp_path / "bag", "mcap", STORE) as writer:
        recorder = _Recorder(graph, writer, ["/text"])
        recorder.subscribe()
        recorder.drain(lambda: graph.send("/text"), None)
    assert str(recorder) == "100 of /text"
