import numpy as np
import pytest
from PIL import Image
from rosbags.typesys import Stores, get_typestore

from wsss_perception.bag import BagWriter, Pages, draw_recorded, open_bag, segment_bag
from wsss_perception.bundle import ModelSpec, NetworkSpec
from wsss_perception.errors import BagError
from wsss_perception.features import Feature
from wsss_perception.frame import PointCloud
from wsss_perception.geometry import Camera, make_transform
from wsss_perception.messages import camera_info, image, point_cloud2, transform
from wsss_perception.ontology import Ontology
from wsss_perception.segmenter import Segmenter

ONTOLOGY = Ontology("t", ("low", "high"), ((255, 0, 0), (0, 0, 255)), ((1,), (2,)))
OPTICAL = make_transform([[0, -1, 0], [0, 0, -1], [1, 0, 0]], [0.1, 0.2, 0.3])
CAMERA = Camera(32, 4, np.array([[16.0, 0, 16], [0, 16.0, 2], [0, 0, 1]]))
STORE = get_typestore(Stores.ROS2_JAZZY)
SECOND, CLOUDS = 10**9, 4
SEMANTIC = "/semantic_points"


class ByHeight:
    name = "by height"

    def __call__(self, coords, features):
        return np.stack([coords[:, 2] < 0, coords[:, 2] >= 0], axis=1).astype(np.float32) * 9


@pytest.fixture
def bag(tmp_path):
    return write_bag(tmp_path / "in")


def write_bag(path, damaged=None):
    """Writes a bag of clouds with a camera; one of the clouds may be damaged."""
    types = STORE.types
    with BagWriter(path, "mcap", STORE) as writer:
        static = writer.add_topic("/tf_static", "tf2_msgs/msg/TFMessage")
        stamped = transform.encode_stamped(OPTICAL, "camera", "lidar", 0, types)
        writer.write(static, 0, types["tf2_msgs/msg/TFMessage"](transforms=[stamped]))
        points = writer.add_topic("/points", "sensor_msgs/msg/PointCloud2")
        images = writer.add_topic("/front/image", "sensor_msgs/msg/Image")
        infos = writer.add_topic("/front/camera_info", "sensor_msgs/msg/CameraInfo")
        for second in range(CLOUDS):
            rng = np.random.default_rng(second)
            stamp = second * SECOND
            xyz = rng.normal(0, 5, (60, 3)).astype(np.float32)
            message = point_cloud2.encode_cloud(PointCloud(xyz, {}, stamp), types)
            if second == damaged:
                writer.write_raw(points, stamp, b"\0\1\0\0damaged")
            else:
                writer.write(points, stamp, message)
            pixels = rng.integers(0, 256, (4, 32, 3), np.uint8)
            writer.write(images, stamp, image.encode_rgb8(pixels, stamp, "camera", types))
            writer.write(infos, stamp, camera_info.encode(CAMERA, stamp, "camera", types))
    return path


def record(bag, seconds, shift=0, observer=None):
    """Makes a bag with the semantic clouds of some seconds alone, received much later."""
    tmp_path = bag.parent
    spec = ModelSpec(ONTOLOGY, NetworkSpec("none"), (Feature("z"),), 0.5)
    segment_bag(bag, tmp_path / "out", Segmenter(spec, ByHeight()), observer=observer)
    with (
        open_bag(tmp_path / "out") as bag,
        BagWriter(tmp_path / "recorded", "mcap", STORE) as writer,
    ):
        topic = writer.add_topic(SEMANTIC, "sensor_msgs/msg/PointCloud2")
        for message in bag.messages(bag.on_topic(SEMANTIC)):
            cloud = bag.deserialize(message)
            if cloud.header.stamp.sec in seconds:
                cloud.header.stamp.sec += shift
                writer.write(topic, message.received + 99 * SECOND, cloud)
    return tmp_path / "recorded"


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


def test_recorded_clouds_are_drawn_as_they_were_when_they_were_made(bag, tmp_path):
    pages = Pages(tmp_path / "pages", 2, ONTOLOGY)
    recorded = record(bag, range(CLOUDS), observer=pages)
    assert pages.drawn == 2
    counts = draw_recorded(bag, recorded, tmp_path / "again", ONTOLOGY, 2)
    assert (counts.clouds, counts.joined, counts.foreign, counts.drawn) == (CLOUDS, CLOUDS, 0, 2)
    for name in ("000000.png", "000002.png"):
        np.testing.assert_array_equal(
            pixels(tmp_path / "again" / name), pixels(tmp_path / "pages" / name)
        )


def test_pictures_keep_the_numbers_of_their_clouds_where_some_are_missing(bag, tmp_path):
    counts = draw_recorded(bag, record(bag, {1, 2, 3}), tmp_path / "again", ONTOLOGY, 2)
    assert (counts.joined, counts.drawn) == (3, 1)
    assert [path.name for path in (tmp_path / "again").iterdir()] == ["000002.png"]


def test_pictures_have_the_same_numbers_after_a_damaged_cloud(tmp_path):
    bag = write_bag(tmp_path / "damaged", damaged=1)
    recorded = record(bag, range(CLOUDS), observer=Pages(tmp_path / "pages", 2, ONTOLOGY))
    counts = draw_recorded(bag, recorded, tmp_path / "again", ONTOLOGY, 2)
    assert (counts.clouds, counts.joined, counts.foreign, counts.drawn) == (3, 3, 0, 2)
    for folder in ("pages", "again"):
        names = sorted(path.name for path in (tmp_path / folder).iterdir())
        assert names == ["000000.png", "000002.png"]
    np.testing.assert_array_equal(
        pixels(tmp_path / "again" / "000002.png"), pixels(tmp_path / "pages" / "000002.png")
    )


def test_clouds_of_another_bag_are_refused(bag, tmp_path):
    recorded = record(bag, range(CLOUDS), shift=50)
    with pytest.raises(BagError, match="none of its 4 clouds is a semantic cloud of"):
        draw_recorded(bag, recorded, tmp_path / "again", ONTOLOGY)


def test_clouds_without_labels_are_refused(bag, tmp_path):
    with pytest.raises(BagError, match="none of its 4 clouds is a semantic cloud of"):
        draw_recorded(bag, bag, tmp_path / "again", ONTOLOGY)
