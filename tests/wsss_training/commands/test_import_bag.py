import shutil
import tracemalloc
from argparse import ArgumentParser
from dataclasses import replace

import numpy as np
import pytest
from made_bags import (
    CAMERA,
    CLOUD,
    MS,
    OPTICAL,
    STORE,
    TYPES,
    compress,
    files,
    import_one,
    make_cloud,
    make_jpeg,
    make_pixels,
    paired,
    png,
    stamps,
    world_at,
    write_bag,
)
from rosbags.rosbag2 import CompressionMode, StoragePlugin

from wsss_perception.bag import BagWriter
from wsss_perception.calibration import CameraCalibration, write_calibration
from wsss_perception.errors import BagError, ConfigError
from wsss_perception.geometry import Camera, invert, make_transform
from wsss_perception.messages import image, point_cloud2
from wsss_training.commands import import_bag as command
from wsss_training.commands.make_bag import make_bag
from wsss_training.data import open_dataset
from wsss_training.recording import ImportSettings, import_bags, read_recording


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


def test_what_a_bag_was_imported_with_is_refused_otherwise_while_its_scenes_are_there(
    tmp_path, drive
):
    root, path = tmp_path / "out", tmp_path / "c.yaml"
    write_calibration(path, {"front": CameraCalibration(CAMERA, OPTICAL)})
    import_one(drive, root, calibration=path, points="/points")
    assert import_one(drive, root, calibration=path)[0].present == ["drive_000"]
    made = (root / "recording.yaml").read_bytes()
    with pytest.raises(ConfigError, match=r"out: 'drive' was.*calibration \S+/c\.yaml, not none:"):
        import_one(drive, root)
    write_calibration(path, {"front": CameraCalibration(CAMERA, np.eye(4))})
    with pytest.raises(ConfigError, match=r"calibration \S+/c\.yaml, which has changed since: .*"):
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


def test_intensities_that_are_not_scaled_are_told_when_all_is_imported(tmp_path, capsys):
    bag = str(write_bag(tmp_path / "one"))
    parser = ArgumentParser()
    command.add_arguments(parser)
    words = [bag, str(tmp_path / "scaled"), "--intensity-scale", "0.0039"]
    command.run(parser.parse_args(words))
    assert "intensity" not in capsys.readouterr().out
    command.run(parser.parse_args([bag, str(tmp_path / "raw")]))
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith("intensity from ")
    assert line.endswith(f"remove {tmp_path / 'raw'} and import again with --intensity-scale")


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
