import numpy as np
import pytest

from wsss_perception.benchmark import sweeps
from wsss_perception.benchmark.sweeps import SENSORS, make_grown_sweep, make_sweep
from wsss_perception.voxels import voxelize


def voxels_of(xyz, size=0.1):
    return len(voxelize(np.ascontiguousarray(xyz), size).coords)


def mean_voxels(beams, size=0.1):
    return np.mean([voxels_of(make_sweep(SENSORS[beams], seed).xyz, size) for seed in range(3)])


@pytest.mark.parametrize("beams", [32, 64])
def test_a_sweep_is_a_function_of_its_seed(beams):
    first, again, other = (make_sweep(SENSORS[beams], seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.xyz, again.xyz)
    np.testing.assert_array_equal(first.channels["intensity"], again.channels["intensity"])
    assert len(first) != len(other) or not np.array_equal(first.xyz, other.xyz)


@pytest.mark.parametrize("beams", [32, 64])
def test_a_sweep_looks_as_its_sensor_sees(beams):
    sensor = SENSORS[beams]
    cloud = make_sweep(sensor, 0)
    distance = np.linalg.norm(cloud.xyz, axis=1)
    elevation = np.rad2deg(np.arcsin(cloud.xyz[:, 2] / distance))
    assert cloud.xyz.dtype == cloud.channels["intensity"].dtype == np.float32
    assert 0.7 * beams * sensor.columns < len(cloud) < beams * sensor.columns
    assert elevation.min() == pytest.approx(sensor.elevations[0], abs=0.01)
    assert elevation.max() == pytest.approx(sensor.elevations[-1], abs=0.5)
    assert distance.min() > 2
    assert distance.max() < 81
    on_ground = np.abs(cloud.xyz[:, 2] + 1.73) < 0.05
    assert 0.3 < on_ground.mean() < 0.9  # and what is not stands on it
    assert cloud.xyz[:, 2].min() > -1.85
    assert 0 <= cloud.channels["intensity"].min() < cloud.channels["intensity"].max() <= 1


@pytest.fixture
def sweep_of(monkeypatch):
    """Makes a sweep among some boxes of (center, size), in a street that is not turned."""

    def make(*boxes, columns_of=None):
        made = [sweeps._box(center, size, 0.5) for center, size in boxes]
        monkeypatch.setattr(sweeps, "_street", lambda rng: made)
        monkeypatch.setattr(sweeps, "_turn", lambda angle: np.eye(3))
        if columns_of is not None:
            monkeypatch.setattr(sweeps, "_columns_of", columns_of)
        return make_sweep(SENSORS[64], 0).xyz

    return make


def test_a_ray_ends_at_the_first_thing_it_meets(sweep_of):
    near, far = ((5.5, 0.0), (1.0, 8.0, 9.0)), ((20.5, 0.0), (1.0, 8.0, 9.0))

    def standing(xyz, x):
        return int(((np.abs(xyz[:, 0] - x) < 0.2) & (xyz[:, 2] > -1.5)).sum())

    for boxes in ((near, far), (far, near)):
        xyz = sweep_of(*boxes)
        assert standing(xyz, 5.0) > 1000
        assert standing(xyz, 20.0) == 0
    assert standing(sweep_of(far), 20.0) > 300


def test_all_rays_that_can_meet_a_thing_are_tried(sweep_of):
    """Also behind the sensor, where a turn begins and ends, and around a thing beside it."""
    boxes = [((-9.0, 0.0), (2.0, 7.0, 5.0)), ((3.0, 4.0), (9.0, 1.0, 2.0)), ((0, -6), (0.2,) * 3)]
    found = sweep_of(*boxes)
    everywhere = sweep_of(*boxes, columns_of=lambda box, count: np.arange(count))
    np.testing.assert_array_equal(found, everywhere)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("beams", "files", "columns"),
    [
        (64, "kitti_raw/*/*/velodyne_points/data/*.bin", 4),
        (32, "nuscenes/samples/LIDAR_TOP/*.bin", 5),
    ],
)
def test_a_sweep_has_the_voxels_of_a_real_one(data_root, beams, files, columns):
    paths = sorted(data_root.glob(files))[::20]
    real = [np.fromfile(path, dtype=np.float32).reshape(-1, columns)[:, :3] for path in paths]
    outside = [xyz[np.linalg.norm(xyz, axis=1) > 1.0] for xyz in real]  # not the car itself
    for size in (0.1, 0.2):
        expected = np.mean([voxels_of(xyz, size) for xyz in outside])
        assert mean_voxels(beams, size) == pytest.approx(expected, rel=0.3)


def test_a_grown_sweep_has_its_points_and_is_no_denser_but_farther():
    small, large = make_grown_sweep(10_000, 0), make_grown_sweep(100_000, 0)
    assert (len(small), len(large)) == (10_000, 100_000)
    reach = [np.linalg.norm(cloud.xyz, axis=1).max() for cloud in (small, large)]
    assert reach[1] / reach[0] == pytest.approx(np.sqrt(10), rel=0.1)
    shares = [voxels_of(cloud.xyz) / len(cloud) for cloud in (small, large)]
    assert shares[1] == pytest.approx(shares[0], rel=0.25)


@pytest.mark.parametrize("points", [1, 7, 500])
def test_small_grown_sweeps_have_their_points_too(points):
    assert len(make_grown_sweep(points, 3)) == points
