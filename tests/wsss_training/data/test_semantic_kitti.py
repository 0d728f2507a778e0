import numpy as np
import pytest
from PIL import Image

from wsss_perception.errors import DatasetError, OntologyError
from wsss_perception.frame import UNKNOWN
from wsss_perception.geometry import transform_points, visible_points
from wsss_perception.ontology import load_mapping, load_ontology
from wsss_training.data.semantic_kitti import SemanticKitti


def test_sample_holds_everything_of_the_sweep(semantic_kitti):
    dataset = SemanticKitti(semantic_kitti)
    sample = dataset[1]
    np.testing.assert_array_equal(sample.cloud.xyz[1], [10, 2, -1])
    np.testing.assert_array_equal(sample.cloud.channels["intensity"], [0.25, 0.5, 0.75])
    assert (sample.cloud.stamp, sample.cloud.frame_id) == (100_000_000, "velodyne")
    road, car = dataset.ontology.index("road"), dataset.ontology.index("car")
    np.testing.assert_array_equal(sample.labels, [road, car, UNKNOWN])
    # 1 m along the camera's z is 1 m along the LiDAR's x
    np.testing.assert_allclose(sample.T_world_lidar[:3, 3], [1, 0, 0], atol=1e-9)


def test_points_project_to_their_pixels(semantic_kitti):
    (image,) = SemanticKitti(semantic_kitti)[0].images
    assert (image.name, image.camera.width, image.camera.height) == ("image_2", 64, 32)
    points = transform_points(image.T_camera_lidar, np.array([[10.0, 2.0, -1.0]]))
    np.testing.assert_allclose(points, [[-2 + 0.5, 1 - 0.5, 10]])
    uv, inside = image.camera.project(points)
    np.testing.assert_allclose(uv, [[31.5 - 1.5 * 5, 15.5 + 0.5 * 5]])
    assert inside.all()


def test_stamps_come_from_times_where_there_are(semantic_kitti):
    (semantic_kitti / "sequences/00/times.txt").write_text("0.000000e+00\n1.036224e-01\n")
    sample = SemanticKitti(semantic_kitti)[1]
    assert sample.cloud.stamp == sample.images[0].stamp == 103_622_400


def test_labels_and_poses_are_optional(semantic_kitti):
    folder = semantic_kitti / "sequences/00"
    (folder / "labels").rename(folder / "elsewhere")
    (folder / "poses.txt").unlink()
    sample = SemanticKitti(semantic_kitti, sequences=["00"], cameras=[])[0]
    assert (sample.labels, sample.T_world_lidar, sample.images) == (None, None, ())


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("velodyne/000001.bin", lambda c: c[:-1], "cut short"),
        ("velodyne/000001.bin", lambda c: b"", "cut short"),
        ("labels/000001.label", lambda c: c[:-4], "2 labels for a sweep of 3 points"),
        ("labels/000001.label", lambda c: c[:-3], "2.25 labels"),
        ("image_2/000001.png", lambda c: b"no image", "image cannot be read"),
        ("calib.txt", lambda c: c.replace(b"Tr:", b"Tx:"), "no key 'Tr'"),
        ("calib.txt", lambda c: c.replace(b"P2:", b"P9:"), "no key 'P2'"),
        ("calib.txt", lambda c: c[:-20], "'Tr' is not 3x4"),
        ("calib.txt", lambda c: c.replace(b"e+00", b"e+01"), "calib.txt"),
        ("calib.txt", lambda c: b"\xff", "calibration cannot be read"),
        ("poses.txt", lambda c: c.split(b"\n")[0], "has 1 lines, none for sweep 000001"),
        ("poses.txt", lambda c: b"1 2 3\n", "12 finite numbers"),
        ("poses.txt", lambda c: b"pose\n", "table of numbers"),
        ("poses.txt", lambda c: (b"2 " * 12 + b"\n") * 2, "not a rotation"),
    ],
)
def test_damaged_file_is_named(semantic_kitti, name, change, message):
    path = semantic_kitti / "sequences/00" / name
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DatasetError, match=message) as caught:
        SemanticKitti(semantic_kitti)[1]
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", ["labels/000001.label", "image_2/000001.png", "calib.txt"])
def test_missing_file_is_named(semantic_kitti, name):
    path = semantic_kitti / "sequences/00" / name
    path.unlink()
    with pytest.raises(DatasetError, match="cannot be read") as caught:
        SemanticKitti(semantic_kitti)[1]
    assert str(path) in str(caught.value)


def test_image_cut_short_is_named_when_loaded(semantic_kitti):
    path = semantic_kitti / "sequences/00/image_2/000001.png"
    content = path.read_bytes()
    damaged = bytearray(content)
    damaged[-30] ^= 255  # inside the compressed pixels: a broken checksum
    (image,) = SemanticKitti(semantic_kitti)[1].images
    for change in (content[:-40], bytes(damaged)):
        path.write_bytes(change)
        with pytest.raises(DatasetError, match=r"000001\.png: image cannot be read"):
            image.load()


def test_unlisted_label_is_named_with_its_file(semantic_kitti):
    path = semantic_kitti / "sequences/00/labels/000000.label"
    path.write_bytes(np.uint32([40, 777, 0]).tobytes())
    with pytest.raises(OntologyError, match=r"000000\.label: ids \[777\]"):
        SemanticKitti(semantic_kitti)[0]


def test_unknown_sequence_lists_those_there_are(semantic_kitti):
    with pytest.raises(DatasetError, match="no such sequence; there are: 00"):
        SemanticKitti(semantic_kitti, sequences=["08"])


def test_sweep_without_a_number_is_refused(semantic_kitti):
    path = semantic_kitti / "sequences/00/velodyne/copy of 000001.bin"
    path.write_bytes(b"")
    with pytest.raises(DatasetError, match="name is not a number") as caught:
        SemanticKitti(semantic_kitti)
    assert str(path) in str(caught.value)


@pytest.mark.real_data
def test_real_sequences_are_complete(data_root):
    dataset = SemanticKitti(data_root / "semantic_kitti")
    scenes = [sample_id.partition("/")[0] for sample_id in dataset.sample_ids]
    assert {scene: scenes.count(scene) for scene in set(scenes)} == {"00": 21, "30": 32, "31": 17}
    for index in (0, 21, 53):
        sample = dataset[index]
        stem = sample.sample_id.partition("/")[2]
        folder = data_root / "semantic_kitti" / "sequences" / sample.scene
        file_size = (folder / "velodyne" / f"{stem}.bin").stat().st_size
        assert len(sample.cloud) == file_size // 16 > 40_000
        assert np.isfinite(sample.cloud.xyz).all()
        assert sample.cloud.channels["intensity"].min() >= 0
        assert sample.cloud.channels["intensity"].max() <= 1
        (image,) = sample.images
        points = transform_points(image.T_camera_lidar, sample.cloud.xyz)
        assert 0.1 < image.camera.project(points)[1].mean() < 0.25


@pytest.mark.real_data
def test_real_poses_move_like_a_car(data_root):
    dataset = SemanticKitti(data_root / "semantic_kitti", sequences=["00"])
    poses = np.stack([dataset[index].T_world_lidar for index in range(10)])
    steps = np.diff(poses[:, :3, 3], axis=0)
    np.testing.assert_allclose(poses[0], np.eye(4), atol=1e-6)
    assert (steps[:, 0] > 0.5).all()  # forward is x
    assert (np.linalg.norm(steps, axis=1) < 2.0).all()  # 20 m/s
    assert (np.abs(steps[:, 1:]) < 0.2).all()


@pytest.mark.real_data
def test_real_labels_agree_with_the_teacher_in_view(data_root):
    """Extrinsics, projection, hidden points, label ids and mapping at once: about 83.4 %."""
    dataset = SemanticKitti(data_root / "semantic_kitti", sequences=["31"])
    cityscapes = load_ontology("cityscapes")
    mapping = load_mapping("cityscapes_to_semantic_kitti", cityscapes, dataset.ontology)
    right = total = 0
    for index in range(len(dataset)):
        sample = dataset[index]
        (image,) = sample.images
        visible, uv = visible_points(sample.cloud.xyz, image.camera, image.T_camera_lidar)
        name = image.path.relative_to(data_root).with_suffix(".label.png")
        with Image.open(data_root / "teacher/espnetv2_cityscapes" / name) as teacher:
            raw = np.asarray(teacher)
        column, row = np.floor(uv + 0.5).astype(int).T
        predicted = mapping[cityscapes.labels_from_raw(raw[row, column])]
        truth = sample.labels[visible]
        right += (predicted == truth)[truth != UNKNOWN].sum()
        total += (truth != UNKNOWN).sum()
    assert total > 255_000  # nearly all of the 267k labelled points are seen
    assert right / total >= 0.83
