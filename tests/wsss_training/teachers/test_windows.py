import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wsss_perception.errors import ConfigError
from wsss_training.teachers.windows import WindowedEmbedder, Windows


class MeanColors:
    """Embeds a cell as its mean colour, scaled to length 1, and remembers what it was given."""

    def __init__(self, stride):
        self.stride, self.shapes = stride, []

    def encode_pixels(self, pixels):
        self.shapes.append(pixels.shape)
        batch, height, width, _ = pixels.shape
        step = self.stride
        cells = pixels.reshape(batch, height // step, step, width // step, step, 3)
        means = torch.from_numpy(cells.astype(np.float32)).mean(dim=(2, 4)) + 1
        return torch.nn.functional.normalize(means, dim=-1)


def picture(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@settings(max_examples=60)
@given(
    st.integers(1, 12),
    st.integers(1, 12),
    st.integers(1, 5),
    st.floats(0, 0.95),
    st.integers(1, 7),
)
def test_windows_together_are_the_whole_image(rows, columns, cells, overlap, batch):
    encoder = MeanColors(4)
    embedder = WindowedEmbedder(encoder, Windows(4 * cells, 4, overlap, 1.0, batch))
    images = [picture(4 * rows, 4 * columns, seed) for seed in range(3)]
    found = list(embedder(iter(images)))
    for image, of_image in zip(images, found, strict=True):
        expected = encoder.encode_pixels(image[None])[0].numpy()
        np.testing.assert_allclose(of_image, expected, atol=1e-5)


def test_images_of_several_sizes_come_back_in_their_order():
    encoder = MeanColors(4)
    sizes = [(8, 12), (20, 8), (8, 12), (4, 4), (30, 30)]
    images = [picture(*size, seed) for seed, size in enumerate(sizes)]
    found = list(WindowedEmbedder(encoder, Windows(8, 4, batch=5))(iter(images)))
    assert [of_image.shape for of_image in found] == [
        (2, 3, 3),
        (5, 2, 3),
        (2, 3, 3),
        (1, 1, 3),
        (8, 8, 3),
    ]
    for image, of_image in zip(images[:4], found[:4], strict=True):
        expected = encoder.encode_pixels(image[None])[0].numpy()
        np.testing.assert_allclose(of_image, expected, atol=1e-5)


def test_windows_of_several_images_are_embedded_at_once_and_images_are_not_hoarded():
    encoder = MeanColors(4)
    read = []

    def images():
        for number in range(40):
            read.append(number)
            yield picture(8, 16, number)

    finished = 0
    for _ in WindowedEmbedder(encoder, Windows(8, 4, 0.0, batch=7))(images()):
        finished += 1
        assert len(read) - finished < 7
    assert finished == 40
    assert [shape[0] for shape in encoder.shapes] == [7] * 11 + [3]


def test_overlapping_windows_are_trusted_most_in_their_middle():
    class Numbers:
        """Embeds all cells of the first window as (1, 0), of the second as (0, 1)."""

        def encode_pixels(self, pixels):
            return torch.eye(2)[:, None, None].expand(2, 1, 4, 2)

    windows = Windows(4, 1, 0.5)
    assert windows.starts(6).tolist() == [0, 2]
    found = next(WindowedEmbedder(Numbers(), windows)([picture(1, 6)]))[0]
    expected = [[1, 0], [1, 0], [2 / 3, 1 / 3], [1 / 3, 2 / 3], [0, 1], [0, 1]]
    np.testing.assert_allclose(found, expected, atol=1e-6)


@settings(max_examples=100)
@given(st.integers(1, 200), st.integers(1, 40), st.floats(0, 0.95))
def test_windows_overlap_as_much_as_is_asked_for_and_reach_both_ends(cells, window, overlap):
    starts = Windows(window * 8, 8, overlap).starts(cells)
    assert starts[0] == 0
    assert starts[-1] == max(cells - window, 0)
    steps = np.diff(starts)
    assert (steps > 0).all()
    assert (steps <= max(int(window * (1 - overlap)), 1) + 1).all()
    assert (steps <= window).all()


def test_images_are_enlarged_before():
    encoder = MeanColors(4)
    image = np.zeros((8, 10, 3), np.uint8)
    image[:, 5:] = [200, 0, 0]
    windows = Windows(8, 4, scale=2.0)
    assert windows.cells((10, 8)) == (4, 5)
    found = next(WindowedEmbedder(encoder, windows)([image]))
    assert found.shape == (4, 5, 3)
    assert found[0, 0, 0] < 0.6 < 0.9 < found[0, -1, 0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((30, 8), "such as 32"),
        ((3, 8), "such as 8"),
        ((32, 8, 1.0), "overlap"),
        ((32, 8, -0.1), "overlap"),
        ((32, 8, 0.5, 0.0), "scale"),
        ((32, 8, 0.5, float("nan")), "scale"),
        ((32, 8, 0.5, 1.0, 0), "batch"),
    ],
)
def test_windows_that_make_no_sense_are_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        Windows(*values)
