import numpy as np
import pytest

from wsss_perception.errors import DatasetError
from wsss_perception.geometry import transform_points
from wsss_training.data.kitti_object import KittiObject


def test_each_sweep_is_a_scene_of_its_own(kitti_object):
    dataset = KittiObject(kitti_object)
    assert dataset.sample_ids == ["000003/000003", "000007/000007"]
    samples = [dataset[0], dataset[1]]
    assert [sample.scene for sample in samples] == ["000003", "000007"]
    assert [sample.cloud.stamp for sample in samples] == [3_000_000_000, 7_000_000_000]
    assert samples[0].images[0].stamp == 3_000_000_000
    assert samples[0].T_world_lidar is None


def test_rectification_comes_after_the_extrinsic(kitti_object):
    path = kitti_object / "training/calib/000003.txt"
    turn = "0 -1 0 1 0 0 0 0 1"
    text = path.read_text().splitlines()
    path.write_text("\n".join([text[0], f"R0_rect: {turn}", text[2]]))
    (image,) = KittiObject(kitti_object)[0].images
    points = transform_points(image.T_camera_lidar, np.array([[10.0, 2.0, -1.0]]))
    # camera (-2, 0.5, 10), turned by 90 degrees, then 0.5 m along the baseline
    np.testing.assert_allclose(points, [[-0.5 + 0.5, -2, 10]], atol=1e-9)


@pytest.mark.parametrize("key", ["P2", "R0_rect", "Tr_velo_to_cam"])
def test_missing_calibration_key_is_named(kitti_object, key):
    path = kitti_object / "training/calib/000007.txt"
    path.write_text(path.read_text().replace(f"{key}:", "other:"))
    with pytest.raises(DatasetError, match=rf"000007\.txt: no key '{key}'"):
        KittiObject(kitti_object)[1]


@pytest.mark.parametrize("name", ["calib/000007.txt", "image_2/000007.png", "velodyne/000007.bin"])
def test_missing_file_is_named(kitti_object, name):
    dataset = KittiObject(kitti_object)
    path = kitti_object / "training" / name
    path.unlink()
    with pytest.raises(DatasetError, match="cannot be read") as caught:
        dataset[1]
    assert str(path) in str(caught.value)


@pytest.mark.real_data
def test_real_sweeps_project_into_their_images(data_root):
    dataset = KittiObject(data_root / "kitti_object")
    assert len(dataset) == 3
    for index in range(3):
        sample = dataset[index]
        assert 100_000 < len(sample.cloud) < 130_000
        (image,) = sample.images
        points = transform_points(image.T_camera_lidar, sample.cloud.xyz)
        assert 0.13 < image.camera.project(points)[1].mean() < 0.2
