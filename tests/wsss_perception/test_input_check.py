from dataclasses import replace

import numpy as np
import pytest

from wsss_perception.bundle import ModelSpec, NetworkSpec
from wsss_perception.features import Feature
from wsss_perception.frame import PointCloud
from wsss_perception.input_check import InputCheck
from wsss_perception.ontology import load_ontology


@pytest.fixture
def spec() -> ModelSpec:
    features = (Feature("z", 0.3), Feature("intensity"))
    statistics = {"intensity": {"p01": 0.0, "p50": 0.3, "p99": 0.99}}
    ontology = load_ontology("semantic_kitti")
    return ModelSpec(ontology, NetworkSpec("none"), features, 0.2, input_statistics=statistics)


def cloud_of(intensity: float, z: float = 0.0, points: int = 5) -> PointCloud:
    xyz = np.full((points, 3), z, dtype=np.float32)
    return PointCloud(xyz, {"intensity": np.full(points, intensity, dtype=np.float32)})


def test_input_check_names_intensity_scale_once(spec):
    check = InputCheck(spec)
    assert check(cloud_of(0.5)) == []
    (warning,) = check(cloud_of(70.0))
    assert "median intensity of the clouds is 70" in warning
    assert "'intensity_scale'" in warning
    assert check(cloud_of(70.0)) == []


@pytest.mark.parametrize("intensity", [0.0, 0.99])
def test_input_check_accepts_the_ends_of_the_training_range(spec, intensity):
    assert InputCheck(spec)(cloud_of(intensity)) == []


def test_input_check_sees_a_feature_that_is_computed(spec):
    spec = replace(spec, input_statistics={"z": {"p01": -3.0, "p50": -1.0, "p99": 2.0}})
    (warning,) = InputCheck(spec)(cloud_of(0.5, z=40.0))
    assert "median z of the clouds is 40" in warning
    assert "intensity_scale" not in warning


def test_input_check_says_nothing_of_clouds_that_tell_nothing(spec):
    nothing = cloud_of(70.0, points=0)
    invalid = cloud_of(float("nan"))
    without = PointCloud(np.zeros((5, 3), dtype=np.float32))
    check = InputCheck(replace(spec, features=(Feature("intensity", fill=0.3),)))
    assert [check(cloud) for cloud in (nothing, invalid, without)] == [[], [], []]
    assert len(check(cloud_of(70.0))) == 1


def test_input_check_leaves_invalid_points_out(spec):
    cloud = cloud_of(0.5)
    cloud.xyz[:3], cloud.channels["intensity"][:3] = np.nan, -1.0
    assert InputCheck(spec)(cloud) == []


def test_input_check_finds_the_median_of_a_large_cloud_from_a_part(spec):
    assert len(InputCheck(spec)(cloud_of(70.0, points=50_001))) == 1
