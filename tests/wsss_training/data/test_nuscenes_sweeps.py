import numpy as np
import pytest

from wsss_perception.errors import DatasetError
from wsss_perception.frame import UNKNOWN
from wsss_training.data import open_dataset
from wsss_training.data.nuscenes import NuScenes

KEYFRAMES = (2, 5, 8)


def rings(sample):
    """Sweeps that a sample is made of, newest first."""
    return list(dict.fromkeys(sample.cloud.channels["ring"].astype(int).tolist()))


def test_keyframe_alone_has_no_time(nuscenes_drive):
    sample = NuScenes(nuscenes_drive)[1]
    assert rings(sample) == [5]
    assert set(sample.cloud.channels) == {"intensity", "ring"}


@pytest.mark.parametrize("sweeps", [2, 3, 4, 10])
def test_sweeps_before_a_keyframe_are_added_newest_first(nuscenes_drive, sweeps):
    dataset = open_dataset("nuscenes", nuscenes_drive, sweeps=sweeps)
    for sample, last in zip(dataset, (*KEYFRAMES, *(10 + k for k in KEYFRAMES)), strict=True):
        start = 10 * (last // 10)  # of the scene: the one before does not reach into it
        assert rings(sample) == list(range(last, max(last - sweeps, start - 1), -1))
        recorded = [path for path in sample.files if path.suffix == ".bin"]
        assert len(recorded) == len(rings(sample)) + 1
        assert all(path.is_file() for path in sample.files)


def test_own_points_come_first_as_they_are(nuscenes_drive):
    alone, joined = (NuScenes(nuscenes_drive, sweeps=sweeps)[4] for sweeps in (1, 3))
    count = len(alone.cloud)
    assert count == 18
    np.testing.assert_array_equal(joined.cloud.xyz[:count], alone.cloud.xyz)
    for name, values in alone.cloud.channels.items():
        np.testing.assert_array_equal(joined.cloud.channels[name][:count], values)
    np.testing.assert_array_equal(joined.labels[:count], alone.labels)
    assert (joined.labels[:count] != UNKNOWN).all()
    assert (joined.labels[count:] == UNKNOWN).all()
    np.testing.assert_array_equal(joined.T_world_lidar, alone.T_world_lidar)
    assert joined.cloud.stamp == alone.cloud.stamp
    np.testing.assert_array_equal(joined.images[0].T_camera_lidar, alone.images[0].T_camera_lidar)


def test_what_stands_falls_together(nuscenes_drive):
    """The post stays where it is while the vehicle drives 1 m from sweep to sweep."""
    cloud = NuScenes(nuscenes_drive, sweeps=4)[2].cloud
    number = cloud.channels["ring"]
    posts = [cloud.xyz[number == k][0] for k in (8, 7, 6, 5)]
    np.testing.assert_allclose(posts, [[22, -2, 0]] * 4, atol=1e-5)
    # the last point of each sweep goes with the vehicle and leaves a trail
    trail = [cloud.xyz[number == k][-1][0] for k in (8, 7, 6, 5)]
    np.testing.assert_allclose(trail, [10, 9, 8, 7], atol=1e-5)


def test_time_is_seconds_since_the_keyframe(nuscenes_drive):
    channels = NuScenes(nuscenes_drive, sweeps=3)[0].cloud.channels
    expected = (channels["ring"] - 2) * 0.100003
    np.testing.assert_allclose(channels["time"], expected, atol=1e-6)
    assert channels["time"].dtype == np.float32


def test_vehicle_is_removed_from_added_sweeps_only(nuscenes_drive):
    """A point is the vehicle's that is near along both axes; the second of each sweep is."""
    cloud = NuScenes(nuscenes_drive, sweeps=2)[1].cloud
    counts = dict(zip(*np.unique(cloud.channels["ring"], return_counts=True), strict=True))
    assert counts == {5: 8, 4: 6}
    beside = cloud.xyz[cloud.channels["ring"] == 4][1]
    np.testing.assert_allclose(beside, [0.5 - 1, 1.5, 0], atol=1e-5)


def test_scene_that_starts_with_a_keyframe_has_time_too(nuscenes):
    cloud = NuScenes(nuscenes, sweeps=5)[0].cloud
    np.testing.assert_array_equal(cloud.channels["time"], [0, 0, 0])


def test_sweeps_without_labels_are_unlabelled(nuscenes_drive):
    assert NuScenes(nuscenes_drive, sweeps=3, labels=False)[0].labels is None


def test_missing_sweep_is_named_with_where_it_comes_from(nuscenes_drive):
    dataset = NuScenes(nuscenes_drive, sweeps=3)
    path = dataset[1].files[1]
    assert path.parent == nuscenes_drive / "sweeps/LIDAR_TOP"
    path.unlink()
    with pytest.raises(DatasetError, match=r"'Lidar blobs'.*scene-0061, or set sweeps=1") as caught:
        dataset[1]
    assert str(path) in str(caught.value)
    assert len(NuScenes(nuscenes_drive)[1].cloud) == 8


def test_damaged_sweep_is_named(nuscenes_drive):
    dataset = NuScenes(nuscenes_drive, sweeps=3)
    path = dataset[1].files[1]
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(DatasetError, match="not whole points") as caught:
        dataset[1]
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("sweeps", [0, -1])
def test_number_of_sweeps_is_positive(nuscenes_drive, sweeps):
    with pytest.raises(DatasetError, match="1 is the keyframe alone"):
        NuScenes(nuscenes_drive, sweeps=sweeps)
