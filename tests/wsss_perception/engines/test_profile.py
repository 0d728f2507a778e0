from dataclasses import replace

from made_networks import write_random

from wsss_perception.engines.limits import most_voxels
from wsss_perception.engines.profile import profile_of


def test_the_largest_cloud_is_beyond_the_largest_of_training(tmp_path):
    spec = write_random(tmp_path / "bundle")[0].spec
    bound = most_voxels(spec)
    known = {
        "voxels0": {"p01": 10, "p50": 1000, "p99": 9001},  # rooms of all sizes
        "voxels1": {"p01": 400, "p50": 500, "p99": 600},
        "voxels2": {"p01": 1, "p50": bound[2] // 3, "p99": bound[2]},
    }
    profile = profile_of(replace(spec, input_statistics=known))
    assert profile.typical[:3] == (1000, 500, bound[2] // 3)
    assert profile.most[:3] == (13501, 2000, bound[2])
    assert profile.most[3:] == (4 * 5000, 4 * 2000)  # of a bundle that does not tell
