from dataclasses import replace

import numpy as np
import pytest

from wsss_perception.errors import DatasetError
from wsss_perception.geometry import Camera, invert, make_transform
from wsss_training.data.semantic_kitti import SemanticKitti
from wsss_training.world.layouts.semantic_kitti import SemanticKittiWriter


def files(root):
    return sorted(path for path in root.rglob("*") if path.is_file())


def test_written_recordings_are_read_back(tmp_path, sweeps, ahead, recording):
    drives = {name: sweeps(ahead, seed=seed) for seed, name in enumerate(("00", "01"))}
    with SemanticKittiWriter(tmp_path) as writer:
        for name, drive in drives.items():
            assert writer.add(recording(name, drive))
    dataset = SemanticKitti(tmp_path)
    assert dataset.sample_ids == [f"{name}/{k:06d}" for name in drives for k in range(3)]
    for sample, (name, k) in zip(dataset, [(n, k) for n in drives for k in range(3)], strict=True):
        sweep, first = drives[name][k], drives[name][0]
        np.testing.assert_array_equal(sample.cloud.xyz, sweep.cloud.xyz)
        intensity = sweep.cloud.channels["intensity"]
        np.testing.assert_array_equal(sample.cloud.channels["intensity"], intensity)
        np.testing.assert_array_equal(sample.labels, sweep.labels)
        assert sample.cloud.stamp == k * 100_000_000
        T_world_start = first.T_world_ego @ first.T_ego_lidar
        T_start_lidar = invert(T_world_start) @ sweep.T_world_ego @ sweep.T_ego_lidar
        np.testing.assert_allclose(sample.T_world_lidar, T_start_lidar, atol=1e-9)
        assert [image.name for image in sample.images] == ["image_2", "image_3"]
        for image, shot in zip(sample.images, sweep.shots, strict=True):
            T_camera_lidar = invert(shot.T_ego_camera) @ sweep.T_ego_lidar
            np.testing.assert_allclose(image.T_camera_lidar, T_camera_lidar, atol=1e-9)
            np.testing.assert_allclose(image.camera.matrix, shot.camera.matrix, atol=1e-12)
            np.testing.assert_array_equal(image.load().image, shot.pixels)


def test_points_fall_on_their_pixels(tmp_path, sweeps, ahead, recording, red_share):
    with SemanticKittiWriter(tmp_path) as writer:
        writer.add(recording("00", sweeps(ahead)))
    for sample in SemanticKitti(tmp_path):
        assert [red_share(sample, number) for number in (0, 1)] == [1, 1]


def test_instances_are_in_the_upper_half(tmp_path, sweeps, ahead, recording):
    SemanticKittiWriter(tmp_path).add(recording("00", sweeps(ahead)))
    raw = np.fromfile(tmp_path / "sequences/00/labels/000002.label", np.uint32)
    assert set(raw) == {10 | 7 << 16, 40, 0}


def test_every_shot_is_told_with_its_image(tmp_path, sweeps, ahead, recording):
    told = []
    drive = sweeps(ahead)
    SemanticKittiWriter(tmp_path, lambda *args: told.append(args)).add(recording("00", drive))
    assert [(shot.name, name, number) for shot, _, name, number in told] == [
        (camera, "00", number) for number in range(3) for camera in ahead
    ]
    for shot, path, _, number in told:
        assert any(shot is one for one in drive[number].shots)
        folder = {"CAM_A": "image_2", "CAM_B": "image_3"}[shot.name]
        assert path.as_posix() == f"sequences/00/{folder}/{number:06d}.png"
        assert (tmp_path / path).is_file()


@pytest.mark.parametrize("kind", [KeyboardInterrupt, ValueError])
def test_interrupted_recording_leaves_nothing(tmp_path, sweeps, ahead, recording, kind):
    def fail_late(shot, path, name, number):
        if number == 2:
            raise kind

    drive = sweeps(ahead)
    with pytest.raises(kind), SemanticKittiWriter(tmp_path, fail_late) as writer:
        writer.add(recording("00", drive))
    with pytest.raises(KeyboardInterrupt), SemanticKittiWriter(tmp_path) as writer:
        writer.add(recording("00", drive, stops=True))
    assert list(tmp_path.iterdir()) == []


def test_generation_goes_on_after_a_kill(tmp_path, sweeps, ahead, recording):
    left = tmp_path / ".01.part/velodyne/000007.bin"  # as after SIGKILL
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    with SemanticKittiWriter(tmp_path) as writer:
        writer.add(recording("00", sweeps(ahead)))
        before = [(path, path.stat().st_mtime_ns) for path in files(tmp_path / "sequences/00")]
        ran = []
        again = replace(recording("00", []), count=3, sweeps=(ran.append(1) for _ in range(3)))
        assert not writer.add(again)
        assert writer.add(recording("01", sweeps(ahead)))
    assert ran == []
    assert before == [(path, path.stat().st_mtime_ns) for path in files(tmp_path / "sequences/00")]
    assert len(SemanticKitti(tmp_path)) == 6
    assert [path.name for path in tmp_path.iterdir()] == ["sequences"]


def test_sequence_of_another_length_is_kept_and_reported(tmp_path, sweeps, ahead, recording):
    writer = SemanticKittiWriter(tmp_path)
    writer.add(recording("00", sweeps(ahead)))
    with pytest.raises(DatasetError, match=r"sequences/00: holds 3 sweeps .* has 2"):
        writer.add(recording("00", sweeps(ahead)[:2]))
    assert len(SemanticKitti(tmp_path)) == 3


def _late(sweep):
    return replace(sweep, shots=(replace(sweep.shots[0], stamp=sweep.cloud.stamp + 1),))


def _elsewhere(sweep):
    pose = sweep.T_world_ego + np.eye(4, k=3) * 1e-3
    return replace(sweep, shots=(replace(sweep.shots[0], T_world_ego=pose),))


def _turned(sweep):
    first, second = sweep.shots
    pose = second.T_ego_camera @ make_transform(np.eye(3)[[1, 2, 0]], [0, 0, 0])
    return replace(sweep, shots=(first, replace(second, T_ego_camera=pose)))


def _moved(sweep):
    pose = sweep.shots[0].T_ego_camera + np.eye(4, k=3) * 0.1
    return replace(sweep, shots=(replace(sweep.shots[0], T_ego_camera=pose),))


def _small(sweep):
    shot = sweep.shots[0]
    return replace(sweep, shots=(replace(shot, pixels=shot.pixels[:-1]),))


def _distorted(sweep):
    shot = sweep.shots[0]
    camera = Camera(64, 48, shot.camera.matrix, distortion=(0.1,))
    return replace(sweep, shots=(replace(shot, camera=camera),))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_late, r"'CAM_A' took its image at 5200000001 ns, the sweep is of 5200000000"),
        (_elsewhere, "one stamp and pose for both"),
        (_turned, "'CAM_B' looks another way than 'CAM_A'"),
        (_moved, "calibration differs from the first sweep's"),
        (_small, r"needs an undistorted image of shape \(48, 64, 3\), got \(47, 64, 3\)"),
        (_distorted, "needs an undistorted image"),
        (lambda sweep: replace(sweep, shots=()), "0 cameras"),
        (lambda sweep: replace(sweep, shots=sweep.shots[:1] * 2), "two cameras have one name"),
        (
            lambda sweep: replace(
                sweep, shots=tuple(replace(sweep.shots[0], name=f"{k}") for k in range(5))
            ),
            "5 cameras; SemanticKITTI has 1 to 4",
        ),
        (lambda sweep: replace(sweep, instances=sweep.instances + 65536), "in 0..65535"),
        (lambda sweep: replace(sweep, instances=sweep.instances - 1), "in 0..65535"),
        (lambda sweep: replace(sweep, labels=sweep.labels[1:]), "300 points, 299 labels"),
        (
            lambda sweep: replace(sweep, cloud=replace(sweep.cloud, stamp=5_100_000_000)),
            "stamp 5100000000 ns is not after 5100000000 ns",
        ),
    ],
)
def test_what_the_layout_cannot_hold_is_refused(
    tmp_path, sweeps, ahead, recording, change, message
):
    drive = sweeps(ahead)
    drive[2] = change(drive[2])
    with pytest.raises(DatasetError, match=message) as caught:
        SemanticKittiWriter(tmp_path).add(recording("00", drive))
    assert "recording '00', sweep 2" in str(caught.value)
    assert files(tmp_path) == []


def test_recording_of_another_length_than_announced_is_refused(tmp_path, sweeps, ahead, recording):
    for count in (2, 4):
        with pytest.raises(DatasetError, match=f"3 sweeps, but {count} were announced"):
            SemanticKittiWriter(tmp_path).add(replace(recording("00", sweeps(ahead)), count=count))
    with pytest.raises(DatasetError, match="has no sweeps"):
        SemanticKittiWriter(tmp_path).add(recording("00", []))
    assert list(tmp_path.iterdir()) == []


def test_folder_that_cannot_be_written_is_named(tmp_path, sweeps, ahead, recording):
    (tmp_path / "sequences").write_text("a file")
    with pytest.raises(DatasetError, match=r"sequences/00: cannot be written"):
        SemanticKittiWriter(tmp_path).add(recording("00", sweeps(ahead)))
