import json

import numpy as np
import pytest
from PIL import Image

from wsss_perception.errors import DatasetError, OntologyError
from wsss_perception.frame import UNKNOWN
from wsss_perception.geometry import transform_points, visible_points
from wsss_perception.ontology import load_ontology
from wsss_training.data.nuscenes import NuScenes

SWEEP = "samples/LIDAR_TOP/log__LIDAR_TOP__11000000.pcd.bin"
PICTURE = "samples/CAM_FRONT/log__CAM_FRONT__11050000.jpg"
CATEGORIES = "lidarseg/v1.0-mini/LIDAR_TOP2_lidarseg.bin"


def edit(root, table, change):
    """Applies a change to the rows of a table on disk."""
    path = root / "v1.0-mini" / f"{table}.json"
    rows = json.loads(path.read_text())
    change(rows)
    path.write_text(json.dumps(rows))
    return path


def test_sample_holds_everything_of_the_keyframe(nuscenes):
    dataset = NuScenes(nuscenes)
    sample = dataset[1]
    # x forward, y left
    np.testing.assert_array_equal(sample.cloud.xyz, [[10, 0, 0], [10, -2, -1], [-10, 0, 0]])
    assert sample.cloud.xyz.dtype == np.float32
    np.testing.assert_allclose(sample.cloud.channels["intensity"], [0.2, 1, 0], rtol=1e-6)
    np.testing.assert_array_equal(sample.cloud.channels["ring"], [3, 31, 0])
    assert sample.cloud.stamp == 11_000_000_000
    road, car = dataset.ontology.index("driveable_surface"), dataset.ontology.index("car")
    np.testing.assert_array_equal(sample.labels, [road, car, UNKNOWN])
    assert sample.scene == "scene-1"
    assert sample.files[:2] == (nuscenes / SWEEP, nuscenes / CATEGORIES)


def test_keyframes_alone_are_read_in_the_order_of_time(nuscenes):
    assert NuScenes(nuscenes).sample_ids == [
        "scene-1/log__LIDAR_TOP__10000000",
        "scene-1/log__LIDAR_TOP__11000000",
    ]


def test_pose_is_of_the_turned_lidar(nuscenes):
    T_world_lidar = NuScenes(nuscenes)[1].T_world_lidar
    ahead = transform_points(T_world_lidar, np.array([[0.0, 0, 0], [1, 0, 0]]))
    # the vehicle drives along the map's y, 10 m further on, the LiDAR 1 m before its origin
    np.testing.assert_allclose(ahead, [[100, 211, 2], [100, 212, 2]], atol=1e-9)


def test_points_project_to_their_pixels_with_the_motion_between_stamps(nuscenes):
    sample = NuScenes(nuscenes)[1]
    (image,) = sample.images
    assert (image.name, image.stamp) == ("CAM_FRONT", 11_050_000_000)
    points = transform_points(image.T_camera_lidar, sample.cloud.xyz.astype(np.float64))
    # 0.5 m driven since the sweep; the camera is 0.5 m below the LiDAR
    np.testing.assert_allclose(points[:2], [[0, -0.5, 9.5], [2, 0.5, 9.5]], atol=1e-9)
    uv, inside = image.camera.project(points)
    expected = [[31.5, 15.5 - 25 / 9.5], [31.5 + 100 / 9.5, 15.5 + 25 / 9.5]]
    np.testing.assert_allclose(uv[:2], expected)
    np.testing.assert_array_equal(inside, [True, True, False])


def test_unwanted_labels_and_images_are_not_opened(nuscenes):
    (nuscenes / PICTURE).unlink()
    (nuscenes / CATEGORIES).unlink()
    (nuscenes / "v1.0-mini/lidarseg.json").write_text("damaged")
    sample = NuScenes(nuscenes, cameras=[], labels=False)[1]
    assert (sample.labels, sample.images) == (None, ())


def test_set_without_lidarseg_is_unlabelled(nuscenes):
    (nuscenes / "v1.0-mini/lidarseg.json").unlink()
    assert NuScenes(nuscenes)[0].labels is None


def test_scenes_and_cameras_are_chosen_by_name(nuscenes):
    assert len(NuScenes(nuscenes, scenes=["scene-9"])) == 0
    dataset = NuScenes(nuscenes, scenes=["scene-1"], cameras=["CAM_FRONT"])
    assert [image.name for image in dataset[0].images] == ["CAM_FRONT"]
    with pytest.raises(DatasetError, match="no scene 'scene-2'; there are: scene-9, scene-1"):
        NuScenes(nuscenes, scenes=["scene-2"])
    with pytest.raises(DatasetError, match="no camera 'CAM_BACK'; there are: CAM_FRONT"):
        NuScenes(nuscenes, cameras=["CAM_BACK"])


def test_a_folder_without_tables_is_told(tmp_path):
    for version in (None, "v1.0-mini"):
        with pytest.raises(DatasetError, match=f"^no folder of tables .* in {tmp_path}$"):
            NuScenes(tmp_path, version=version)


def test_one_version_must_be_named_where_there_are_several(nuscenes):
    (nuscenes / "v1.0-test").mkdir()
    for version in (None, "", "v1.0-val"):
        with pytest.raises(DatasetError, match=r"there are: v1\.0-mini, v1\.0-test"):
            NuScenes(nuscenes, version=version)
    assert len(NuScenes(nuscenes, version="v1.0-mini")) == 2


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (SWEEP, lambda c: c[:-4], "not whole points of 20 bytes"),
        (SWEEP, lambda c: b"", "not whole points"),
        (SWEEP, None, "cannot be read"),
        (CATEGORIES, lambda c: c[:-1], "2 labels for a sweep of 3 points"),
        (CATEGORIES, None, "cannot be read"),
        (PICTURE, lambda c: b"no image", "image cannot be read"),
        (PICTURE, None, "image cannot be read"),
        *((f"v1.0-mini/{table}.json", lambda c: c[:-9], "not readable JSON")
          for table in ("scene", "sample", "sample_data", "ego_pose", "sensor", "lidarseg")),
        *((f"v1.0-mini/{table}.json", None, "cannot be read")
          for table in ("scene", "sample", "sample_data", "ego_pose", "calibrated_sensor")),
        ("v1.0-mini/sample.json", lambda c: b"{}", "not a list of rows"),
        ("v1.0-mini/sample.json", lambda c: b"[7]", "row 0 has no str 'token'"),
        ("v1.0-mini/scene.json", lambda c: b"\xff", "not readable JSON"),
    ],
)  # fmt: skip
def test_damaged_file_is_named(nuscenes, name, change, message):
    path = nuscenes / name
    content = path.read_bytes()
    path.unlink()
    if change is not None:
        path.write_bytes(change(content))
    with pytest.raises(DatasetError, match=message) as caught:
        NuScenes(nuscenes)[1]
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("table", "field", "value", "message"),
    [
        ("sample_data", "timestamp", None, "row 0 has no int 'timestamp'"),
        ("ego_pose", "rotation", [0, 0, 0, 0], "not a rotation"),
        ("ego_pose", "rotation", [1, 0, 0], "no pose"),
        ("ego_pose", "translation", [1, 0], "no pose"),
        ("ego_pose", "rotation", [0.9, 0, 0, 0], "not a rotation"),
        ("ego_pose", "translation", [float("nan"), 0, 0], "not finite"),
        ("ego_pose", "translation", [0, float("-inf"), 0], "not finite"),
        ("ego_pose", "rotation", [float("nan"), 0, 0, 1], "not finite"),
        ("ego_pose", "translation", ["1", 0, 0], "no pose"),
        ("sample_data", "timestamp", 10**20, "not a timestamp|seconds away"),
        ("sample_data", "timestamp", 19_000_000, "seconds away from its sample 'sample0'"),
        ("sample_data", "width", -1, "not a size"),
        ("sample_data", "filename", "a\0b", "is not a name"),
        ("sample_data", "filename", "\ud800", "is not a name"),
        ("sample_data", "filename", PICTURE, "two rows name the same file"),
        ("sample", "timestamp", -1, "not a timestamp"),
        ("scene", "name", "scene-1", "two scenes have the same name"),
        ("scene", "token", "drive", "token 'drive' occurs twice"),
        ("sample", "token", "sample0", "token 'sample0' occurs twice"),
        ("calibrated_sensor", "translation", [1, 2, float("nan")], "not finite"),
        ("calibrated_sensor", "rotation", [None, 0, 0, 1], "no pose"),
        ("calibrated_sensor", "camera_intrinsic", [[1, 2]], "must be finite and 3x3"),
        ("calibrated_sensor", "camera_intrinsic", [], "must be finite and 3x3"),
    ],
)
def test_damaged_row_is_named(nuscenes, table, field, value, message):
    def damage(rows):
        rows[0 if field != "camera_intrinsic" else 1][field] = value

    path = edit(nuscenes, table, damage)
    with pytest.raises(DatasetError, match=message) as caught:
        NuScenes(nuscenes)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("table", "row", "message"),
    [
        ("sensor", 1, r"sensor\.json: no token 'CAM_FRONT', named in .*calibrated_sensor\.json"),
        ("calibrated_sensor", 0, r"no token 'mount-LIDAR_TOP', named in .*sample_data\.json"),
        ("ego_pose", 1, r"ego_pose\.json: no token 'pose-CAM_FRONT0', named in .*sample_data"),
        ("sample_data", 0, r"no keyframe of 'LIDAR_TOP' for sample 'sample0'"),
        ("sample", 1, r"sample\.json: no token 'sample0', named in .*sample_data\.json"),
        ("scene", 1, r"scene\.json: no token 'drive', named in .*sample\.json"),
    ],
)
def test_missing_row_is_named_with_who_needs_it(nuscenes, table, row, message):
    edit(nuscenes, table, lambda rows: rows.pop(row))
    with pytest.raises(DatasetError, match=message):
        NuScenes(nuscenes)


def test_wanted_camera_must_have_taken_part(nuscenes):
    edit(nuscenes, "sample_data", lambda rows: rows.pop(1))
    assert [len(sample.images) for sample in NuScenes(nuscenes)] == [0, 1]
    with pytest.raises(DatasetError, match="no keyframe of 'CAM_FRONT' for sample 'sample0'"):
        NuScenes(nuscenes, cameras=["CAM_FRONT"])


@pytest.mark.parametrize("table", ["sample_data", "ego_pose", "sensor", "calibrated_sensor"])
def test_row_that_occurs_twice_is_refused(nuscenes, table):
    path = edit(nuscenes, table, lambda rows: rows.append(rows[0]))
    with pytest.raises(DatasetError, match=r"occurs twice|name the same file") as caught:
        NuScenes(nuscenes)
    assert str(path) in str(caught.value)


def test_two_keyframes_of_a_sensor_in_a_sample_are_refused(nuscenes):
    edit(nuscenes, "sample_data", lambda rows: rows[4].update(sample_token="sample0"))
    with pytest.raises(DatasetError, match="two keyframes of 'LIDAR_TOP' for sample 'sample0'"):
        NuScenes(nuscenes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sample_data_token": "LIDAR_TOP9"}, r"sample_data\.json: no token 'LIDAR_TOP9'"),
        ({"sample_data_token": "LIDAR_TOP2"}, "two rows are of the sweep 'LIDAR_TOP2'"),
        ({"filename": CATEGORIES}, "two rows name the same file"),
    ],
)
def test_labels_belong_to_one_sweep(nuscenes, change, message):
    path = edit(nuscenes, "lidarseg", lambda rows: rows[0].update(change))
    with pytest.raises(DatasetError, match=message) as caught:
        NuScenes(nuscenes)
    assert str(path) in str(caught.value)


def test_image_of_another_size_than_its_intrinsics_is_refused(nuscenes):
    Image.new("RGB", (32, 16)).save(nuscenes / PICTURE)
    with pytest.raises(DatasetError, match=r"has 32x16 pixels, its intrinsics are for 64x32"):
        NuScenes(nuscenes)[1]


def test_unlisted_category_is_named_with_its_file(nuscenes):
    (nuscenes / CATEGORIES).write_bytes(bytes([24, 99, 0]))
    with pytest.raises(OntologyError, match=r"LIDAR_TOP2_lidarseg\.bin: ids \[99\]"):
        NuScenes(nuscenes)[1]


@pytest.mark.real_data
def test_real_keyframe_is_complete(data_root):
    dataset = NuScenes(data_root / "nuscenes")
    (sample,) = (dataset[index] for index in range(len(dataset)))
    assert sample.scene == "scene-0061"
    assert len(sample.cloud) == 34_688
    assert set(np.unique(sample.cloud.channels["ring"])) == set(range(32))
    assert 0 <= sample.cloud.channels["intensity"].min() < sample.cloud.channels["intensity"].max()
    assert sample.cloud.channels["intensity"].max() <= 1
    counts = dict(zip(*np.unique(sample.labels, return_counts=True), strict=True))
    assert counts[dataset.ontology.index("barrier")] == 289
    assert counts[dataset.ontology.index("car")] == 79
    # the road: in front of, behind and beside the car at the LiDAR's height below it
    near = np.linalg.norm(sample.cloud.xyz[:, :2], axis=1)
    ground = sample.cloud.xyz[(near > 3) & (near < 8), 2]
    assert abs(np.median(ground) + 1.84) < 0.1


@pytest.mark.real_data
def test_real_boxed_points_fall_on_what_the_teacher_sees_there(data_root):
    """Extrinsics, poses, motion between stamps and projection at once: about 76 and 74 %."""
    dataset = NuScenes(data_root / "nuscenes")
    cityscapes = load_ontology("cityscapes")
    points: dict[str, list] = {"car": [], "barrier": []}
    shares: dict[str, list] = {"car": [], "barrier": []}
    sample = dataset[0]
    for image in sample.images:
        visible, uv = visible_points(sample.cloud.xyz, image.camera, image.T_camera_lidar)
        name = image.path.relative_to(data_root).with_suffix(".label.png")
        with Image.open(data_root / "teacher/espnetv2_cityscapes" / name) as teacher:
            raw = np.asarray(teacher)
        column, row = np.floor(uv + 0.5).astype(int).T
        for boxed, seen in (("car", "car"), ("barrier", "wall")):
            found = raw == cityscapes.index(seen)
            points[boxed].extend(
                found[row, column][sample.labels[visible] == dataset.ontology.index(boxed)]
            )
            shares[boxed].append(found.mean())
    assert {image.name for image in sample.images} == {
        f"CAM_{side}"
        for side in ("FRONT", "FRONT_RIGHT", "FRONT_LEFT", "BACK", "BACK_LEFT", "BACK_RIGHT")
    }
    assert (len(points["car"]), len(points["barrier"])) == (84, 340)
    for boxed in points:
        assert np.mean(shares[boxed]) < 0.02  # what chance would give
        assert np.mean(points[boxed]) > 0.7


@pytest.mark.real_data
def test_real_points_fall_into_images_as_often_as_known(data_root):
    """Geometry alone, from 1 m on: what an independent projection of the keyframe has given."""
    sample = NuScenes(data_root / "nuscenes")[0]
    inside = {}
    for image in sample.images:
        points = transform_points(image.T_camera_lidar, sample.cloud.xyz.astype(np.float64))
        inside[image.name] = image.camera.project(points, min_depth=1.0)[1]
    assert 100 * inside["CAM_FRONT"].mean() == pytest.approx(8.8, abs=0.1)
    assert 100 * inside["CAM_BACK"].mean() == pytest.approx(13.9, abs=0.1)
    assert 100 * np.any([*inside.values()], axis=0).mean() == pytest.approx(58.3, abs=0.1)
