import numpy as np
import pytest

from wsss_perception.errors import MessageError
from wsss_perception.features import Feature, point_features
from wsss_perception.frame import PointCloud

CLOUD = PointCloud(
    np.float32([[3, 4, 0], [1, -2, 2]]),
    {"intensity": np.float32([0.5, 1.0]), "rgb": np.zeros((2, 3), np.float32)},
)


def test_features_are_shifted_then_scaled_in_order():
    features = (Feature("z"), Feature("range", scale=0.1), Feature("intensity", 2.0, offset=0.5))
    result = point_features(CLOUD, features)
    np.testing.assert_allclose(result, [[0, 0.5, 0], [2, 0.3, 1]], rtol=1e-6)
    assert result.dtype == np.float32


def test_fill_replaces_a_missing_channel_only():
    features = (Feature("ring", scale=2.0, fill=3.0), Feature("intensity", fill=9.0))
    np.testing.assert_array_equal(point_features(CLOUD, features), [[6, 0.5], [6, 1.0]])


def test_missing_channel_is_named_with_those_there_are():
    with pytest.raises(MessageError, match=r"'ring'.*'intensity', 'rgb'"):
        point_features(CLOUD, (Feature("ring"),))
    with pytest.raises(MessageError, match="has no channels"):
        point_features(PointCloud(CLOUD.xyz), (Feature("intensity"),))


def test_vector_channel_is_no_feature():
    with pytest.raises(MessageError, match=r"'rgb'.*\[2, 3\]"):
        point_features(CLOUD, (Feature("rgb"),))


def test_not_finite_coordinates_stay_in_their_row():
    cloud = PointCloud(np.float32([[np.nan, 0, 0], [3, 4, 0], [np.inf, 0, 0]]))
    result = point_features(cloud, (Feature("range"), Feature("y")))
    np.testing.assert_array_equal(np.isfinite(result).all(axis=1), [False, True, False])
    np.testing.assert_array_equal(result[1], [5, 4])
