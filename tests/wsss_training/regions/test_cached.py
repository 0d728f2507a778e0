from dataclasses import replace

import numpy as np
import pytest

from wsss_perception.frame import PointCloud
from wsss_training.data.sample import Sample
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
def sample(tmp_path):
    file = tmp_path / "cloud.bin"
    file.touch()
    cloud = PointCloud(np.eye(3, dtype=np.float32), {"red": np.arange(3, dtype=np.float32)})
    return Sample("scene/0", "scene", cloud, files=(file,))


def test_a_cloud_is_partitioned_once_whatever_else_is_read_with_it(tmp_path, sample, partitioned):
    folder = tmp_path / "regions"
    first = CachedRegions("one", folder)(sample)
    other = replace(sample, labels=np.zeros(3, dtype=np.uint8), files=(tmp_path / "pose.txt",))
    np.testing.assert_array_equal(CachedRegions("one", folder)(other), first)
    assert len(partitioned) == 1


@pytest.mark.parametrize("changed", ["xyz", "red", "name"])
def test_a_changed_cloud_is_partitioned_anew(tmp_path, sample, partitioned, changed):
    regions, cloud = CachedRegions("one", tmp_path / "regions"), sample.cloud
    regions(sample)
    clouds = {
        "xyz": replace(cloud, xyz=cloud.xyz + 1),
        "red": replace(cloud, channels={"red": cloud.channels["red"] + 1}),
        "name": replace(cloud, channels={"green": cloud.channels["red"]}),
    }
    regions(replace(sample, cloud=clouds[changed]))
    assert len(partitioned) == 2
