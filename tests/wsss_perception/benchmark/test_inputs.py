import numpy as np
import pytest
from rosbags.typesys import Stores, get_typestore

from wsss_perception.bag import BagWriter
from wsss_perception.benchmark import inputs as module
from wsss_perception.benchmark.inputs import DISTINCT, Source, check_bag, load_inputs
from wsss_perception.bundle import ModelSpec, NetworkSpec
from wsss_perception.calibration import CameraCalibration, write_calibration
from wsss_perception.errors import BagError
from wsss_perception.features import Feature
from wsss_perception.frame import PointCloud
from wsss_perception.geometry import Camera
from wsss_perception.messages import image
from wsss_perception.messages.point_cloud2 import decode, encode_cloud
from wsss_perception.ontology import Ontology

STORE = get_typestore(Stores.ROS2_JAZZY)
ONTOLOGY = Ontology("t", ("low", "high"), ((255, 0, 0), (0, 0, 255)), ((1,), (2,)))
CAMERA = Camera(16, 12, np.array([[8.0, 0, 8], [0, 8.0, 6], [0, 0, 1]]))


def spec_of(*features):
    return ModelSpec(ONTOLOGY, NetworkSpec("small"), features, 0.5)


def write_clouds(path, count, topics=("/points",), with_images=False):
    """A bag of clouds of 1, 2, 3... points, and an image each."""
    with BagWriter(path, "mcap", STORE) as writer:
        kind = "sensor_msgs/msg/PointCloud2"
        clouds = [writer.add_topic(topic, kind) for topic in topics]
        images = writer.add_topic("/front/image", "sensor_msgs/msg/Image") if with_images else None
        for number in range(count):
            xyz = np.full((number + 1, 3), 2.0, dtype=np.float32)
            for topic in clouds:
                writer.write(topic, number, encode_cloud(PointCloud(xyz, {}, number), STORE.types))
            if images is not None:
                pixels = np.zeros((12, 16, 3), np.uint8)
                message = image.encode_rgb8(pixels, number, "front", STORE.types)
                writer.write(images, number, message)
    return Source(bag=str(path))


def sizes(inputs):
    return [each.message.width for each in inputs]


@pytest.mark.parametrize(
    ("recorded", "asked", "expected"),
    [(3, 50, [1, 2, 3]), (30, 4, [1, 2, 3, 4]), (40, 19, list(range(1, 20, 2)))],
)
def test_clouds_of_a_bag_are_its_first_ones_or_some_of_them(tmp_path, recorded, asked, expected):
    source = write_clouds(tmp_path / "bag", recorded)
    assert sizes(load_inputs(source, spec_of(), asked)) == expected


def test_a_bag_gives_the_views_of_its_cameras(tmp_path):
    write_calibration(tmp_path / "c.yaml", {"front": CameraCalibration(CAMERA, np.eye(4))})
    source = write_clouds(tmp_path / "bag", 2, with_images=True)
    source = Source(source.bag, calibration=str(tmp_path / "c.yaml"))
    first, _ = load_inputs(source, spec_of(), 2)
    assert [view.name for view in first.views] == ["front"]
    assert first.look() == first.views


def test_clouds_are_those_of_the_topic_that_is_asked_for(tmp_path):
    bag = write_clouds(tmp_path / "bag", 2, ("/a", "/b")).bag
    assert len(load_inputs(Source(bag, "/b"), spec_of(), 5)) == 2
    with pytest.raises(BagError, match="several topics: /a, /b"):
        check_bag(Source(bag))
    check_bag(Source(bag, "/a"))


def test_a_bag_without_clouds_is_refused_at_once(tmp_path):
    with pytest.raises(BagError, match="no cloud on /points"):
        check_bag(write_clouds(tmp_path / "bag", 0))
    with pytest.raises(BagError, match="no such bag"):
        check_bag(Source(bag=str(tmp_path / "absent")))


def test_generated_clouds_have_the_channels_that_the_model_needs():
    needs = Feature("intensity"), Feature("ring"), Feature("x"), Feature("echo", fill=0.0)
    (made,) = load_inputs(Source(points=300), spec_of(*needs), 1)
    channels = decode(made.message).channels
    assert set(channels) == {"intensity", "ring"}
    assert channels["intensity"].std() > 0
    assert not channels["ring"].any()


def test_generated_clouds_differ_and_are_few(monkeypatch):
    seeds = []

    def make(sensor, seed):
        seeds.append(seed)
        return PointCloud(np.zeros((seed, 3), np.float32))

    monkeypatch.setattr(module, "make_sweep", make)
    assert sizes(load_inputs(Source(beams=32), spec_of(), 50)) == list(range(DISTINCT))
    assert seeds == list(range(DISTINCT))


def test_sources_are_named_by_what_they_are():
    names = str(Source("my_bag")), str(Source(beams=32)), str(Source(points=100_000))
    assert names == ("my_bag", "generated, 32 beams", "generated, grown to 100,000")
