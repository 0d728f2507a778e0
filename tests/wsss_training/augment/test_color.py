import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from wsss_training.augment import jitter_colors


def jitter_one(image, brightness, contrast, saturation):
    """A literal version, pixel after pixel."""
    weights = (0.299, 0.587, 0.114)
    height, width, _ = image.shape
    grey = np.zeros((height, width))
    for row in range(height):
        for column in range(width):
            grey[row, column] = brightness * float(np.dot(image[row, column], weights))
    result = np.zeros(image.shape)
    for row in range(height):
        for column in range(width):
            own = grey.mean() + (grey[row, column] - grey.mean()) * contrast
            for channel in range(3):
                value = brightness * image[row, column, channel]
                value = grey.mean() + (value - grey.mean()) * contrast
                result[row, column, channel] = own + (value - own) * saturation
    return np.clip(result, 0, 255)


@settings(max_examples=25)
@given(st.integers(0, 999), st.floats(0.05, 1.0))
def test_jitter_agrees_with_a_literal_version(seed, strength):
    images = np.random.default_rng(seed).integers(0, 256, (2, 3, 4, 3), dtype=np.uint8)
    factors = np.random.default_rng(seed).uniform(1 - strength, 1 + strength, (3, 2))
    found = jitter_colors(images, strength, np.random.default_rng(seed))
    for number in range(2):
        expected = jitter_one(images[number].astype(float), *factors[:, number])
        assert np.abs(found[number] - expected).max() <= 0.51  # rounded


def test_no_strength_changes_nothing():
    images = np.random.default_rng(0).integers(0, 256, (1, 5, 4, 3), dtype=np.uint8)
    np.testing.assert_array_equal(jitter_colors(images, 0.0, np.random.default_rng(1)), images)


def test_a_scene_without_views_stays_one():
    none = np.zeros((0, 4, 4, 3), dtype=np.uint8)
    assert jitter_colors(none, 0.5, np.random.default_rng(1)).shape == none.shape
