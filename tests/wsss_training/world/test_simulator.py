import numpy as np
import pytest

from wsss_perception.frame import UNKNOWN
from wsss_perception.geometry import invert, visible_points
from wsss_perception.ontology import load_ontology
from wsss_training.world.imitated_teacher import imitate_teacher
from wsss_training.world.recording import Sweep
from wsss_training.world.settings import RigSettings, load_world_settings
from wsss_training.world.simulator import simulate
from wsss_training.world.teacher_settings import load_teacher_settings

WORLD = load_world_settings()
PINNED = [
    14176.0,
    13.8404,
    0.2122,
    10.1115,
    124.393,
    5.3737,
    5.1384,
    0.8869,
    14119.0,
    12.8124,
    0.2148,
    10.0209,
    124.6338,
    5.8081,
    5.7197,
    0.8976,
]


def small(name: str) -> RigSettings:
    """A rig with an eighth of the rays."""
    rig = load_world_settings().rigs[name]
    rig.lidar.columns //= 8
    for camera in rig.cameras:
        camera.width, camera.height = camera.width // 4, camera.height // 4
        camera.focal /= 4
        camera.center = [value / 4 for value in camera.center]
    return rig


def record(name: str) -> list[Sweep]:
    return list(simulate("x", 4, WORLD, small(name), 2).sweeps)


@pytest.fixture(scope="module")
def kitti() -> list[Sweep]:
    return record("kitti")


@pytest.fixture(scope="module")
def nuscenes() -> list[Sweep]:
    return record("nuscenes")


def test_recording_is_a_function_of_its_seed(kitti: list[Sweep]) -> None:
    for sweep, again in zip(kitti, record("kitti"), strict=True):
        assert np.array_equal(sweep.cloud.xyz, again.cloud.xyz)
        assert np.array_equal(sweep.labels, again.labels)
        assert np.array_equal(sweep.shots[0].pixels, again.shots[0].pixels)


def test_cameras_expose_at_their_delays(nuscenes: list[Sweep]) -> None:
    first, second = nuscenes
    assert second.cloud.stamp - first.cloud.stamp == 500_000_000
    delays = [round((shot.stamp - first.cloud.stamp) / 1e6) for shot in first.shots]
    assert delays == [12, 4, 20, -4, 28, 36]
    moved = [shot.T_world_ego[:2, 3] - first.T_world_ego[:2, 3] for shot in first.shots]
    assert np.linalg.norm(moved[5]) > 2.5 * np.linalg.norm(moved[0]) > 0


@pytest.mark.parametrize("rig", ["kitti", "nuscenes"])
def test_points_fall_on_pixels_of_their_class(rig: str, request: pytest.FixtureRequest) -> None:
    """The LiDAR, the cameras, their poses and both ontologies agree."""
    sweep: Sweep = request.getfixturevalue(rig)[1]
    points, pixels = load_ontology("semantic_kitti").classes, load_ontology("cityscapes").classes
    same = {points.index(name): pixels.index(name) for name in ("road", "building", "car")}
    compared = agreeing = 0
    for shot in sweep.shots:
        T_world_camera = shot.T_world_ego @ shot.T_ego_camera
        T_camera_lidar = invert(T_world_camera) @ sweep.T_world_ego @ sweep.T_ego_lidar
        index, uv = visible_points(sweep.cloud.xyz, shot.camera, T_camera_lidar)
        column, row = np.floor(uv + 0.5).astype(int).T
        for label, teacher_class in same.items():
            chosen = sweep.labels[index] == label
            found = shot.classes[row[chosen], column[chosen]]
            compared += chosen.sum()
            agreeing += (found == teacher_class).sum()
    assert compared > 300
    assert agreeing / compared > 0.9


def test_things_have_instances_and_ground_has_none(kitti: list[Sweep]) -> None:
    classes = load_ontology("semantic_kitti").classes
    sweep = kitti[0]
    assert (sweep.instances[sweep.labels == classes.index("road")] == 0).all()
    assert (sweep.instances[sweep.labels == classes.index("building")] > 0).all()
    assert (sweep.labels != UNKNOWN).mean() > 0.9


def test_recordings_are_those_that_methods_were_compared_on(kitti: list[Sweep]) -> None:
    """Any change of what is recorded, or of its teacher, needs a new version of the world."""
    habits = load_teacher_settings()
    found = []
    for number, sweep in enumerate(kitti):
        shot = sweep.shots[0]
        maps = imitate_teacher(shot.classes, shot.regions, habits, 4, number)
        found += [
            len(sweep.cloud),
            sweep.labels.mean(),
            sweep.cloud.channels["intensity"].mean(),
            np.linalg.norm(sweep.cloud.xyz, axis=1).mean(),
            shot.pixels.mean(),
            shot.classes.mean(),
            maps.labels.mean(),
            maps.confidence.mean(),
        ]
    assert WORLD.version == 1
    assert found == pytest.approx(PINNED, rel=2e-3)
