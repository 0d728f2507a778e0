import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from wsss_training.regions import region_image


def test_region_image_takes_the_nearest_point_of_a_cell():
    uv = np.array([[0, 0], [3, 3], [4.0, 0], [9.4, 5.4], [10.0, 0], [-0.6, 0]])
    depth = np.array([2.0, 1.0, 5.0, 5.0, 1.0, 1.0])
    region = np.array([7, 3, 2, -1, 9, 9])
    image = region_image(uv, region, depth, (6, 10), 4)
    np.testing.assert_array_equal(image, [[3, 2, -1], [-1, -1, -1]])
    assert image.dtype == np.int32


@settings(max_examples=40)
@given(st.integers(0, 9999), st.integers(0, 60), st.integers(1, 7))
def test_region_image_agrees_with_a_search_of_every_cell(seed, count, stride):
    rng = np.random.default_rng(seed)
    uv = rng.uniform(-2, 14, (count, 2))
    depth, region = rng.permutation(count) + 1.0, rng.integers(-1, 9, count)
    image = region_image(uv, region, depth, (11, 13), stride)
    column, row = np.round(uv).astype(int).T
    for (r, c), value in np.ndenumerate(image):
        inside = (row // stride == r) & (column // stride == c) & (row < 11) & (column < 13)
        inside &= (row >= 0) & (column >= 0)
        expected = region[inside][depth[inside].argmin()] if inside.any() else -1
        assert value == expected
