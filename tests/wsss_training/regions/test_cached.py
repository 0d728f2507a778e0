from dataclasses import replace

import numpy as np
import pytest

from wsss_perception.frame import PointCloud
from wsss_training.regions import cached
from wsss_training.regions.cached import CachedRegions


@pytest.fixture
def partitioned(monkeypatch):
    """Clouds that were partitioned, by a partition of one region."""
    clouds = []

    def partition(cloud):
        clouds.append(cloud)
        return np.zeros(len(cloud), dtype=np.int32)

    monkeypatch.setitem(cached.REGIONS, "one", partition)
    return clouds


@pytest.fixture
def cloud():
    return PointCloud(np.eye(3, dtype=np.float32), {"red": np.arange(3, dtype=np.float32)})


def test_a_cloud_is_partitioned_once(tmp_path, cloud, partitioned):
    first = CachedRegions("one", tmp_path)("scene/0", cloud)
    again = CachedRegions("one", tmp_path)("scene/0", replace(cloud, xyz=cloud.xyz.copy()))
    np.testing.assert_array_equal(again, first)
    assert len(partitioned) == 1


@pytest.mark.parametrize("changed", ["xyz", "red", "name"])
def test_a_changed_cloud_is_partitioned_anew(tmp_path, cloud, partitioned, changed):
    regions = CachedRegions("one", tmp_path)
    regions("scene/0", cloud)
    clouds = {
        "xyz": replace(cloud, xyz=cloud.xyz + 1),
        "red": replace(cloud, channels={"red": cloud.channels["red"] + 1}),
        "name": replace(cloud, channels={"green": cloud.channels["red"]}),
    }
    regions("scene/0", clouds[changed])
    assert len(partitioned) == 2
