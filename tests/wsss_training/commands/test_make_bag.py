import logging
from argparse import ArgumentParser

import numpy as np
import pytest
from PIL import Image

from wsss_perception.bag import BagCameras, open_bag
from wsss_perception.calibration import read_calibration
from wsss_perception.errors import BagError, DatasetError
from wsss_perception.frame import PointCloud
from wsss_perception.geometry import Camera, invert, make_transform, matrix_from_quaternion
from wsss_perception.messages import image, point_cloud2, transform
from wsss_training.commands import make_bag as command
from wsss_training.commands.make_bag import make_bag
from wsss_training.data import ImageSource, Sample, open_dataset

STEP = 100_000_000
CAMERA = Camera(8, 6, np.array([[8.0, 0, 4], [0, 8.0, 3], [0, 0, 1]]), "plumb_bob", (0.1, 0.01))
OPTICAL = make_transform(matrix_from_quaternion([0.5, -0.5, 0.5, -0.5]), [0.1, -0.2, 0.3])


def pose_at(stamp):
    """A LiDAR that drives forward, at another speed between each two sweeps."""
    knots = np.arange(9, 15) * STEP
    return make_transform(np.eye(3), [np.interp(stamp, knots, [0, 1, 2, 4, 4.5, 6]), 0, 0])


class Log:
    """Sweeps every 0.1 s, each with an image of a moving camera ``shift`` ns later."""

    ontology = None

    def __init__(self, folder, count=4, shift=0, compensated=False, poses=True, scenes=("a",)):
        self.sample_ids = [f"{scene}/{i:03d}" for scene in scenes for i in range(count)]
        self._folder, self._shift = folder, shift
        self._compensated, self._poses = compensated, poses

    def __len__(self):
        return len(self.sample_ids)

    def __getitem__(self, index):
        scene, _, stem = self.sample_ids[index].rpartition("/")
        stamp = (int(stem) + 10) * STEP
        xyz = np.random.default_rng(index).normal(0, 5, (6, 3)).astype(np.float32)
        cloud = PointCloud(xyz, {"intensity": np.full(6, index, np.float32)}, stamp, "velodyne")
        path = self._folder / f"{index}.png"
        Image.fromarray(np.full((6, 8, 3), 20 * index, np.uint8)).save(path)
        taken = stamp + self._shift
        pose = OPTICAL
        if self._compensated:
            pose = OPTICAL @ invert(pose_at(taken)) @ pose_at(stamp)
        source = ImageSource("front", path, CAMERA, pose, taken)
        world = pose_at(stamp) if self._poses else None
        return Sample(self.sample_ids[index], scene, cloud, (source,), world)


def read_messages(path):
    with open_bag(path) as bag:
        return [(m.connection.topic, m.received, bag.deserialize(m)) for m in bag.messages()]


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_bag_holds_the_log_in_the_order_of_time(tmp_path, storage):
    log = Log(tmp_path, shift=-30_000_000)
    assert make_bag(log, tmp_path / "bag", storage=storage) == 4
    messages = read_messages(tmp_path / "bag")
    assert {topic for topic, _, _ in messages} == {
        "/points",
        "/front/image",
        "/front/camera_info",
        "/tf",
        "/tf_static",
    }
    times = [received for _, received, _ in messages]
    assert times == sorted(times)
    clouds = [(received, m) for topic, received, m in messages if topic == "/points"]
    images = [(received, m) for topic, received, m in messages if topic == "/front/image"]
    assert len(clouds) == len(images) == 4
    for index, ((cloud_time, cloud), (image_time, picture)) in enumerate(
        zip(clouds, images, strict=True)
    ):
        expected = log[index]
        decoded = point_cloud2.decode(cloud)
        np.testing.assert_array_equal(decoded.xyz, expected.cloud.xyz)
        assert (decoded.stamp, decoded.frame_id) == (expected.cloud.stamp, "velodyne")
        assert cloud_time == expected.cloud.stamp
        assert image_time == expected.images[0].stamp
        np.testing.assert_array_equal(image.decode(picture), expected.images[0].load().image)


def test_messages_are_stored_in_the_order_of_time(tmp_path):
    """Not only sorted by the reader: ros2 bag play of a stream and tail -f see them in order."""
    make_bag(Log(tmp_path, shift=-30_000_000), tmp_path / "bag", storage="sqlite3")
    apsw = pytest.importorskip("apsw", reason="apsw, which rosbags reads sqlite3 with, is missing")
    database = apsw.Connection(str(tmp_path / "bag" / "bag.db3"))
    times = [row[0] for row in database.execute("SELECT timestamp FROM messages ORDER BY id")]
    assert times == sorted(times)


def test_transforms_are_latched_and_place_the_camera_as_the_log_does(tmp_path):
    log = Log(tmp_path, shift=20_000_000)
    make_bag(log, tmp_path / "bag")
    with open_bag(tmp_path / "bag") as bag:
        qos = bag.on_topic("/tf_static")[0].ext.offered_qos_profiles[0]
        assert (qos.durability.name, qos.reliability.name) == ("TRANSIENT_LOCAL", "RELIABLE")
        qos = bag.on_topic("/points")[0].ext.offered_qos_profiles[0]
        assert (qos.durability.name, qos.reliability.name) == ("VOLATILE", "RELIABLE")
    messages = read_messages(tmp_path / "bag")
    static = next(m for topic, _, m in messages if topic == "/tf_static").transforms[0]
    assert (static.header.frame_id, static.child_frame_id) == ("velodyne", "front_optical")
    np.testing.assert_allclose(transform.decode(static.transform), invert(OPTICAL), atol=1e-12)
    moving = [m.transforms[0] for topic, _, m in messages if topic == "/tf"]
    for entry, index in zip(moving, range(4), strict=True):
        assert (entry.header.frame_id, entry.child_frame_id) == ("map", "velodyne")
        expected = log[index].T_world_lidar
        np.testing.assert_allclose(transform.decode(entry.transform), expected, atol=1e-12)


@pytest.mark.parametrize("shift", [-30_000_000, 30_000_000])
def test_motion_a_reader_compensates_is_not_in_the_mount_and_comes_back(tmp_path, shift):
    log = Log(tmp_path, shift=shift, compensated=True)
    make_bag(log, tmp_path / "bag")
    with open_bag(tmp_path / "bag") as bag:
        cameras = BagCameras(bag)
        sample = log[2 if shift > 0 else 1]
        view = cameras.views(sample.cloud)[0]
    np.testing.assert_allclose(view.T_camera_lidar, sample.images[0].T_camera_lidar, atol=1e-9)


def test_the_calibration_file_says_what_tf_says(tmp_path):
    make_bag(Log(tmp_path), tmp_path / "bag")
    found = read_calibration(tmp_path / "bag" / "calibration.yaml")["front"]
    np.testing.assert_allclose(found.T_camera_lidar, OPTICAL)
    np.testing.assert_array_equal(found.camera.matrix, CAMERA.matrix)
    assert found.camera.distortion == CAMERA.distortion


def test_images_can_be_compressed(tmp_path):
    make_bag(Log(tmp_path), tmp_path / "bag", compress_images=True)
    pictures = [m for topic, _, m in read_messages(tmp_path / "bag") if "image" in topic]
    pictures = [m for m in pictures if hasattr(m, "format")]
    assert [round(float(image.decode(m).mean())) for m in pictures] == [0, 20, 40, 60]


def test_a_log_without_poses_has_no_tf(tmp_path):
    make_bag(Log(tmp_path, poses=False), tmp_path / "bag")
    topics = {topic for topic, _, _ in read_messages(tmp_path / "bag")}
    assert "/tf" not in topics
    assert "/tf_static" in topics


def test_a_log_must_be_chosen_from_several(tmp_path):
    log = Log(tmp_path, count=2, scenes=("a", "b"))
    with pytest.raises(DatasetError, match="name one with --scene; there are: a, b"):
        make_bag(log, tmp_path / "bag")
    with pytest.raises(DatasetError, match="no log 'c'; there are: a, b"):
        make_bag(log, tmp_path / "bag", "c")
    assert make_bag(log, tmp_path / "bag", "b") == 2


def test_a_camera_that_moves_on_its_mount_is_warned_of(tmp_path, caplog):
    log = Log(tmp_path, shift=30_000_000, compensated=True)
    places = iter(np.linspace(0, 1, 8))

    def moved(index):
        sample = Log.__getitem__(log, index)
        source = sample.images[0]
        pose = make_transform(np.eye(3), [next(places), 0, 0]) @ source.T_camera_lidar
        changed = ImageSource(source.name, source.path, source.camera, pose, source.stamp)
        return Sample(
            sample.sample_id, sample.scene, sample.cloud, (changed,), sample.T_world_lidar
        )

    shaken = type("Shaken", (Log,), {"__getitem__": lambda _, index: moved(index)})
    with caplog.at_level(logging.WARNING):
        make_bag(shaken(tmp_path), tmp_path / "bag")
    assert "camera 'front' moves by" in caplog.text


def test_a_damaged_log_leaves_no_bag(tmp_path):
    log = Log(tmp_path)
    original = log.__class__.__getitem__

    class Damaged(Log):
        def __getitem__(self, index):
            sample = original(self, index)
            if index == 2:
                sample.images[0].path.write_bytes(b"no image")
            return sample

    (tmp_path / "out").mkdir()
    with pytest.raises(DatasetError, match=r"2\.png: image cannot be read"):
        make_bag(Damaged(tmp_path), tmp_path / "out" / "bag")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_bag_that_exists_is_left_alone(tmp_path):
    (tmp_path / "bag").write_text("mine")
    with pytest.raises(BagError, match="bag: exists"):
        make_bag(Log(tmp_path), tmp_path / "bag")
    assert (tmp_path / "bag").read_text() == "mine"


@pytest.mark.real_data
def test_real_kitti_becomes_a_bag_whose_views_are_those_of_the_reader(tmp_path, data_root):
    parser = ArgumentParser()
    command.add_arguments(parser)
    root = str(data_root / "semantic_kitti")
    words = [str(tmp_path / "bag"), "--dataset", "semantic_kitti", "--root", root]
    command.run(parser.parse_args([*words, "--scene", "00"]))
    sample = open_dataset("semantic_kitti", root, sequences=["00"])[3]
    with open_bag(tmp_path / "bag") as bag:
        clouds = [bag.deserialize(m) for m in bag.messages(bag.on_topic("/points"))]
        views = BagCameras(bag).views(point_cloud2.decode(clouds[3]))
    assert len(clouds) == 21
    np.testing.assert_array_equal(point_cloud2.decode(clouds[3]).xyz, sample.cloud.xyz)
    for view, source in zip(views, sample.images, strict=True):
        np.testing.assert_array_equal(view.image, source.load().image)
        np.testing.assert_allclose(view.T_camera_lidar, source.T_camera_lidar, atol=1e-6)
