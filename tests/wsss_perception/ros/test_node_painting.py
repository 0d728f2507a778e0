"""The node with a model that takes images, over DDS."""

import itertools
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: make install")

from node_process import ANSWER_TIMEOUT, NodeProcess
from sensor_msgs.msg import Image

from wsss_perception.bundle import Bundle, ModelSpec, write_bundle
from wsss_perception.calibration import CameraCalibration, write_calibration
from wsss_perception.engines import load_engine
from wsss_perception.features import PAINTED, Feature
from wsss_perception.frame import Frame, View
from wsss_perception.geometry import Camera, make_transform
from wsss_perception.messages import image
from wsss_perception.messages.point_cloud2 import decode
from wsss_perception.ros.session import MESSAGE_TYPES as TYPES
from wsss_perception.segmenter import Segmenter

CAMERA = Camera(160, 120, np.array([[80.0, 0, 80], [0, 80.0, 60], [0, 0, 1]]))
FORWARD = make_transform([[0, -1, 0], [0, 0, -1], [1, 0, 0]], [0.0, -0.1, 0.0])
PIXELS = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
STAMPS = itertools.count(5_000_000_000, 100_000_000)


@pytest.fixture(scope="module")
def painted(spec: ModelSpec, bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle of `cameras: optional`, with random weights."""
    import torch
    from safetensors.torch import save

    from wsss_perception.networks.minkunet import MinkUNet

    torch.manual_seed(1)
    features = (*spec.features, *(Feature(name, 2.0, fill=0.0) for name in PAINTED))
    spec = replace(spec, features=features, cameras="optional", temperature=0.02)
    network = MinkUNet(spec.network, len(features), len(spec.ontology))
    folder = tmp_path_factory.mktemp("models") / "painted"
    return write_bundle(folder, spec, {"weights.safetensors": save(network.state_dict())})


@pytest.fixture(scope="module")
def node(nodes: Callable[..., NodeProcess], painted: Bundle, tmp_path_factory) -> NodeProcess:
    path = tmp_path_factory.mktemp("calibration") / "calibration.yaml"
    write_calibration(path, {"front": CameraCalibration(CAMERA, FORWARD)})
    return nodes(
        f"model:={painted.folder}",
        "device:=cpu",
        "image_topics:=[/front/image_raw]",
        f"calibration_file:={path}",
        "camera_wait:=0.5",
    )


class Client:
    """Sends clouds with and without an image."""

    def __init__(self, node: NodeProcess, make_message) -> None:
        self._node, self._make = node, make_message
        self._images = node.client.create_publisher(Image, "/front/image_raw", 10)
        node.spin_until(self._images.get_subscription_count, ANSWER_TIMEOUT)

    def confidence(self, with_image: bool) -> np.ndarray:
        stamp = next(STAMPS)
        if with_image:
            self._images.publish(image.encode_rgb8(PIXELS, stamp, "optical", TYPES))
        message = self._make(TYPES, stamp)
        self._node.publish_as_is(message)
        return decode(self._node.answer_to(message)).channels["confidence"]

    def expect(self, expected: np.ndarray, with_image: bool) -> None:
        """Sends clouds until the labels are as they should be: an image may come late."""
        deadline = time.monotonic() + ANSWER_TIMEOUT
        while np.abs(self.confidence(with_image) - expected).max() > 1e-3:
            assert time.monotonic() < deadline, self._node.log()

    def alternate_until_logged(self, text: str) -> None:
        """Sends clouds with and without an image: a camera is missed while it is live."""
        deadline = time.monotonic() + ANSWER_TIMEOUT
        while text not in self._node.log():
            assert time.monotonic() < deadline, self._node.log()
            self.confidence(with_image=True)
            self.confidence(with_image=False)


def test_node_paints_with_the_images_there_are_and_swaps_to_models_that_take_none(
    node, painted, bundle, make_message
):
    client, cloud = Client(node, make_message), decode(make_message(TYPES))
    frame = Frame(cloud, (View("front", CAMERA, FORWARD, PIXELS),))
    segmenter = Segmenter(painted.spec, load_engine("spconv", painted, "cpu"))
    seeing, blind = segmenter(frame).confidence, segmenter(Frame(cloud)).confidence
    other = Segmenter(bundle.spec, load_engine("spconv", bundle, "cpu"))(frame).confidence
    assert min(np.abs(seeing - blind).max(), np.abs(other - blind).max()) > 0.01
    client.expect(blind, with_image=False)
    client.expect(seeing, with_image=True)
    for folder, expected in ((bundle.folder, other), (painted.folder, seeing)):
        assert node.set_parameter("model", str(folder)) == ""
        assert node.load_model().success
        client.expect(expected, with_image=True)
    client.expect(blind, with_image=False)  # the camera has died
    assert node.log().count("parameter 'fixed_frame' is not set") == 2  # of the loads of `painted`
    client.alternate_until_logged("is not used for the labels: no image within camera_tolerance")
    assert "Traceback" not in node.log()
