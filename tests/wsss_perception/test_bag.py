import errno
import resource

import numpy as np
import pytest
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from wsss_perception.bag import BagWriter, open_bag, segment_bag
from wsss_perception.bag.writer import reliable_qos
from wsss_perception.bundle import ModelSpec, NetworkSpec
from wsss_perception.calibration import CameraCalibration, write_calibration
from wsss_perception.errors import BagError, EngineError
from wsss_perception.features import Feature
from wsss_perception.frame import PointCloud
from wsss_perception.geometry import Camera, invert, make_transform
from wsss_perception.messages import camera_info, image, point_cloud2, transform
from wsss_perception.ontology import Ontology
from wsss_perception.segmenter import Segmenter

ONTOLOGY = Ontology("t", ("low", "high"), ((255, 0, 0), (0, 0, 255)), ((1,), (2,)))
SECOND = 1_000_000_000
OPTICAL = make_transform([[0, -1, 0], [0, 0, -1], [1, 0, 0]], [0.1, 0.2, 0.3])
CAMERA = Camera(32, 16, np.array([[16.0, 0, 16], [0, 16.0, 8], [0, 0, 1]]))
CLOUD, CHATTER = "sensor_msgs/msg/PointCloud2", "robot_msgs/msg/Chatter"
BEST_EFFORT = reliable_qos(3)._replace(reliability=type(reliable_qos().reliability).BEST_EFFORT)


class ByHeight:
    """An engine that labels voxels by the sign of their height."""

    name = "by height"

    def __call__(self, coords, features):
        is_high = coords[:, 2] >= 0
        return np.stack([~is_high, is_high], axis=1).astype(np.float32) * 9


def make_segmenter(*features):
    spec = ModelSpec(ONTOLOGY, NetworkSpec("none"), features or (Feature("z"),), 0.5)
    return Segmenter(spec, ByHeight())


def make_typestore():
    store = get_typestore(Stores.ROS2_JAZZY)
    store.register(get_types_from_msg("string words\nuint8 mood\n", CHATTER))
    return store


STORE = make_typestore()
TYPES = STORE.types


def make_cloud(second, count=20):
    rng = np.random.default_rng(second)
    xyz = rng.normal(0, 5, (count, 3)).astype(np.float32)
    return PointCloud(xyz, {"intensity": rng.random(count, dtype=np.float32)}, second * SECOND)


def fill(writer, clouds=3, topics=("/lidar/points",), broken=()):
    """Writes clouds at whole seconds, received 5 ms later, and chatter in between."""
    chatter = writer.add_topic("/chatter", CHATTER, reliable_qos(7, latched=True))
    points = [writer.add_topic(topic, CLOUD, BEST_EFFORT) for topic in topics]
    for second in range(1, clouds + 1):
        message = point_cloud2.encode_cloud(make_cloud(second), TYPES)
        if second in broken:
            message.data = message.data[:-1]
        for connection in points:
            writer.write(connection, second * SECOND + 5_000_000, message)
        words = TYPES[CHATTER](words=f"tick {second}", mood=second)
        writer.write(chatter, second * SECOND + 500_000_000, words)


@pytest.fixture(params=["mcap", "sqlite3"])
def bag(request, tmp_path):
    """A bag of 3 clouds and 3 messages of a type of its own."""
    with BagWriter(tmp_path / "in", request.param, STORE) as writer:
        fill(writer)
    return tmp_path / "in"


def stored(path):
    """All that a bag stores: per message (topic, type, QoS, definition, time, bytes)."""
    with open_bag(path) as bag:
        return [
            (
                m.connection.topic,
                m.connection.msgtype,
                str(m.connection.ext),
                m.connection.msgdef,
                m.connection.digest,
                m.received,
                bytes(m.data),
            )
            for m in bag.messages()
        ]


def semantic_clouds(path, topic="/lidar/semantic_points"):
    with open_bag(path) as bag:
        return [(m.received, bag.deserialize(m)) for m in bag.messages(bag.on_topic(topic))]


def test_every_message_is_copied_as_it_is(bag, tmp_path):
    counts = segment_bag(bag, tmp_path / "out", make_segmenter())
    assert (counts.clouds, counts.points, counts.failed) == (3, 60, 0)
    after = stored(tmp_path / "out")
    assert [m for m in after if m[0] != "/lidar/semantic_points"] == stored(bag)
    assert len(after) == 9
    suffix = {path.suffix for path in bag.iterdir()}
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == suffix


def test_semantic_clouds_have_header_receive_time_and_qos_of_their_clouds(bag, tmp_path):
    segment_bag(bag, tmp_path / "out", make_segmenter())
    clouds = semantic_clouds(tmp_path / "out")
    assert [received for received, _ in clouds] == [s * SECOND + 5_000_000 for s in (1, 2, 3)]
    for second, (_, message) in enumerate(clouds, 1):
        assert (message.header.stamp.sec, message.header.frame_id) == (second, "lidar")
        decoded, expected = point_cloud2.decode(message), make_cloud(second)
        np.testing.assert_array_equal(decoded.xyz, expected.xyz)
        np.testing.assert_array_equal(decoded.channels["label"], np.floor(expected.xyz[:, 2]) >= 0)
        assert (decoded.channels["confidence"] > 0.99).all()
    with open_bag(tmp_path / "out") as out:
        qos = [out.on_topic(f"/lidar/{name}")[0].ext for name in ("points", "semantic_points")]
    assert qos[0] == qos[1]


@pytest.mark.parametrize("mode", [CompressionMode.FILE, CompressionMode.MESSAGE])
def test_a_compressed_bag_is_read(mode, tmp_path):
    writer = Writer(tmp_path / "in", version=9, storage_plugin=StoragePlugin.SQLITE3)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        points = writer.add_connection("/points", CLOUD, typestore=STORE)
        message = point_cloud2.encode_cloud(make_cloud(1), TYPES)
        writer.write(points, SECOND, STORE.serialize_cdr(message, CLOUD))
    assert segment_bag(tmp_path / "in", tmp_path / "out", make_segmenter()).clouds == 1
    assert len(semantic_clouds(tmp_path / "out", "/semantic_points")) == 1


def test_a_lone_storage_file_is_read(bag, tmp_path):
    path = next(path for path in bag.iterdir() if path.suffix in (".mcap", ".db3"))
    assert segment_bag(path, tmp_path / "out", make_segmenter()).clouds == 3


def test_an_undecodable_cloud_costs_only_its_own_result(tmp_path, caplog):
    with BagWriter(tmp_path / "in", "mcap", STORE) as writer:
        fill(writer, clouds=12, broken=range(2, 11))
    counts = segment_bag(tmp_path / "in", tmp_path / "out", make_segmenter())
    assert (counts.clouds, counts.failed) == (3, 9)
    assert [received // SECOND for received, _ in semantic_clouds(tmp_path / "out")] == [1, 11, 12]
    copied = [m for m in stored(tmp_path / "out") if m[0] != "/lidar/semantic_points"]
    assert copied == stored(tmp_path / "in")
    assert "the message is cut short" in caplog.text
    assert len(caplog.records) == 6  # throttled


def test_serialized_bytes_that_are_no_cloud_cost_only_their_result(tmp_path):
    with BagWriter(tmp_path / "in", "mcap", STORE) as writer:
        fill(writer, clouds=1, topics=["/points"])
        other = writer.add_topic("/lidar/points", CLOUD)
        whole = bytes(STORE.serialize_cdr(point_cloud2.encode_cloud(make_cloud(1), TYPES), CLOUD))
        for size in (0, 3, 4, 30, 100, len(whole)):
            writer.write_raw(other, SECOND + size, whole[:size])
    counts = segment_bag(tmp_path / "in", tmp_path / "out", make_segmenter(), "/lidar/points")
    assert (counts.clouds, counts.failed) == (1, 5)


def test_no_result_at_all_is_an_error_with_the_reason(bag, tmp_path):
    segmenter = make_segmenter(Feature("reflectance"))
    with pytest.raises(BagError, match=r"none of its 3 clouds.*needs the channel 'reflectance'"):
        segment_bag(bag, tmp_path / "out", segmenter)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_a_bag_without_clouds_is_refused_with_its_topics(tmp_path):
    with BagWriter(tmp_path / "in", "mcap", STORE) as writer:
        fill(writer, topics=[])
    with pytest.raises(BagError, match=r"has no .*PointCloud2 topic.*/chatter \(robot_msgs"):
        segment_bag(tmp_path / "in", tmp_path / "out", make_segmenter())


def test_several_topics_of_clouds_must_be_chosen_from(tmp_path):
    with BagWriter(tmp_path / "in", "mcap", STORE) as writer:
        fill(writer, topics=["/front/points", "/rear/points"])
    with pytest.raises(BagError, match="several topics: /front/points, /rear/points"):
        segment_bag(tmp_path / "in", tmp_path / "out", make_segmenter())
    with pytest.raises(BagError, match="no clouds on /points; they are on: /front/points"):
        segment_bag(tmp_path / "in", tmp_path / "out", make_segmenter(), "/points")
    segment_bag(tmp_path / "in", tmp_path / "out", make_segmenter(), "/rear/points")
    assert len(semantic_clouds(tmp_path / "out", "/rear/semantic_points")) == 3


def test_a_segmented_bag_is_not_segmented_again(bag, tmp_path):
    segment_bag(bag, tmp_path / "out", make_segmenter())
    with pytest.raises(BagError, match="has a topic /lidar/semantic_points already"):
        segment_bag(tmp_path / "out", tmp_path / "again", make_segmenter(), "/lidar/points")


def test_an_output_that_exists_is_left_alone(bag, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "note").write_text("mine")
    with pytest.raises(BagError, match="out: exists"):
        segment_bag(bag, tmp_path / "out", make_segmenter())
    assert (tmp_path / "out" / "note").read_text() == "mine"


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 0.9, 0.99])
def test_a_bag_cut_short_leaves_no_output(bag, tmp_path, share):
    path = next(path for path in bag.iterdir() if path.suffix in (".mcap", ".db3"))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(BagError, match=r"in: .*(cannot be read|damaged).*copy it again"):
        segment_bag(bag, tmp_path / "out", make_segmenter())
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_what_is_no_bag_is_named(tmp_path):
    with pytest.raises(BagError, match="absent: no such bag"), open_bag(tmp_path / "absent"):
        pass
    (tmp_path / "old.bag").write_bytes(b"#ROSBAG V2.0\n")
    with pytest.raises(BagError, match="a ROS 1 bag; convert it"), open_bag(tmp_path / "old.bag"):
        pass
    (tmp_path / "empty").mkdir()
    with pytest.raises(BagError, match=r"no metadata\.yaml"), open_bag(tmp_path / "empty"):
        pass
    (tmp_path / "text").write_text("hello")
    with pytest.raises(BagError, match="cannot be read as a rosbag2"), open_bag(tmp_path / "text"):
        pass


@pytest.mark.parametrize("moment", ["write", "close"])
def test_a_full_disk_leaves_no_output_and_is_named(bag, tmp_path, monkeypatch, moment):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Writer, moment, fail)
    with pytest.raises(BagError, match=r"out: cannot be written: .*No space left.*make room"):
        segment_bag(bag, tmp_path / "out", make_segmenter())
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_a_file_the_system_refuses_to_grow_is_named(bag, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, hard))
    try:
        with pytest.raises(BagError, match="out: cannot be written"):
            segment_bag(bag, tmp_path / "out", make_segmenter())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_an_interrupt_leaves_no_output(bag, tmp_path):
    def interrupt(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        segment_bag(bag, tmp_path / "out", make_segmenter(), observer=interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_messages_without_definitions_are_copied(tmp_path):
    """Bags of ROS 2 Humble in sqlite3 hold no definitions; the types may be unknown here."""
    with BagWriter(tmp_path / "in", "sqlite3", STORE) as writer:
        fill(writer)
    path = next((tmp_path / "in").glob("*.db3"))
    apsw = pytest.importorskip("apsw", reason="apsw, which rosbags reads sqlite3 with, is missing")
    database = apsw.Connection(str(path))
    database.execute("DELETE FROM message_definitions")
    database.execute("UPDATE topics SET type_description_hash = ''")
    database.close()
    metadata = tmp_path / "in" / "metadata.yaml"
    lines = metadata.read_text().replace("type_description_hash:", "ignored:")
    metadata.write_text(lines)
    assert segment_bag(tmp_path / "in", tmp_path / "out", make_segmenter()).clouds == 3
    before = [(m[0], m[1], m[-2:]) for m in stored(tmp_path / "in")]
    after = [(m[0], m[1], m[-2:]) for m in stored(tmp_path / "out")]
    assert [m for m in after if m[0] != "/lidar/semantic_points"] == before


def fill_cameras(writer, shift=0, jpeg=False, info=True):
    """A camera whose images are ``shift`` ns after the clouds, in a world where it moves."""
    fill(writer)
    names = ("/front/image/compressed", "CompressedImage") if jpeg else ("/front/image", "Image")
    images = writer.add_topic(names[0], f"sensor_msgs/msg/{names[1]}")
    encode = image.encode_jpeg if jpeg else image.encode_rgb8
    static = writer.add_topic("/tf_static", "tf2_msgs/msg/TFMessage")
    moving = writer.add_topic("/tf", "tf2_msgs/msg/TFMessage")
    mount = transform.encode_stamped(invert(OPTICAL), "lidar", "front_optical", 0, TYPES)
    writer.write(static, 0, TYPES["tf2_msgs/msg/TFMessage"](transforms=[mount]))
    for second in (1, 2, 3):
        stamp = second * SECOND + shift
        pixels = np.full((16, 32, 3), 40 * second, np.uint8)
        writer.write(images, stamp + 90_000_000, encode(pixels, stamp, "front_optical", TYPES))
        if info:
            topic = "/front/camera_info"
            if second == 1:
                infos = writer.add_topic(topic, "sensor_msgs/msg/CameraInfo")
            message = camera_info.encode(CAMERA, stamp, "front_optical", TYPES)
            writer.write(infos, stamp + 90_000_000, message)
        at = make_transform(np.eye(3), [10.0 * second, 0, 0])
        moved = transform.encode_stamped(at, "odom", "lidar", second * SECOND, TYPES)
        writer.write(moving, second * SECOND, TYPES["tf2_msgs/msg/TFMessage"](transforms=[moved]))


def observed_views(path, target, calibration=None):
    seen = []
    segment_bag(
        path,
        target,
        make_segmenter(),
        calibration=calibration,
        observer=lambda _number, frame, semantic: seen.append((frame.views, semantic.seen)),
    )
    return seen


@pytest.mark.parametrize("jpeg", [False, True])
def test_views_are_the_nearest_images_with_the_motion_between(tmp_path, jpeg):
    with BagWriter(tmp_path / "in", "mcap", STORE) as writer:
        fill_cameras(writer, 30_000_000, jpeg)
    seen = observed_views(tmp_path / "in", tmp_path / "out")
    assert [len(views) for views, _ in seen] == [1, 1, 1]
    for second, (views, _) in enumerate(seen, 1):
        view = views[0]
        assert (view.name, view.stamp) == ("front", second * SECOND + 30_000_000)
        assert abs(int(view.image.mean()) - 40 * second) <= 1
        np.testing.assert_array_equal(view.camera.matrix, CAMERA.matrix)
        # 10 m/s forward for 30 ms: the camera has come 0.3 m nearer; unknown after the last pose
        ahead = make_transform(np.eye(3), [-0.3 if second < 3 else 0.0, 0, 0])
        np.testing.assert_allclose(view.T_camera_lidar, OPTICAL @ ahead, atol=1e-9)
    assert sum(int(counts.sum()) for _, counts in seen) > 0


def test_images_farther_than_the_tolerance_are_no_views(tmp_path):
    with BagWriter(tmp_path / "in", "mcap", STORE) as writer:
        fill_cameras(writer, 60_000_000)
    assert [views for views, _ in observed_views(tmp_path / "in", tmp_path / "out")] == [()] * 3


def test_a_camera_without_camera_info_is_placed_by_the_calibration_file(tmp_path, caplog):
    with BagWriter(tmp_path / "in", "mcap", STORE) as writer:
        fill_cameras(writer, info=False)
    seen = observed_views(tmp_path / "in", tmp_path / "out")
    assert all(views == () for views, _ in seen)
    assert caplog.text.count("camera 'front' is left out: no camera_info") == 1
    pose = make_transform(np.eye(3), [1, 2, 3]) @ OPTICAL
    write_calibration(tmp_path / "c.yaml", {"front": CameraCalibration(CAMERA, pose)})
    seen = observed_views(tmp_path / "in", tmp_path / "again", tmp_path / "c.yaml")
    for views, _ in seen:
        np.testing.assert_array_equal(views[0].T_camera_lidar, pose)


def test_images_of_another_size_than_the_calibration_are_left_out(tmp_path, caplog):
    with BagWriter(tmp_path / "in", "mcap", STORE) as writer:
        fill_cameras(writer)
    other = CameraCalibration(Camera(64, 32, CAMERA.matrix), OPTICAL)
    write_calibration(tmp_path / "c.yaml", {"front": other, "rear": other})
    seen = observed_views(tmp_path / "in", tmp_path / "out", tmp_path / "c.yaml")
    assert all(views == () for views, _ in seen)
    assert caplog.text.count("its images are 32 x 16, its calibration is for 64 x 32") == 1
    assert (
        "calibration names 'rear', the bag's cameras are front (a camera is named by its topic's "
        "namespace)"
    ) in caplog.text


@pytest.mark.parametrize("refused", [{2}, {1, 2, 3}])
def test_a_cloud_that_the_engine_refuses_is_left_without_a_result(bag, tmp_path, refused, caplog):
    class Refuses(ByHeight):
        calls = 0

        def __call__(self, coords, features):
            self.calls += 1
            if self.calls in refused:
                raise EngineError("999 voxels are more than it can take")
            return super().__call__(coords, features)

    segmenter = Segmenter(make_segmenter().spec, Refuses())
    if len(refused) == 3:
        with pytest.raises(BagError, match=r"none of its 3 clouds .* the last: 999 voxels"):
            segment_bag(bag, tmp_path / "out", segmenter)
        return
    counts = segment_bag(bag, tmp_path / "out", segmenter)
    assert (counts.clouds, counts.failed) == (2, 1)
    assert "999 voxels are more" in caplog.text
    with open_bag(tmp_path / "out") as result:
        assert len(list(result.messages(result.on_topic("/lidar/semantic_points")))) == 2
