"""The node under a lifecycle manager, and the change of its model, over DDS."""

import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: make install")

from lifecycle_msgs.msg import Transition
from node_process import ANSWER_TIMEOUT, NodeProcess
from rclpy.task import Future
from std_srvs.srv import Trigger

from wsss_perception.bundle import Bundle, write_bundle
from wsss_perception.engines import load_engine
from wsss_perception.frame import Frame
from wsss_perception.messages.point_cloud2 import decode
from wsss_perception.ontology import load_ontology
from wsss_perception.ros.session import MESSAGE_TYPES as TYPES
from wsss_perception.segmenter import Segmenter

CONFIGURE, CLEAN_UP = Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_CLEANUP
ACTIVATE, DEACTIVATE = Transition.TRANSITION_ACTIVATE, Transition.TRANSITION_DEACTIVATE
QUIET = 1.0  # seconds in which nothing comes from a node that is not active


@pytest.fixture(scope="module")
def other(bundle: Bundle, tmp_path_factory) -> Bundle:
    """A bundle whose network says otherwise."""
    return rewritten(bundle, tmp_path_factory, temperature=0.1)


@pytest.fixture(scope="module")
def foreign(bundle: Bundle, tmp_path_factory) -> Bundle:
    """A bundle of other classes with the names of none of them."""
    ontology = load_ontology("semantic_kitti")
    classes = tuple(f"class {number}" for number in range(len(ontology)))
    return rewritten(
        bundle, tmp_path_factory, ontology=replace(ontology, classes=classes, ground=())
    )


def rewritten(bundle: Bundle, tmp_path_factory, **changes) -> Bundle:
    folder = tmp_path_factory.mktemp("models") / "other"
    weights = {"weights.safetensors": bundle.weights.read_bytes()}
    return write_bundle(folder, replace(bundle.spec, **changes), weights)


@pytest.fixture(scope="module")
def node(nodes: Callable[..., NodeProcess], bundle: Bundle) -> NodeProcess:
    return nodes(f"model:={bundle.folder}", "device:=cpu", autostart=False)


@pytest.fixture
def active(node: NodeProcess, bundle: Bundle) -> NodeProcess:
    """The node, active, with its first model."""
    node.set_parameter("filter_classes", [])
    node.set_parameter("model", str(bundle.folder))
    if node.state() == "unconfigured":
        assert node.change_state(CONFIGURE)
    if node.state() == "inactive":
        assert node.change_state(ACTIVATE)
    node.wait_until_active()
    assert node.load_model().success
    return node


def confidence(bundle: Bundle, message) -> np.ndarray:
    segmenter = Segmenter(bundle.spec, load_engine("spconv", bundle, "cpu"))
    return segmenter(Frame(decode(message))).confidence


def test_node_waits_for_its_transitions_without_autostart(node, make_message):
    assert node.state() == "unconfigured"
    assert node.client.count_publishers("semantic_points") == 0
    assert node.change_state(CONFIGURE)
    assert node.state() == "inactive"
    assert node.client.count_subscribers("points") == 0
    assert node.change_state(ACTIVATE)
    assert node.state() == "active"
    node.wait_until_active()
    node.segment(make_message(TYPES))


def test_node_is_silent_while_inactive_and_goes_on_after(active, make_message):
    active.segment(make_message(TYPES))
    assert active.change_state(DEACTIVATE)
    active.answers.clear()
    active.publish(make_message(TYPES))
    active.spin_until(lambda: active.answers, QUIET, fail=False)
    assert active.answers == []
    assert active.change_state(ACTIVATE)
    active.wait_until_active()
    active.segment(make_message(TYPES))


def test_node_closes_its_topics_when_cleaned_up(active):
    assert active.change_state(DEACTIVATE)
    assert active.change_state(CLEAN_UP)
    assert active.state() == "unconfigured"
    active.spin_until(lambda: not active.client.count_publishers("semantic_points"), ANSWER_TIMEOUT)


def test_configuring_with_a_refused_model_fails_with_the_reason(active, make_message):
    assert active.change_state(DEACTIVATE)
    assert active.change_state(CLEAN_UP)
    active.set_parameter("model", "/nowhere/at/all")
    assert not active.change_state(CONFIGURE)
    assert active.state() == "unconfigured"
    assert "/nowhere/at/all: not a model bundle" in active.log()


def test_model_is_swapped_under_load_without_a_lost_cloud(nodes, bundle, other, make_message):
    node = nodes(f"model:={bundle.folder}", "device:=cpu")
    message = make_message(TYPES)
    before, after = confidence(bundle, message), confidence(other, message)
    assert np.abs(before - after).max() > 0.05
    answers = [node.segment(message)]
    assert node.set_parameter("model", str(other.folder)) == ""
    client = node.client.create_client(Trigger, "segment/load_model")
    node.spin_until(client.service_is_ready, ANSWER_TIMEOUT)
    future = client.call_async(Trigger.Request())
    answers += node.segment_until(message, future.done)
    answers.append(node.segment(message))
    assert future.result().success
    assert str(other.folder) in future.result().message
    found = [decode(answer).channels["confidence"] for answer in answers]
    swapped = [bool(np.abs(c - after).max() < np.abs(c - before).max()) for c in found]
    assert swapped == sorted(swapped)
    np.testing.assert_allclose(found[-1], after, atol=0.01)
    assert node.stop(signal.SIGTERM) == 0
    counts = node.counters()
    assert counts["received"] == counts["published"] == len(node.answers) == len(answers)
    assert (counts["dropped"], counts["failed"], counts["lost"]) == (0, 0, 0)


def test_refused_model_leaves_the_old_one_at_work(active, bundle, make_message):
    active.set_parameter("model", "/nowhere/else")
    response = active.load_model()
    assert not response.success
    assert "/nowhere/else: not a model bundle" in response.message
    message = make_message(TYPES)
    found = decode(active.segment(message)).channels["confidence"]
    np.testing.assert_allclose(found, confidence(bundle, message), atol=1e-3)


def test_model_without_the_filtered_classes_is_refused(active, foreign):
    assert active.set_parameter("filter_classes", ["car"]) == ""
    active.set_parameter("model", str(foreign.folder))
    response = active.load_model()
    assert not response.success
    assert "has no class 'car'" in response.message


def test_filter_of_an_unknown_class_is_refused_with_the_nearest(active):
    assert "did you mean 'car'" in active.set_parameter("filter_classes", ["cars"])


SLOW_LOAD = """
import sys, time
from pathlib import Path

from wsss_perception.ros import segment_node

load, loads = segment_node.load_model, []

def load_slowly(*given):
    loads.append(given)
    if len(loads) > 1:
        print("loading", flush=True)
        while not Path("{go}").exists():
            time.sleep(0.01)
    return load(*given)

segment_node.load_model = load_slowly
segment_node.run_node(sys.argv[2:])
"""


def start_slow_load(nodes, bundle, go: Path) -> tuple[NodeProcess, Future]:
    """Starts a node and the load of another model, which goes on when there is a file ``go``."""
    program = ["-c", SLOW_LOAD.format(go=go)]
    node = nodes(f"model:={bundle.folder}", "device:=cpu", program=program)
    client = node.client.create_client(Trigger, "segment/load_model")
    node.spin_until(client.service_is_ready, ANSWER_TIMEOUT)
    future = client.call_async(Trigger.Request())
    node.spin_until(lambda: "loading" in node.log(), ANSWER_TIMEOUT)
    return node, future


def test_load_is_answered_though_the_node_is_cleaned_up_meanwhile(nodes, bundle, tmp_path):
    go = tmp_path / "go"
    node, future = start_slow_load(nodes, bundle, go)
    assert node.change_state(DEACTIVATE)
    assert node.change_state(CLEAN_UP)
    assert not future.done()
    go.touch()
    node.spin_until(future.done, ANSWER_TIMEOUT)
    assert not future.result().success
    assert "cleaned up in the meantime" in future.result().message
    assert "not configured" in node.load_model().message


def test_second_signal_ends_a_node_that_loads_a_model(nodes, bundle, make_message, tmp_path):
    slow, _ = start_slow_load(nodes, bundle, tmp_path / "never")
    slow.segment(make_message(TYPES))
    slow.process.send_signal(signal.SIGINT)
    slow.spin_until(lambda: "stopped: 1 received, 1 published" in slow.log(), ANSWER_TIMEOUT)
    assert slow.stop(signal.SIGINT) == -signal.SIGINT


def test_node_stops_with_every_cloud_of_all_its_lives_accounted_for(active, make_message):
    active.segment(make_message(TYPES))
    assert active.stop(signal.SIGTERM) == 0
    assert "Traceback" not in active.log()
    counts = active.counters()
    assert counts["received"] == counts["published"] + counts["dropped"] + counts["failed"]
    assert counts["published"] >= 5
