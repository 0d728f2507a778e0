"""The node in this process, with stand-ins for what spins it and for its model."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

rclpy = pytest.importorskip("rclpy", reason="rclpy is not installed: make install")

from rclpy.lifecycle import TransitionCallbackReturn  # noqa: E402
from stand_in_gpu import stand_in_gpu  # noqa: E402

from wsss_perception.errors import EngineError  # noqa: E402
from wsss_perception.ros import segment_node  # noqa: E402
from wsss_perception.ros.model import Model  # noqa: E402

DOMAIN = 8 + os.getpid() % 80
IDLE = ["--ros-args", "-p", "autostart:=false"]


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path) -> Iterator[None]:
    """A domain and a log of its own, and the signals as they were."""
    for name, value in (
        ("ROS_DOMAIN_ID", str(DOMAIN)),
        ("ROS_LOG_DIR", str(tmp_path)),
        ("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST"),
    ):
        monkeypatch.setenv(name, value)
    numbers = (signal.SIGINT, signal.SIGTERM)
    handlers = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, handlers, strict=True):
        signal.signal(number, handler)


@pytest.fixture
def spin(monkeypatch) -> Callable[[list[BaseException]], list[BaseException]]:
    """Makes each turn of the executor raise one of some errors, the last one send SIGTERM."""

    def prepare(errors: list[BaseException]) -> list[BaseException]:
        class Executor:
            def __init__(self, threads: int) -> None: ...

            def add_node(self, node) -> None: ...

            def spin_once(self, timeout_sec: float) -> None:
                if errors:
                    raise errors.pop(0)
                os.kill(os.getpid(), signal.SIGTERM)

            def shutdown(self) -> None: ...

        monkeypatch.setattr(segment_node, "MultiThreadedExecutor", Executor)
        return errors

    return prepare


def test_callback_that_raises_is_logged_and_does_not_end_the_node(spin, capfd):
    left = spin(
        [RuntimeError("dictionary changed size"), ValueError("broken"), ValueError("broken")]
    )
    segment_node.run_node(IDLE)
    assert left == []
    output = "".join(capfd.readouterr())
    assert output.count("dictionary changed size") == 1
    assert output.count("ValueError: broken") == 1  # the same again is not told
    assert "stopped: 0 received" in output


def test_what_ends_the_node_closes_it_first(spin, capfd):
    spin([SystemExit(3)])
    with pytest.raises(SystemExit):
        segment_node.run_node(IDLE)
    assert "stopped: 0 received" in "".join(capfd.readouterr())
    assert not rclpy.ok()


def test_diagnostics_are_about_the_time_since_the_activation(monkeypatch, spec):
    class Stream:
        topic_name = "points"

        def __init__(self, *parts) -> None: ...

        def close(self) -> None: ...

    model = Model(Path("folder"), spec, "stand-in", None)
    monkeypatch.setattr(segment_node, "load_model", lambda *arguments: model)
    monkeypatch.setattr(segment_node, "Stream", Stream)
    rclpy.init(args=IDLE)
    try:
        node = segment_node.SegmentNode()
        assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
        node._counters.received = node._counters.dropped = 7  # in a life before
        assert not node._snapshot().active
        assert node.trigger_activate() == TransitionCallbackReturn.SUCCESS
        snapshot = node._snapshot()
        assert (snapshot.received, snapshot.dropped) == (0, 0)
        assert snapshot.active
        assert snapshot.starting
        node.close()
        node.destroy_node()
    finally:
        rclpy.shutdown()


def build_only(bundle, engine: str) -> None:
    words = ("build_only:=true", f"model:={bundle.folder}", f"engine:={engine}")
    segment_node.run_node(["--ros-args", *(part for word in words for part in ("-p", word))])


def test_build_only_builds_the_engine_says_where_it_lies_and_ends(bundle, tmp_path, capfd):
    with stand_in_gpu(tmp_path / "cache"):
        build_only(bundle, "tensorrt")
    assert not rclpy.ok()
    (kept,) = (tmp_path / "cache").rglob("*.engine")
    output = "".join(capfd.readouterr())
    assert f"{kept}: " in output
    assert "MB, engine tensorrt, fp16 on cuda:0" in output
    assert "publishing on" not in output


def test_build_only_says_that_an_engine_needs_no_building(bundle, capfd):
    build_only(bundle, "onnxruntime")
    assert "nothing is built" in "".join(capfd.readouterr())


def test_build_only_fails_where_the_engine_cannot_be_built(bundle, tmp_path):
    with stand_in_gpu(tmp_path / "cache", gpus=0), pytest.raises(EngineError, match="0 GPUs"):
        build_only(bundle, "tensorrt")
    assert not rclpy.ok()


def test_build_only_takes_the_first_engine_that_can_be_built(bundle, tmp_path, capfd):
    with stand_in_gpu(tmp_path / "cache"):
        build_only(bundle, "auto")
    assert "MB, engine tensorrt, fp16 on cuda:0" in "".join(capfd.readouterr())
    with (
        stand_in_gpu(tmp_path / "cache", gpus=0),
        pytest.raises(EngineError, match=r"(?s)no engine can be built here.*0 GPUs.*TensorRT"),
    ):
        build_only(bundle, "auto")


def test_signals_end_the_process_at_once_while_the_node_starts(spin, monkeypatch):
    handlers = []

    def start(node) -> None:
        handlers.extend(signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM))

    monkeypatch.setattr(segment_node.SegmentNode, "start", start)
    monkeypatch.setattr(segment_node.SegmentNode, "build", start)
    spin([])  # the executor's SIGTERM ends the node in good order
    segment_node.run_node([])
    segment_node.run_node(["--ros-args", "-p", "build_only:=true"])
    assert handlers == [signal.SIG_DFL] * 4
