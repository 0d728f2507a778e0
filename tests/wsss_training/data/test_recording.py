import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from wsss_perception.errors import DatasetError
from wsss_perception.frame import PointCloud
from wsss_perception.geometry import Camera, check_rigid, make_transform, matrix_from_quaternion
from wsss_perception.ontology import load_ontology
from wsss_training.config import SourceConfig, TeacherConfig
from wsss_training.data import open_dataset
from wsss_training.data.recording import Recording
from wsss_training.dataset_check import check_dataset, warnings
from wsss_training.recording.files import SceneWriter, write_recording
from wsss_training.recording.scene import Scene, SceneImage, Sweep, scene_to_dict
from wsss_training.workload import open_source

CAMERA = Camera(8, 6, np.array([[8.0, 0, 4], [0, 8.5, 3], [0, 0, 1]]), "equidistant", (0.1, 0.02))
OPTICAL = make_transform(matrix_from_quaternion([0.5, -0.5, 0.5, -0.5]), [0.1, -0.2, 0.3])
CHANNELS = {"intensity": 1, "normal": 3}
STAMPS = (1_000_000_000_000_000_001, 1_000_000_000_100_000_001)


def make_cloud(stamp):
    rng = np.random.default_rng(stamp)
    xyz = rng.normal(0, 5, (20, 3)).astype(np.float32)
    channels = {"intensity": rng.random(20), "normal": rng.normal(0, 1, (20, 3))}
    channels = {name: values.astype(np.float32) for name, values in channels.items()}
    return PointCloud(xyz, channels, stamp, "velodyne")


def write_scene(root, name):
    """Two sweeps, the second of which has no pose and shares the first one's image of 'left'."""
    writer = SceneWriter(root, name)
    sweeps = []
    for number, stamp in enumerate(STAMPS):
        writer.write_points(make_cloud(stamp))
        images = {"left": SceneImage("7.png", 7, OPTICAL)}
        if number == 0:
            images["front"] = SceneImage("8.png", 8, OPTICAL)
        pose = make_transform(np.eye(3), [number, 2, 3]) if number == 0 else None
        sweeps.append(Sweep(stamp, pose, images))
    scene = Scene("velodyne", CHANNELS, {"front": CAMERA, "left": CAMERA}, tuple(sweeps))
    writer.finish(scene)
    for camera, file in (("left", "7.png"), ("front", "8.png")):
        (root / name / camera).mkdir()
        Image.new("RGB", (8, 6), (10, 20, 30)).save(root / name / camera / file)
    return scene


@pytest.fixture
def recording(tmp_path):
    write_recording(tmp_path, {})
    for name in ("drive_10", "drive_9"):
        write_scene(tmp_path, name)
    (tmp_path / "teacher").mkdir()
    (tmp_path / ".drive_11.part").mkdir()
    (tmp_path / ".drive_11.part" / "frames.json").write_text("{")
    return tmp_path


def test_a_sample_holds_what_was_written(recording):
    dataset = open_dataset("recording", recording)
    expected = [f"{name}/{stamp}" for name in ("drive_9", "drive_10") for stamp in STAMPS]
    assert dataset.sample_ids == expected
    assert dataset.ontology is None
    for index, sample_id in enumerate(expected):
        sample, cloud = dataset[index], make_cloud(STAMPS[index % 2])
        assert (sample.sample_id, sample.scene) == (sample_id, sample_id.rpartition("/")[0])
        assert (sample.cloud.stamp, sample.cloud.frame_id) == (cloud.stamp, "velodyne")
        np.testing.assert_array_equal(sample.cloud.xyz, cloud.xyz)
        assert sample.cloud.channels.keys() == cloud.channels.keys()
        for name, values in cloud.channels.items():
            np.testing.assert_array_equal(sample.cloud.channels[name], values)
        folder = recording / sample.scene
        assert sample.files == (folder / f"points/{cloud.stamp}.npy", folder / "frames.json")
        names = ["front", "left"] if index % 2 == 0 else ["left"]
        assert [image.name for image in sample.images] == names
        for image in sample.images:
            assert image.path == folder / image.name / f"{image.stamp}.png"
            np.testing.assert_array_equal(image.T_camera_lidar, OPTICAL)
            np.testing.assert_array_equal(image.camera.matrix, CAMERA.matrix)
            assert (image.camera.model, image.camera.distortion) == ("equidistant", (0.1, 0.02))
            assert image.load().image.shape == (6, 8, 3)
    np.testing.assert_array_equal(dataset[0].T_world_lidar[:3, 3], [0, 2, 3])
    assert dataset[1].T_world_lidar is None


def test_scenes_and_cameras_are_chosen(recording):
    dataset = Recording(recording, scenes=["drive_10"], cameras=["front"])
    assert [len(dataset[index].images) for index in range(len(dataset))] == [1, 0]
    (recording / "drive_9" / "left" / "7.png").unlink()
    assert open_dataset("recording", recording, images=False)[0].images == ()
    with pytest.raises(DatasetError, match="no scene 'drive'; there are: drive_9, drive_10"):
        Recording(recording, scenes=["drive"])
    with pytest.raises(DatasetError, match="no camera 'rear'; there are: front, left"):
        Recording(recording, cameras=["rear"])


def test_a_recording_without_scenes_is_refused(tmp_path):
    write_recording(tmp_path, {})
    with pytest.raises(DatasetError, match="has no scene"):
        Recording(tmp_path)


def npy(values):
    stream = io.BytesIO()
    np.save(stream, values.astype(np.float32))
    return stream.getvalue()


def change_frames(root, path, value):
    """Replaces an entry of drive_9's frames.json, named by its keys; removes it for None."""
    file = root / "drive_9" / "frames.json"
    data = json.loads(file.read_text())
    *parents, last = path
    entry = data
    for key in parents:
        entry = entry[key]
    if value is None:
        del entry[last]
    else:
        entry[last] = value
    file.write_text(json.dumps(data))
    return file


NAN = np.full((4, 4), np.nan).tolist()
FRONT = ("sweeps", 0, "images", "front")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["schema"], 2, "schema 2 is not 1"),
        (["schema"], None, "has no 'schema'"),
        (["frame_id"], 3, "'frame_id' is 3, of another type"),
        (["channels", "intensity"], 0, "channel 'intensity': 0 is not its number of columns"),
        (["cameras", "front", "K"], None, "camera 'front': has no 'K'"),
        (["cameras", "front", "K"], [[1, 2], [3, 4]], "camera 'front': camera matrix must be"),
        (["cameras", "front", "width"], "wide", "camera 'front': invalid literal"),
        (["cameras", "front", "width"], 0, "camera 'front': width and height must be positive"),
        (["cameras", "front", "model"], "fisheye", "unknown distortion model 'fisheye'"),
        (["cameras", "points"], {}, "camera: 'points' is not a name to use here"),
        (["cameras", "front"], None, "sweep 0, image of 'front': no such camera"),
        (["sweeps"], {}, "'sweeps' is {}, of another type"),
        (["sweeps", 0], [], "sweep 0: not a mapping but list"),
        (["sweeps", 0, "stamp"], None, "sweep 0: has no 'stamp'"),
        (["sweeps", 0, "stamp"], 1.5, "'stamp' is 1.5, of another type"),
        (["sweeps", 0, "stamp"], STAMPS[1], "stamps must increase"),
        (["sweeps", 0, "T_world_lidar"], NAN, "sweep 0: T_world_lidar: expected a finite 4x4"),
        (["sweeps", 0, "T_world_lidar"], [[1, 2]], r"not a 4x4 matrix but \[1, 2\]"),
        (["sweeps", 0, "T_world_lidar"], [[1], [2, 3]], "T_world_lidar: not a 4x4 matrix"),
        ([*FRONT, "T_camera_lidar"], NAN, "image of 'front': T_camera_lidar: expected a finite"),
        ([*FRONT, "T_camera_lidar", 0, 3], np.inf, "T_camera_lidar: expected a finite"),
        ([*FRONT, "T_camera_lidar", 0, 0], 2.0, "T_camera_lidar: not a rotation"),
        ([*FRONT, "T_camera_lidar", 3, 0], 0.5, "T_camera_lidar: not a rotation"),
        ([*FRONT, "T_camera_lidar", 0, 0], 10**400, "T_camera_lidar: not a 4x4 matrix"),
        ([*FRONT, "file"], "../left/7.png", "'../left/7.png' is not a name to use here"),
        ([*FRONT, "stamp"], None, "image of 'front': has no 'stamp'"),
        ([*FRONT, "stamp"], 2**63, "image of 'front': stamp 9223372036854775808 is not one of 64"),
        (["sweeps", 0, "stamp"], -(2**63) - 1, "sweep 0: stamp -9223372036854775809 is not one"),
        (["channels", "y"], 1, "channel 'y': x, y and z come first by themselves"),
    ],
)
def test_a_wrong_entry_is_named_with_its_file(recording, path, value, message):
    file = change_frames(recording, path, value)
    with pytest.raises(DatasetError, match=message) as caught:
        Recording(recording)
    assert str(file) in str(caught.value)
    assert "correct it, or import the scene anew" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (f"points/{STAMPS[0]}.npy", lambda c: c[:-4], "cannot be read.*import it anew"),
        (f"points/{STAMPS[0]}.npy", lambda c: c[:60], "cannot be read"),
        (f"points/{STAMPS[0]}.npy", lambda c: b"", "cannot be read"),
        (f"points/{STAMPS[0]}.npy", lambda c: None, "cannot be read"),
        (f"points/{STAMPS[0]}.npy", lambda c: c.replace(b"<f4", b"<i4"), "is int32"),
        (f"points/{STAMPS[0]}.npy", lambda c: c + bytes(3), "has 3 bytes after its array"),
        (f"points/{STAMPS[0]}.npy", lambda c: npy(np.zeros((0, 7))), "has no points; write it"),
        (
            f"points/{STAMPS[0]}.npy",
            lambda c: npy(np.where(np.arange(7) == 2, np.nan, np.ones((5, 1)))),
            "5 of its 5 points are not finite; write it anew, or take the sweep out of frames",
        ),
        ("front/8.png", lambda c: c[:9], "image cannot be read"),
        ("front/8.png", lambda c: None, "image cannot be read"),
        ("frames.json", lambda c: c[:-1], "cannot be read"),
        ("frames.json", lambda c: b"[" * 100_000, "cannot be read"),
        ("../recording.yaml", lambda c: b"schema: 2", "has no 'schema: 1'"),
        ("../recording.yaml", lambda c: b"\xff\xfe{", "cannot be read"),
        ("../recording.yaml", lambda c: None, "cannot be read.*docs/own-logs.md"),
    ],
)
def test_a_damaged_file_is_named(recording, name, change, message):
    path = recording / "drive_9" / name
    content = change(path.read_bytes())
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(DatasetError, match=message) as caught:
        Recording(recording)[0]
    assert Path(name).name in str(caught.value)


def test_points_of_other_channels_than_the_scene_says_are_refused(recording):
    change_frames(recording, ["channels"], {"intensity": 1})
    with pytest.raises(DatasetError, match=r"float32 \[20, 7\].*float32 \[N, 4\]: x, y, z, inten"):
        Recording(recording)[0]


def test_the_check_of_a_dataset_names_a_sweep_without_points(recording):
    path = recording / "drive_9" / "points" / f"{STAMPS[1]}.npy"
    path.write_bytes(npy(np.zeros((0, 7))))
    check = check_dataset(Recording(recording, scenes=["drive_9"]), [0, 1])
    assert check.failures[0][0] == f"drive_9/{STAMPS[1]}"
    assert f"{path}: has no points" in check.failures[0][1]


def test_a_cloud_without_points_can_be_written(tmp_path):
    empty = make_cloud(5).select(np.zeros(0, dtype=np.int64))
    assert SceneWriter(tmp_path, "a_000").write_points(empty) == 0
    assert np.load(tmp_path / ".a_000.part" / "points" / "5.npy").shape == (0, 7)


def test_an_image_of_another_size_is_refused(recording):
    Image.new("RGB", (6, 8)).save(recording / "drive_9" / "front" / "8.png")
    with pytest.raises(DatasetError, match=r"has 6x8 pixels, .*frames\.json says 8x6"):
        Recording(recording)[0]


def damage(content, data):
    """Cuts or changes bytes at random places."""
    content = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    return bytes(content[: data.draw(st.integers(0, len(content)))])


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory):
    root = tmp_path_factory.mktemp("fuzzed")
    write_recording(root, {})
    write_scene(root, "drive_0")
    return root


@settings(max_examples=150)
@given(st.data(), st.sampled_from(["frames.json", f"points/{STAMPS[0]}.npy", "front/8.png"]))
def test_any_damage_is_an_error_that_names_the_file_or_leaves_a_usable_sample(fuzzed, data, name):
    path = fuzzed / "drive_0" / name
    whole = path.read_bytes()
    path.write_bytes(damage(whole, data))
    try:
        sample = Recording(fuzzed)[0]
    except DatasetError as error:
        assert str(fuzzed / "drive_0") in str(error)  # noqa: PT017
    else:
        assert sample.cloud.xyz.shape == (len(sample.cloud), 3)
        if sample.T_world_lidar is not None:
            check_rigid(sample.T_world_lidar, "pose")
        for image in sample.images:
            check_rigid(image.T_camera_lidar, "extrinsics")
            assert image.path.parent.parent == fuzzed / "drive_0"
    finally:
        path.write_bytes(whole)


def test_images_no_sweep_names_are_removed_and_a_scene_appears_whole(tmp_path):
    writer = SceneWriter(tmp_path, "a_000")
    writer.write_image("front", "1.png", b"one")
    writer.write_image("front", "2.png", b"two")
    writer.write_points(make_cloud(5))
    assert [path.name for path in tmp_path.iterdir()] == [".a_000.part"]
    sweep = Sweep(5, None, {"front": SceneImage("2.png", 2, OPTICAL)})
    writer.finish(Scene("velodyne", CHANNELS, {"front": CAMERA}, (sweep,)))
    assert [path.name for path in tmp_path.iterdir()] == ["a_000"]
    assert [path.name for path in (tmp_path / "a_000" / "front").iterdir()] == ["2.png"]


def test_scenes_are_read_as_they_were_written(recording):
    scene = write_scene(recording, "drive_12")
    written = json.loads((recording / "drive_12" / "frames.json").read_text())
    assert written == scene_to_dict(scene)


def test_sweeps_without_an_image_are_left_out_where_a_teacher_supervises(recording, caplog):
    maps = (str(recording / "teacher"), str(recording))
    teacher = TeacherConfig(*maps, "cityscapes", "cityscapes_to_semantic_kitti")
    source = SourceConfig("recording", str(recording))
    ontology = load_ontology("semantic_kitti")
    assert list(open_source(source, teacher, ontology).indices) == [0, 1, 2, 3]
    assert not caplog.text
    source.options = {"cameras": ["front"]}
    assert list(open_source(source, teacher, ontology).indices) == [0, 2]
    assert "2 of 4 sweeps left out, which have no image" in caplog.text
    by_tags_too = open_source(source, teacher, ontology, needs_labels=False)
    assert list(by_tags_too.indices) == [0, 1, 2, 3]


def test_the_check_of_a_dataset_counts_samples_without_an_image(recording):
    dataset = open_dataset("recording", recording, cameras=["front"])
    found = warnings(check_dataset(dataset, range(4)), dataset)
    assert "2 samples without any image: a 2D teacher says nothing of them" in found
