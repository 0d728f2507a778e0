import io
import shutil
import tracemalloc
from argparse import ArgumentParser
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from wsss_perception.bag import BagWriter, open_bag
from wsss_perception.calibration import CameraCalibration, write_calibration
from wsss_perception.errors import BagError, ConfigError
from wsss_perception.frame import PointCloud
from wsss_perception.geometry import Camera, invert, make_transform, matrix_from_quaternion
from wsss_perception.messages import camera_info, image, point_cloud2, transform
from wsss_training.commands import import_bag as command
from wsss_training.commands.make_bag import make_bag
from wsss_training.data import open_dataset
from wsss_training.recording import ImportSettings, import_bags, read_recording
from wsss_training.recording.open_scene import OpenScene

STORE = get_typestore(Stores.ROS2_JAZZY)
TYPES = STORE.types
MS = 1_000_000
CLOUD, IMAGE, JPEG = (f"sensor_msgs/msg/{n}" for n in ("PointCloud2", "Image", "CompressedImage"))
CAMERA = Camera(16, 12, np.array([[8.0, 0, 8], [0, 8.0, 6], [0, 0, 1]]), "plumb_bob", (0.1, 0.01))
OPTICAL = make_transform(matrix_from_quaternion([0.5, -0.5, 0.5, -0.5]), [0.1, -0.2, 0.3])


def world_at(stamp):
    """10 m/s ahead."""
    return make_transform(np.eye(3), [stamp * 1e-8, 0, 0])


def make_cloud(stamp, points=6):
    rng = np.random.default_rng(stamp)
    xyz = rng.normal(0, 5, (points, 3)).astype(np.float32)
    channels = {"intensity": rng.uniform(0, 255, points).astype(np.float32)}
    return PointCloud(xyz, {**channels, "ring": np.arange(points, dtype=np.float32)}, stamp, "os1")


def make_pixels(stamp):
    return np.random.default_rng(stamp).integers(0, 255, (12, 16, 3), dtype=np.uint8)


def make_jpeg(stamp):
    return image.encode_jpeg(make_pixels(stamp), stamp, "front_optical", TYPES)


def make_raw(stamp):
    return image.encode_rgb8(make_pixels(stamp), stamp, "front_optical", TYPES)


def write_bag(
    path,
    clouds=range(100, 600, 100),
    images=range(110, 610, 100),
    encode=make_raw,
    change=lambda topic, stamp, message: message,
    poses=True,
    storage="mcap",
    points=6,
):
    """A bag of a LiDAR and a camera 'rig/front'; stamps in ms, received up to 30 ms later."""
    events = [(t * MS, "/points", CLOUD) for t in clouds]
    kind = JPEG if encode is make_jpeg else IMAGE
    topic = "/rig/front/image/compressed" if kind == JPEG else "/rig/front/image"
    events += [(t * MS, topic, kind) for t in images]
    delay = {CLOUD: 30 * MS, kind: 5 * MS}
    with BagWriter(path, storage, STORE) as writer:
        tf = "tf2_msgs/msg/TFMessage"
        names = {name: writer.add_topic(name, tf) for name in ("/tf", "/tf_static")}
        mount = transform.encode_stamped(invert(OPTICAL), "os1", "front_optical", 0, TYPES)
        writer.write(names["/tf_static"], 0, TYPES[tf](transforms=[mount]))
        for second in (0, 10**4) if poses else ():
            pose = world_at(second * MS)
            entry = transform.encode_stamped(pose, "odom", "os1", second * MS, TYPES)
            writer.write(names["/tf"], 0, TYPES[tf](transforms=[entry]))
        infos = writer.add_topic("/rig/front/camera_info", "sensor_msgs/msg/CameraInfo")
        writer.write(infos, 0, camera_info.encode(CAMERA, 0, "front_optical", TYPES))
        topics = {name: writer.add_topic(name, kind) for name, kind in {e[1:] for e in events}}
        for stamp, name, kind in sorted(events, key=lambda e: e[0] + delay[e[2]]):
            message = encode(stamp)
            if kind == CLOUD:
                message = point_cloud2.encode_cloud(make_cloud(stamp, points), TYPES)
            message = change(name, stamp // MS, message)
            writer.write(topics[name], stamp + delay[kind], message)
    return path


@pytest.fixture(scope="module")
def drive(tmp_path_factory):
    """The bag that most tests read; none changes it."""
    return write_bag(tmp_path_factory.mktemp("shared") / "drive")


def import_one(bag, root, **settings):
    ((_, counts),) = import_bags([bag], root, ImportSettings(**settings))
    return counts, open_dataset("recording", root)


def stamps(dataset):
    return [int(sample_id.rpartition("/")[2]) // MS for sample_id in dataset.sample_ids]


def paired(dataset):
    """Stamp of each sweep and of its image, or None, in ms."""
    samples = [dataset[index] for index in range(len(dataset))]
    return [(s.cloud.stamp // MS, s.images[0].stamp // MS if s.images else None) for s in samples]


def files(root, pattern="*/rig-front/*"):
    return sorted(path.name for path in root.glob(pattern))


def compress(source, target, storage, mode):
    writer = Writer(target, version=9, storage_plugin=storage)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with open_bag(source) as bag, writer:
        topics = {
            c.topic: writer.add_connection(c.topic, c.msgtype, typestore=STORE)
            for c in bag.connections
        }
        for message in bag.messages():
            writer.write(topics[message.connection.topic], message.received, message.data)
    return target


@pytest.mark.parametrize("kind", ["mcap", "sqlite3", "file", "message", "chunk"])
def test_a_recording_holds_the_clouds_images_and_places_of_any_bag(tmp_path, kind):
    bag = write_bag(tmp_path / "drive", storage="sqlite3" if kind == "sqlite3" else "mcap")
    if kind in ("file", "message"):
        mode = CompressionMode.FILE if kind == "file" else CompressionMode.MESSAGE
        bag = compress(bag, tmp_path / "small", StoragePlugin.SQLITE3, mode)
    elif kind == "chunk":
        bag = compress(bag, tmp_path / "small", StoragePlugin.MCAP, CompressionMode.STORAGE)
    counts, dataset = import_one(bag, tmp_path / "out")
    assert counts.scenes == [f"{bag.name}_000"]
    assert (counts.sweeps, counts.points, counts.images) == (5, 30, {"rig-front": 5})
    assert (counts.damaged_clouds, counts.damaged_images, counts.damage) == (0, 0, None)
    assert dataset.sample_ids == [f"{bag.name}_000/{t * MS}" for t in range(100, 600, 100)]
    for index, stamp in enumerate(range(100 * MS, 600 * MS, 100 * MS)):
        sample, cloud = dataset[index], make_cloud(stamp)
        np.testing.assert_array_equal(sample.cloud.xyz, cloud.xyz)
        for name, values in cloud.channels.items():
            np.testing.assert_array_equal(sample.cloud.channels[name], values)
        assert (sample.cloud.stamp, sample.cloud.frame_id) == (stamp, "os1")
        np.testing.assert_allclose(sample.T_world_lidar, world_at(stamp), atol=1e-9)
        (source,) = sample.images
        taken = stamp + 10 * MS
        assert (source.name, source.stamp) == ("rig-front", taken)
        expected = OPTICAL @ invert(world_at(taken)) @ world_at(stamp)
        np.testing.assert_allclose(source.T_camera_lidar, expected, atol=1e-9)
        assert (source.camera.model, source.camera.distortion) == ("plumb_bob", (0.1, 0.01))
        np.testing.assert_array_equal(source.camera.matrix, CAMERA.matrix)
        np.testing.assert_array_equal(source.load().image, make_pixels(taken))


def png(stamp, mode="RGB"):
    stream = io.BytesIO()
    pixels = Image.fromarray(make_pixels(stamp))
    if mode == "I;16":
        pixels = Image.fromarray(np.asarray(pixels.convert("L")).astype(np.uint16) * 256)
    pixels.save(stream, "PNG")
    return replace(make_jpeg(stamp), format="png", data=np.frombuffer(stream.getvalue(), np.uint8))


@pytest.mark.parametrize(("encode", "suffix"), [(make_jpeg, "jpg"), (png, "png")])
def test_compressed_images_are_stored_byte_for_byte(tmp_path, encode, suffix):
    change = lambda topic, t, m: encode(t * MS) if "front" in topic else m  # noqa: E731
    bag = write_bag(tmp_path / "drive", encode=make_jpeg, change=change)
    import_one(bag, tmp_path / "out")
    path = tmp_path / "out" / "drive_000" / "rig-front" / f"{110 * MS}.{suffix}"
    assert path.read_bytes() == bytes(encode(110 * MS).data)


def test_images_of_16_bits_are_stored_as_they_are_decoded(tmp_path):
    change = lambda topic, t, m: png(t * MS, "I;16") if "front" in topic else m  # noqa: E731
    bag = write_bag(tmp_path / "drive", encode=make_jpeg, change=change)
    _, dataset = import_one(bag, tmp_path / "out")
    (source,) = dataset[0].images
    expected = image.decode(png(110 * MS, "I;16"))
    np.testing.assert_array_equal(source.load().image, expected)
    assert len(np.unique(expected)) > 50


def test_only_images_of_kept_sweeps_are_written_and_shared_ones_once(tmp_path):
    bag = write_bag(tmp_path / "drive", clouds=[100, 160, 300, 500], images=[20, 130, 200, 351])
    counts, dataset = import_one(bag, tmp_path / "out")
    assert paired(dataset) == [(100, 130), (160, 130), (300, None), (500, None)]
    assert files(tmp_path / "out") == [f"{130 * MS}.png"]
    assert counts.images == {"rig-front": 1}


def test_an_image_shared_by_two_scenes_is_in_both(tmp_path):
    bag = write_bag(tmp_path / "drive", clouds=[100, 160], images=[130])
    counts, dataset = import_one(bag, tmp_path / "out", scene_seconds=0.06)
    assert paired(dataset) == [(100, 130), (160, 130)]
    assert counts.scenes == ["drive_000", "drive_001"]
    assert files(tmp_path / "out") == [f"{130 * MS}.png"] * 2


def test_sweeps_are_kept_an_interval_apart(tmp_path, drive):
    _, dataset = import_one(drive, tmp_path / "out", min_interval=0.2)
    assert paired(dataset) == [(100, 110), (300, 310), (500, 510)]
    assert len(files(tmp_path / "out")) == 3


def test_scenes_are_cut_by_time_or_by_distance(tmp_path, drive):
    _, by_time = import_one(drive, tmp_path / "time", scene_seconds=0.2)
    _, by_distance = import_one(drive, tmp_path / "distance", scene_metres=2.5)
    scenes = [sample_id.rpartition("/")[0][-1] for sample_id in by_time.sample_ids]
    assert (scenes, stamps(by_time)) == (list("00112"), [100, 200, 300, 400, 500])
    scenes = [sample_id.rpartition("/")[0][-1] for sample_id in by_distance.sample_ids]
    assert (scenes, stamps(by_distance)) == (list("00011"), [100, 200, 300, 400, 500])


def test_a_cut_by_distance_needs_poses(tmp_path, caplog):
    bag = write_bag(tmp_path / "drive", poses=False)
    with pytest.raises(BagError, match=r"no poses of 'os1'.*cut by time with --scene-seconds"):
        import_one(bag, tmp_path / "out", scene_metres=2.5)
    assert not (tmp_path / "out").exists()  # so that other settings are not refused
    caplog.clear()
    _, dataset = import_one(bag, tmp_path / "out")
    assert caplog.text.count("place 'os1' in odom or map or world") == 1
    assert "its frames: front_optical, os1" in caplog.text
    assert dataset[0].T_world_lidar is None
    np.testing.assert_allclose(dataset[0].images[0].T_camera_lidar, OPTICAL, atol=1e-9)


def test_a_calibration_file_places_the_camera_as_it_says(tmp_path, drive):
    pose = make_transform(np.eye(3), [1, 2, 3]) @ OPTICAL
    camera = Camera(16, 12, CAMERA.matrix, "equidistant", (0.1,))
    write_calibration(tmp_path / "c.yaml", {"front": CameraCalibration(camera, pose)})
    _, dataset = import_one(drive, tmp_path / "out", calibration=tmp_path / "c.yaml")
    (source,) = dataset[0].images
    np.testing.assert_array_equal(source.T_camera_lidar, pose)
    assert (source.camera.model, source.camera.distortion) == ("equidistant", (0.1,))
    assert dataset[0].T_world_lidar is not None


def test_invalid_points_are_dropped_and_intensities_scaled(tmp_path):
    def spoil(topic, stamp, message):
        if topic == "/points":
            message.data.view("<f4").reshape(6, 5)[[1, 4], [0, 2]] = np.nan, np.inf
            if stamp == 300:
                message.data.view("<f4").reshape(6, 5)[:, 1] = np.nan
            if stamp == 400:
                message = replace(message, width=0, row_step=0, data=message.data[:0])
        return message

    counts, dataset = import_one(
        write_bag(tmp_path / "drive", change=spoil), tmp_path / "out", intensity_scale=1 / 255
    )
    assert stamps(dataset) == [100, 200, 500]
    assert (counts.points, counts.invalid_points, counts.empty_clouds) == (12, 6, 2)
    cloud, expected = dataset[0].cloud, make_cloud(100 * MS).select(np.array([0, 2, 3, 5]))
    np.testing.assert_array_equal(cloud.xyz, expected.xyz)
    np.testing.assert_array_equal(cloud.channels["ring"], [0, 2, 3, 5])
    np.testing.assert_allclose(
        cloud.channels["intensity"], expected.channels["intensity"] / 255, rtol=1e-6
    )


def test_a_channel_that_float32_cannot_hold_is_in_no_file(tmp_path, caplog):
    def use_epoch(topic, stamp, message):
        if topic == "/points":
            message.fields[-1].datatype = 6  # ring: UINT32
            message.data.view("<u4").reshape(6, 5)[:, 4] = 1_700_000_005 + np.arange(6)
        return message

    bag = write_bag(tmp_path / "drive", images=[], change=use_epoch)
    _, dataset = import_one(bag, tmp_path / "out")
    assert list(dataset[0].cloud.channels) == ["intensity"]
    assert caplog.text.count("channel 'ring' is left out") == 1


def test_damaged_clouds_and_images_are_counted_named_and_left_out(tmp_path, caplog):
    def spoil(topic, stamp, message):
        if (topic, stamp) in [("/points", 200), ("/rig/front/image/compressed", 310)]:
            message.data = message.data[:-9]
        if (topic, stamp) == ("/points", 500):
            message = replace(message, fields=message.fields[:-1])
        return message

    bag = write_bag(tmp_path / "drive", encode=make_jpeg, change=spoil)
    counts, dataset = import_one(bag, tmp_path / "out")
    assert paired(dataset) == [(100, 110), (300, None), (400, 410)]
    assert (counts.damaged_clouds, counts.damaged_images, counts.sweeps) == (2, 1, 3)
    assert len(files(tmp_path / "out")) == 2
    assert "cloud of 0.200000000" in caplog.text
    assert "the fields ['intensity'], most are in 'os1' with ['intensity', 'ring']" in (caplog.text)
    assert "image of 0.310000000" in caplog.text


def test_clouds_with_the_stamp_of_another_are_left_out(tmp_path):
    def unset(topic, stamp, message):
        if topic == "/points" and stamp > 300:
            message.header.stamp.nanosec = 200 * MS
        return message

    counts, dataset = import_one(write_bag(tmp_path / "drive", change=unset), tmp_path / "out")
    assert (stamps(dataset), counts.damaged_clouds) == ([100, 200, 300], 2)


def test_images_of_another_size_are_left_out(tmp_path, caplog):
    big = lambda stamp: image.encode_rgb8(np.zeros((24, 32, 3), np.uint8), stamp, "f", TYPES)  # noqa: E731
    bag = write_bag(tmp_path / "drive", encode=lambda stamp: big(stamp))
    counts, dataset = import_one(bag, tmp_path / "out")
    assert counts.damaged_images == 5
    assert dataset[0].images == ()
    assert "images are 32 x 24, its calibration is for 16 x 12" in caplog.text


def test_a_bag_without_a_usable_cloud_is_refused(tmp_path):
    def spoil(topic, stamp, message):
        if topic == "/points":
            message.data = message.data[:-1]
        return message

    bag = write_bag(tmp_path / "drive", change=spoil)
    with pytest.raises(BagError, match=r"none of its clouds on /points can be used: .*cut short"):
        import_one(bag, tmp_path / "out")


def test_a_bag_without_cameras_is_imported_with_a_warning(tmp_path, caplog):
    counts, dataset = import_one(write_bag(tmp_path / "drive", images=[]), tmp_path / "out")
    assert len(dataset) == counts.sweeps == 5
    assert "no camera can be used" in caplog.text
    import_one(write_bag(tmp_path / "late", images=[900]), tmp_path / "out2")
    assert "camera 'rig/front': no image is near enough to a cloud" in caplog.text


def test_a_killed_import_goes_on_where_it_was(tmp_path, drive, monkeypatch):
    root = tmp_path / "out"
    import_one(drive, tmp_path / "whole", scene_seconds=0.2)
    finish = OpenScene.describe

    def die(scene):
        if scene.name == "drive_001":
            raise KeyboardInterrupt
        return finish(scene)

    monkeypatch.setattr(OpenScene, "describe", die)
    with pytest.raises(KeyboardInterrupt):
        import_one(drive, root, scene_seconds=0.2)
    monkeypatch.undo()
    assert sorted(path.name for path in root.iterdir()) == ["drive_000", "recording.yaml"]
    made = (root / "drive_000" / "frames.json").stat().st_mtime_ns
    (root / ".drive_001.part" / "points").mkdir(parents=True)  # as SIGKILL leaves it
    (root / ".drive_001.part" / "points" / "1.npy").write_bytes(b"half")
    (root / ".salvaged-x").mkdir()
    counts, _ = import_one(drive, root, scene_seconds=0.2)
    assert (counts.present, counts.scenes) == (["drive_000"], ["drive_001", "drive_002"])
    assert (root / "drive_000" / "frames.json").stat().st_mtime_ns == made
    content = [
        {p.relative_to(r): p.read_bytes() for p in r.rglob("*") if p.is_file() and p.parent != r}
        for r in (root, tmp_path / "whole")
    ]
    assert content[0] == content[1]
    assert not list(root.glob(".*"))


def test_what_a_bag_was_imported_with_is_refused_otherwise_while_its_scenes_are_there(
    tmp_path, drive
):
    root, path = tmp_path / "out", tmp_path / "c.yaml"
    write_calibration(path, {"front": CameraCalibration(CAMERA, OPTICAL)})
    import_one(drive, root, calibration=path, points="/points")
    assert import_one(drive, root, calibration=path)[0].present == ["drive_000"]
    made = (root / "recording.yaml").read_bytes()
    with pytest.raises(ConfigError, match=r"out: 'drive' was.*calibration sha256.*, not None"):
        import_one(drive, root)
    write_calibration(path, {"front": CameraCalibration(CAMERA, np.eye(4))})
    with pytest.raises(ConfigError, match="other settings: calibration sha256"):
        import_one(drive, root, calibration=path)
    assert (root / "recording.yaml").read_bytes() == made
    shutil.rmtree(root / "drive_000")
    assert import_one(drive, root, scene_seconds=3.0)[0].scenes == ["drive_000"]


def test_a_bag_with_other_topics_and_cameras_can_be_added(tmp_path, drive):
    with BagWriter(tmp_path / "other", "mcap", STORE) as writer:
        points = writer.add_topic("/other/points", CLOUD)
        writer.add_topic("/unused/points", CLOUD)
        writer.write(points, MS, point_cloud2.encode_cloud(make_cloud(MS), TYPES))
    write_calibration(tmp_path / "c.yaml", {"front": CameraCalibration(CAMERA, OPTICAL)})
    import_one(drive, tmp_path / "out", calibration=tmp_path / "c.yaml", points="/points")
    counts, _ = import_one(tmp_path / "other", tmp_path / "out")
    assert counts.scenes == ["other_000"]
    sources = read_recording(tmp_path / "out")["sources"]
    assert [source["points"] for source in sources.values()] == ["/points", "/other/points"]


def test_bags_can_be_added_and_are_told_apart_by_their_names(tmp_path):
    root = tmp_path / "out"
    first = write_bag(tmp_path / "a" / "drive")
    second = write_bag(tmp_path / "b" / "night", clouds=[700, 800], images=[])
    third = write_bag(tmp_path / "c" / "drive", clouds=[700, 800])
    names = [name for name, _ in import_bags([first, second], root, ImportSettings())]
    assert names == ["drive", "night"]
    assert len(open_dataset("recording", root)) == 7
    made = (root / "recording.yaml").read_bytes()
    with pytest.raises(BagError, match=r"drive_000: is there already, and not of .*rename"):
        import_one(third, root)
    assert (root / "recording.yaml").read_bytes() == made
    with pytest.raises(BagError, match="two bags have the same name"):
        list(import_bags([first, third], tmp_path / "other", ImportSettings()))
    with pytest.raises(BagError, match="absent: no such bag"):
        list(import_bags([first, tmp_path / "absent"], tmp_path / "other", ImportSettings()))
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_of_a_bag_cut_short_what_was_recorded_is_imported_and_the_damage_told(
    tmp_path, capsys, storage
):
    bag = write_bag(
        tmp_path / "drive",
        clouds=range(100, 4100, 100),
        images=range(110, 4110, 100),
        storage=storage,
        points=5000,
    )
    path = next(path for path in bag.iterdir() if path.suffix in (".mcap", ".db3"))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.7)])
    (bag / "metadata.yaml").unlink()
    parser = ArgumentParser()
    command.add_arguments(parser)
    words = [str(bag), str(tmp_path / "out"), "--scene-seconds", "1"]
    for _ in range(2):
        with pytest.raises(BagError, match=r"what precedes the damage was imported and kept; .*"):
            command.run(parser.parse_args(words))
    dataset = open_dataset("recording", tmp_path / "out")
    found = paired(dataset)
    count = len(found)
    assert 12 < count < 40
    assert [cloud for cloud, _ in found] == list(range(100, 100 + 100 * count, 100))
    assert all(taken == cloud + 10 for cloud, taken in found[:-1])
    assert len(dataset[count - 1].cloud) == 5000
    assert not list((tmp_path / "out").glob(".*"))
    assert "were there already and are left as they are" in capsys.readouterr().out


def test_damage_met_in_the_last_pass_keeps_the_sweeps_before_it(tmp_path, drive, monkeypatch):
    """The scene that the damage cuts is kept, and named when the import is tried again."""
    from wsss_perception.bag import reader

    messages = reader.Bag.messages

    def damaged(self, connections=None, start=None, stop=None):
        for message in messages(self, connections, start, stop):
            if start is not None and message.received > 300 * MS:
                raise BagError("drive: damaged after 3 messages")
            yield message

    monkeypatch.setattr(reader.Bag, "messages", damaged)
    counts, dataset = import_one(drive, tmp_path / "out")
    assert counts.damage == "drive: damaged after 3 messages"
    assert paired(dataset) == [(100, 110), (200, 210)]
    monkeypatch.undo()
    assert import_one(drive, tmp_path / "out")[0].present == ["drive_000"]


def test_a_scene_with_fewer_sweeps_than_the_bag_has_is_warned_of(tmp_path, caplog):
    import_one(write_bag(tmp_path / "a" / "drive", clouds=[100, 200]), tmp_path / "out")
    counts, _ = import_one(write_bag(tmp_path / "b" / "drive"), tmp_path / "out")
    assert counts.present == ["drive_000"]
    assert "left as it is, with 2 of the bag's 5 sweeps; remove it" in caplog.text


def test_memory_does_not_grow_with_the_bag(tmp_path):
    peaks = []
    for count in (2, 12):
        times = range(100, 100 + 100 * count, 100)
        bag = write_bag(tmp_path / f"{count}", clouds=times, images=times, points=20_000)
        tracemalloc.start()
        import_one(bag, tmp_path / f"out{count}", scene_seconds=0.5)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 1_000_000  # of 4 MB that the bag has more


def test_the_command_prints_what_became_of_each_bag(tmp_path, capsys):
    bags = [str(write_bag(tmp_path / name)) for name in ("one", "two")]
    parser = ArgumentParser()
    command.add_arguments(parser)
    command.run(parser.parse_args([*bags, str(tmp_path / "out"), "--scene-metres", "2.5"]))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "one: 5 sweeps in 2 scenes, 30 points, 5 images of rig-front"
    assert lines[1].startswith("two: 5 sweeps")
    assert lines[2].endswith(f"--dataset recording --root {tmp_path / 'out'}")


@pytest.mark.real_data
def test_a_real_drive_comes_back_as_it_was(tmp_path, data_root):
    drive = open_dataset("kitti_raw", data_root / "kitti_raw")
    make_bag(drive, tmp_path / "bag")
    calibration = tmp_path / "bag" / "calibration.yaml"
    counts, given = import_one(
        tmp_path / "bag", tmp_path / "given", calibration=calibration, scene_seconds=1.0
    )
    _, by_tf = import_one(tmp_path / "bag", tmp_path / "tf", scene_metres=5.0)
    assert (len(given), len(by_tf), len(drive)) == (14, 14, 14)
    assert counts.invalid_points == 0
    for index in range(14):
        sample, first, second = drive[index], given[index], by_tf[index]
        np.testing.assert_array_equal(first.cloud.xyz, sample.cloud.xyz)
        np.testing.assert_array_equal(
            first.cloud.channels["intensity"], sample.cloud.channels["intensity"]
        )
        assert first.cloud.stamp == sample.cloud.stamp
        np.testing.assert_allclose(first.T_world_lidar, sample.T_world_lidar, atol=1e-6)
        (source,), (expected,) = first.images, sample.images
        assert source.stamp == expected.stamp
        np.testing.assert_array_equal(source.load().image, expected.load().image)
        np.testing.assert_array_equal(source.camera.matrix, expected.camera.matrix)
        np.testing.assert_allclose(source.T_camera_lidar, expected.T_camera_lidar, atol=1e-6)
        if index < 13:  # TF adds the 12 cm that the car drives from the sweep to the image
            motion = second.images[0].T_camera_lidar @ invert(expected.T_camera_lidar)
            assert 0.10 < -motion[2, 3] < 0.14
