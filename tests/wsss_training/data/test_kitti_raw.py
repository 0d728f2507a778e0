from itertools import pairwise

import numpy as np
import pytest

from wsss_perception.errors import DatasetError
from wsss_perception.geometry import check_rigid, invert, transform_points
from wsss_perception.voxels import voxelize
from wsss_training.data.kitti_raw import KittiRaw

DRIVE = "2011_09_26_drive_0001_sync"


def test_sample_takes_the_timestamps_of_its_number(kitti_raw):
    """Sweep 1 is the first on disk but the second of the drive."""
    dataset = KittiRaw(kitti_raw)
    assert dataset.sample_ids == [f"{DRIVE}/0000000001", f"{DRIVE}/0000000002"]
    sample = dataset[0]
    start = np.datetime64("2011-09-26T13:00:00", "ns").astype(int)
    assert sample.cloud.stamp - start == 100_000_001
    assert sample.images[0].stamp - start == 110_000_002
    assert (sample.scene, sample.labels, len(sample.cloud)) == (DRIVE, None, 3)


def test_points_project_by_the_calibration_alone(kitti_raw):
    (image,) = KittiRaw(kitti_raw)[1].images
    points = transform_points(image.T_camera_lidar, np.array([[10.0, 2.0, -1.0]]))
    np.testing.assert_allclose(points, [[-2 + 0.5, 1 - 0.5, 10]])
    np.testing.assert_allclose(image.camera.project(points)[0], [[31.5 - 7.5, 15.5 + 2.5]])


def test_poses_start_at_the_first_packet(kitti_raw):
    """The IMU, 1 m before and 0.5 m below the LiDAR, drives ahead: x of its own frame."""
    dataset = KittiRaw(kitti_raw)
    first, second = dataset[0].T_world_lidar, dataset[1].T_world_lidar
    np.testing.assert_allclose(first, [[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 1, 0.5], [0, 0, 0, 1]])
    step = invert(first) @ second
    np.testing.assert_allclose(step[:3, 3], [1, 0, 0], atol=1e-3)
    np.testing.assert_allclose(step[:3, :3], np.eye(3), atol=1e-9)


@pytest.mark.parametrize(
    ("column", "axis", "moves_to"),
    [(3, [0, 1, 0], [0, 0, 1]), (4, [1, 0, 0], [0, 0, -1]), (5, [1, 0, 0], [0, 1, 0])],
    ids=["roll lifts the left side", "pitch lowers the nose", "yaw turns left"],
)
def test_poses_turn_as_the_packet_says(kitti_raw, column, axis, moves_to):
    path = kitti_raw / "2011_09_26" / DRIVE / "oxts/data/0000000002.txt"
    words = path.read_text().split()
    words[column] = str(float(words[column]) + 0.1)
    path.write_text(" ".join(words))
    T_world_lidar = KittiRaw(kitti_raw)[1].T_world_lidar
    check_rigid(T_world_lidar, "pose")
    assert T_world_lidar[:3, :3] @ axis @ moves_to == pytest.approx(np.sin(0.1))


def test_oxts_is_optional(kitti_raw):
    folder = kitti_raw / "2011_09_26"
    (folder / DRIVE / "oxts").rename(folder / "elsewhere")
    (folder / "calib_imu_to_velo.txt").unlink()
    assert KittiRaw(kitti_raw)[0].T_world_lidar is None


def test_drives_and_cameras_are_chosen(kitti_raw):
    dataset = KittiRaw(kitti_raw, drives=[DRIVE], cameras=[])
    assert dataset[0].images == ()
    with pytest.raises(DatasetError, match=f"no drive '0001'; there are: {DRIVE}"):
        KittiRaw(kitti_raw, drives=["0001"])


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (f"{DRIVE}/velodyne_points/data/0000000002.bin", lambda c: c[:-2], "cut short"),
        (f"{DRIVE}/velodyne_points/timestamps.txt", lambda c: c[:60], "no timestamp in line 3"),
        (f"{DRIVE}/velodyne_points/timestamps.txt", lambda c: b"noon\n", "timestamps cannot be"),
        (f"{DRIVE}/image_02/timestamps.txt", lambda c: c[:60], "no timestamp in line 3"),
        (f"{DRIVE}/image_02/data/0000000002.png", lambda c: c[:9], "image cannot be read"),
        (f"{DRIVE}/oxts/data/0000000002.txt", lambda c: b"49.0 8.4", "at least 6"),
        (f"{DRIVE}/oxts/data/0000000002.txt", lambda c: b"49.0 north", "cannot be read"),
        ("calib_cam_to_cam.txt", lambda c: c.replace(b"P_rect_02", b"P_02"), "no key 'P_rect_02'"),
        ("calib_cam_to_cam.txt", lambda c: c.replace(b"5.0", b"-5."), "not a projection matrix"),
        ("calib_velo_to_cam.txt", lambda c: c.replace(b"R:", b"Q:"), "no key 'R'"),
        ("calib_velo_to_cam.txt", lambda c: c.replace(b"1.0", b"2.0"), "not a rotation"),
        ("calib_imu_to_velo.txt", lambda c: c.replace(b"T:", b"t:"), "no key 'T'"),
    ],
)
def test_damaged_file_is_named(kitti_raw, name, change, message):
    path = kitti_raw / "2011_09_26" / name
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DatasetError, match=message) as caught:
        KittiRaw(kitti_raw)[1]
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        f"{DRIVE}/velodyne_points/timestamps.txt",
        f"{DRIVE}/image_02/timestamps.txt",
        f"{DRIVE}/image_02/data/0000000002.png",
        f"{DRIVE}/oxts/data/0000000002.txt",
        "calib_cam_to_cam.txt",
        "calib_velo_to_cam.txt",
        "calib_imu_to_velo.txt",
    ],
)
def test_missing_file_is_named(kitti_raw, name):
    path = kitti_raw / "2011_09_26" / name
    path.unlink()
    with pytest.raises(DatasetError, match="cannot be read") as caught:
        KittiRaw(kitti_raw)[1]
    assert str(path) in str(caught.value)


@pytest.mark.real_data
def test_real_drive_reads_and_moves_like_a_car(data_root):
    dataset = KittiRaw(data_root / "kitti_raw")
    assert len(dataset) == 14
    samples = [dataset[index] for index in range(14)]
    for sample in samples:
        assert 100_000 < len(sample.cloud) < 130_000
        (image,) = sample.images
        points = transform_points(image.T_camera_lidar, sample.cloud.xyz)
        assert 0.13 < image.camera.project(points)[1].mean() < 0.18
        assert 5_000_000 < image.stamp - sample.cloud.stamp < 15_000_000
    seconds = np.diff([sample.cloud.stamp for sample in samples]) / 1e9
    np.testing.assert_allclose(seconds, 0.1035, atol=1e-3)
    steps = [
        invert(before.T_world_lidar) @ after.T_world_lidar for before, after in pairwise(samples)
    ]
    translations = np.array([step[:3, 3] for step in steps])
    # packets give 11.8 m/s; the nearest one to a sweep is up to 5 ms off
    np.testing.assert_allclose(translations[:, 0] / seconds, 11.8, atol=0.8)
    assert (np.abs(translations[:, 1:]) < 0.1).all()
    for step in steps:
        np.testing.assert_allclose(step[:3, :3], np.eye(3), atol=0.02)


@pytest.mark.real_data
def test_real_poses_lay_static_points_onto_each_other(data_root):
    """Far more of what stands beside the road falls on itself with the poses than without."""
    dataset = KittiRaw(data_root / "kitti_raw")
    first, later = dataset[0], dataset[8]
    T_first_later = invert(first.T_world_lidar) @ later.T_world_lidar

    def shared(transform):
        here, there = first.cloud.xyz, transform_points(transform, later.cloud.xyz)
        both = np.vstack([points[points[:, 2] > -1.0] for points in (here, there)])
        grid = voxelize(both, 0.4)
        is_there = np.arange(len(both)) >= (here[:, 2] > -1.0).sum()
        share = grid.mean(is_there[:, None].astype(np.float32))
        return ((share > 0) & (share < 1)).mean()

    assert shared(T_first_later) > 3 * shared(np.eye(4))
