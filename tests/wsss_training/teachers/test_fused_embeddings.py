import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from wsss_perception.frame import PointCloud
from wsss_perception.geometry import Camera, make_transform
from wsss_training.data.sample import ImageSource, Sample
from wsss_training.teachers.basis import Basis
from wsss_training.teachers.fused_embeddings import fuse_embeddings, span_of

CAMERA = Camera(40, 20, np.array([[20.0, 0, 19.5], [0, 20, 9.5], [0, 0, 1]]))
AXES = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])
POINTS = np.float32([[10, 3, 0], [10, -3, 0], [-10, 0, 0], [10, 40, 0], [np.nan, 0, 0]])
"""Left half of the image, right half, behind, outside, invalid."""


class Maps:
    """Says the same of the left half of an image, and another thing of the right one."""

    def __init__(self, halves: dict[str, tuple[list[float], list[float]]]) -> None:
        self.size = 3
        self._halves = {name: np.float32(rows) for name, rows in halves.items()}

    def read(self, image, uv, size):
        assert size == (40, 20)
        return self._halves[image.name][(uv[:, 0] > 20).astype(int)]


def sample_of(names, points=POINTS) -> Sample:
    images = [
        ImageSource(name, Path(name), CAMERA, make_transform(AXES, np.zeros(3)), 0)
        for name in names
    ]
    return Sample("00/0", "00", PointCloud(points), tuple(images))


def test_points_get_the_mean_of_their_pixels_embeddings_at_length_one():
    maps = Maps({"a": ([1, 0, 0], [0, 1, 0]), "b": ([0, 1, 0], [0, 1, 0])})
    fused = fuse_embeddings(sample_of("ab"), maps)
    assert fused.dtype == np.float32
    half = np.sqrt(0.5)
    np.testing.assert_allclose(fused[:2], [[half, half, 0], [0, 1, 0]], atol=1e-6)
    assert (fused[2:] == 0).all(), "behind the camera, outside the image, invalid"


def test_an_image_that_says_nothing_counts_for_nothing():
    maps = Maps({"a": ([1, 0, 0], [0, 0, 0]), "b": ([0, 0, 0], [0, 0, 0])})
    fused = fuse_embeddings(sample_of("ab"), maps)
    np.testing.assert_allclose(fused[:2], [[1, 0, 0], [0, 0, 0]])


def test_contradicting_images_say_nothing():
    maps = Maps({"a": ([1, 0, 0], [0, 1, 0]), "b": ([-1, 0, 0], [0, 1, 0])})
    np.testing.assert_allclose(fuse_embeddings(sample_of("ab"), maps)[:2], [[0, 0, 0], [0, 1, 0]])


def test_a_sample_without_images_has_no_embeddings():
    assert not fuse_embeddings(sample_of(""), Maps({})).any()


def test_memory_does_not_grow_with_the_images():
    size, points = 64, np.tile(POINTS[:2], (5000, 1))

    class Wide:
        def __init__(self):
            self.size = size

        def read(self, image, uv, _):
            return np.ones((len(uv), size), dtype=np.float32)

    peaks = []
    for views in (2, 40):
        sample = sample_of("x" * views, points)
        tracemalloc.start()
        fuse_embeddings(sample, Wide())
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.05 * peaks[0]
    assert peaks[1] < 6 * points.shape[0] * size * 4


@pytest.mark.parametrize("components", [1, 3])
def test_coordinates_in_the_span_lose_nothing(components):
    rng = np.random.default_rng(0)
    rows = np.linalg.qr(rng.standard_normal((8, components)))[0].T.astype(np.float32)
    basis = Basis(rng.standard_normal(8).astype(np.float32), rows)
    ones = np.ones((6, 1), dtype=np.float32)
    vectors = basis.restore(rng.standard_normal((6, components)).astype(np.float32), ones)
    span = span_of(basis)
    assert span.shape == (8, components + 1)
    np.testing.assert_allclose(span.T @ span, np.eye(components + 1), atol=1e-6)
    np.testing.assert_allclose(vectors @ span @ span.T, vectors, atol=1e-5)
    assert span_of(None) is None


def test_fusing_in_the_span_is_fusing():
    maps = Maps({"a": ([1, 0, 0], [0, 1, 0]), "b": ([0, 1, 0], [0.6, 0.8, 0])})
    span = np.float32([[0.6, 0.8], [0.8, -0.6], [0, 0]])
    fused = fuse_embeddings(sample_of("ab"), maps, span)
    assert fused.shape == (5, 2)
    expected = fuse_embeddings(sample_of("ab"), maps)
    np.testing.assert_allclose(fused @ span.T, expected, atol=1e-6)
