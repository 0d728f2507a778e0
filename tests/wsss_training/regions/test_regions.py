import numpy as np
import pytest

from wsss_perception.frame import UNKNOWN, PointCloud
from wsss_training.data import open_dataset
from wsss_training.regions import REGIONS, planes, supervoxels, vote

from .conftest import assert_dense, look_at_ground, noisy


@pytest.mark.parametrize("name", REGIONS)
def test_regions_take_a_cloud_and_give_the_same_each_time(name):
    xyz = noisy(look_at_ground(farthest=10)[::8], 0.01)
    xyz[5] = np.nan
    cloud = PointCloud(xyz, {"intensity": np.full(len(xyz), 0.3, np.float32)})
    region = REGIONS[name](cloud)
    assert_dense(region, len(xyz))
    assert region[5] == -1
    np.testing.assert_array_equal(region, REGIONS[name](cloud))


@pytest.mark.parametrize("name", ["planes", "supervoxels"])
def test_regions_use_the_normals_of_a_cloud_that_has_them(name):
    rng = np.random.default_rng(0)
    xyz = np.column_stack([rng.uniform(0, 2, (3000, 2)), np.zeros(3000)]).astype(np.float32)
    left = xyz[:, 0] < 1.1
    normals = {"normal_x": left, "normal_y": np.zeros(3000), "normal_z": ~left}
    channels = {key: values.astype(np.float32) for key, values in normals.items()}

    region = REGIONS[name](PointCloud(xyz, channels))
    expected = {"planes": planes, "supervoxels": supervoxels}[name]
    np.testing.assert_array_equal(region, expected(xyz, np.stack([*channels.values()], axis=1)))
    if name == "supervoxels":
        share = np.bincount(region, left) / np.bincount(region)
        assert np.minimum(share, 1 - share)[region].mean() < 0.05


def test_vote_gives_each_region_its_heaviest_label():
    region = np.array([0, 0, 0, 1, 1, 1, -1, 2, 2], np.int32)
    labels = np.array([3, 3, 5, UNKNOWN, 4, 2, 1, UNKNOWN, UNKNOWN], np.uint8)
    weights = np.array([0.2, 0.2, 0.9, 0, 0.1, 0.3, 1, 0, 0], np.float32)
    np.testing.assert_array_equal(vote(region, labels)[:3], 3)
    expected = [5, 5, 5, 2, 2, 2, 1, UNKNOWN, UNKNOWN]
    np.testing.assert_array_equal(vote(region, labels, weights), expected)
    nothing = np.full(9, UNKNOWN, np.uint8)
    np.testing.assert_array_equal(vote(region, nothing), nothing)


@pytest.mark.real_data
def test_ground_clusters_keep_to_class_borders_on_real_sweeps(data_root):
    root = data_root / "semantic_kitti"
    sample = open_dataset("semantic_kitti", root, sequences=["00"], images=False)[0]
    region = REGIONS["ground_clusters"](sample.cloud)
    known = sample.labels != UNKNOWN
    assert (vote(region, sample.labels)[known] == sample.labels[known]).mean() > 0.9
    assert region.max() < len(region) / 20
