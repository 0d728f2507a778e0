import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsss_training.regions.normals import estimate_normals, thinnest_direction
from wsss_training.regions.planes import planes

from .conftest import assert_dense, box, noisy, same_partition


def test_planes_at_a_right_angle_are_two_regions(corner):
    xyz, truth = corner
    region = planes(xyz)
    assert region.max() + 1 == 2
    away = np.maximum(xyz[:, 0], xyz[:, 2]) > 0.1
    assert same_partition(region[away], truth[away])


def test_planes_of_a_box_on_a_floor_are_its_faces_and_the_floor():
    rng = np.random.default_rng(0)
    floor = np.column_stack([rng.uniform(-3, 3, (8000, 2)), np.zeros(8000)])
    solid = box((-0.5, -0.5, 0.0), (0.5, 0.5, 0.6), 0.03)
    under = (np.abs(floor[:, :2]) < 0.5).all(axis=1)
    xyz = noisy(np.concatenate([floor[~under], solid]), 0.003)
    region = planes(xyz)
    assert region.max() + 1 == 6
    top = (np.abs(xyz[:, :2]) < 0.4).all(axis=1) & (xyz[:, 2] > 0.5)
    assert len(np.unique(region[top])) == 1
    assert not np.isin(region[np.abs(xyz[:, 2]) < 0.02], region[top]).any()


def test_planes_on_two_levels_stay_apart():
    rng = np.random.default_rng(0)
    xyz = np.column_stack([rng.uniform(0, 2, (6000, 2)), np.zeros(6000)])
    xyz[xyz[:, 0] > 1, 2] = 0.2
    region = planes(noisy(xyz, 0.002))
    assert same_partition(region, (xyz[:, 0] > 1).astype(int))


def test_planes_leftovers_take_the_nearest_region(corner):
    xyz, _ = corner
    stray = np.array([[1.0, 1.0, 0.3], [0.3, 1.0, 1.5]], np.float32)
    region = planes(np.concatenate([xyz, stray]))
    floor = (xyz[:, 2] < 0.05) & (xyz[:, 0] > 1)
    wall = (xyz[:, 0] < 0.05) & (xyz[:, 2] > 1)
    assert region[-2] == np.unique(region[:-2][floor])
    assert region[-1] == np.unique(region[:-2][wall])


def test_planes_invalid_points_have_no_region(corner):
    xyz = corner[0].copy()
    xyz[::7] = np.nan
    xyz[1, 2] = np.inf
    finite = np.isfinite(xyz).all(axis=1)
    region = planes(xyz)
    assert ((region == -1) == ~finite).all()
    np.testing.assert_array_equal(region[finite], planes(xyz[finite]))


@pytest.mark.parametrize("count", [0, 1, 2, 3, 10])
def test_planes_of_few_points_are_one_region(count):
    xyz = np.random.default_rng(0).normal(size=(count, 3)).astype(np.float32)
    assert (planes(xyz) == 0).all()
    assert (planes(np.zeros((count, 3), np.float32)) == 0).all()


def test_planes_use_given_normals(corner):
    xyz, truth = corner
    normals = np.where(truth[:, None] == 0, [0.0, 0, 1], [1.0, 0, 0])
    region = planes(xyz, normals)
    assert same_partition(region, truth)
    np.testing.assert_array_equal(planes(xyz, -normals), region)


@settings(max_examples=12)
@given(st.floats(-3.1, 3.1), st.floats(-50, 50), st.floats(-50, 50), st.integers(0, 99))
def test_planes_do_not_depend_on_pose_or_order(angle, x, y, seed):
    rng = np.random.default_rng(seed)
    floor, wall = rng.uniform(0, 2, (2, 700, 3))
    floor[:, 2], wall[:, 0] = 0.0, 0.0
    xyz = np.concatenate([floor, wall]) + rng.normal(0, 0.004, (1400, 3))
    region = planes(xyz)
    assert_dense(region, 1400)
    assert (region >= 0).all()
    cosine, sine = np.cos(angle), np.sin(angle)
    turned = xyz @ np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]]).T + [x, y, 1.0]
    assert same_partition(planes(turned), region)
    order = rng.permutation(1400)
    assert same_partition(planes(xyz[order]), region[order])


def test_normals_point_up_or_to_the_viewpoint():
    rng = np.random.default_rng(0)
    floor = np.column_stack([rng.uniform(-1, 1, (500, 2)), np.full(500, -1.0)])
    wall = np.column_stack([np.full(500, 2.0), rng.uniform(-1, 1, (500, 2))])
    xyz = np.concatenate([floor, wall, [[np.nan, 0, 0]]])
    found = estimate_normals(xyz, viewpoint=(0, 0, 0))
    np.testing.assert_allclose(found[:500], np.tile([0, 0, 1.0], (500, 1)), atol=1e-5)
    np.testing.assert_allclose(found[500:1000], np.tile([-1.0, 0, 0], (500, 1)), atol=1e-5)
    assert (found[1000] == 0).all()
    tilted = estimate_normals(xyz[:500] + xyz[:500, :1] * [0, 0, 0.5])
    np.testing.assert_allclose(tilted[:, 2], 1 / np.hypot(1, 0.5), atol=1e-5)


@settings(max_examples=50)
@given(st.integers(0, 10_000), st.floats(1e-4, 1e3), st.integers(1, 3))
def test_thinnest_direction_is_the_smallest_eigenvector(seed, scale, rank):
    factors = np.random.default_rng(seed).normal(size=(20, 3, rank)) * scale
    spread = factors @ np.swapaxes(factors, 1, 2)
    vector, share = thinnest_direction(spread)
    values = np.linalg.eigvalsh(spread)
    trace = values.sum(axis=1)
    np.testing.assert_allclose(np.linalg.norm(vector, axis=1), 1.0, atol=1e-9)
    along = np.einsum("ni,nij,nj->n", vector, spread, vector) / trace
    np.testing.assert_allclose(along, values[:, 0] / trace, atol=1e-7)
    np.testing.assert_allclose(share, np.maximum(values[:, 0], 0) / trace, atol=1e-7)
