import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from wsss_perception.drawing import GROUND, cover, splat, text_width, write_text


def literal_cover(shape, centres, radius):
    """Draws disc after disc, pixel by pixel."""
    canvas = np.full(shape, -1)
    for number, ((x, y), size) in enumerate(zip(centres, radius, strict=True)):
        size = max(round(size), 1)
        for row in range(shape[0]):
            for column in range(shape[1]):
                if (row - np.floor(y)) ** 2 + (column - np.floor(x)) ** 2 <= (size + 0.3) ** 2:
                    canvas[row, column] = number
    return canvas


@settings(max_examples=60)
@given(st.data())
def test_cover_is_what_drawing_disc_after_disc_gives(data):
    shape = data.draw(st.tuples(st.integers(1, 12), st.integers(1, 12)))
    place = st.floats(-9, 20)
    centres = data.draw(st.lists(st.tuples(place, place), max_size=8))
    radius = data.draw(st.lists(st.floats(0, 4.4), min_size=len(centres), max_size=len(centres)))
    radius = np.sort(np.array(radius))
    covered = cover(shape, np.array(centres).reshape(-1, 2), radius)
    np.testing.assert_array_equal(covered, literal_cover(shape, centres, radius))


@pytest.mark.parametrize("place", [-1e30, 1e30, -3.0, 13.0])
def test_cover_leaves_out_discs_beyond_the_edge(place):
    for centre in ([place, 5.0], [5.0, place]):
        assert (cover((10, 10), np.array([centre]), np.ones(1)) == -1).all()


def test_splat_changes_the_discs_pixels_only():
    canvas = np.full((20, 30, 3), 7, np.uint8)
    colors = np.array([[200, 0, 0], [0, 200, 0]], np.uint8)
    splat(canvas, np.array([[10.2, 10.7], [12.0, 10.0]]), np.array([2.0, 1.0]), colors)
    assert canvas[10, 8].tolist() == [200, 0, 0]
    assert canvas[10, 12].tolist() == [0, 200, 0]
    assert (canvas == 7).all(axis=2).sum() == canvas[..., 0].size - 21 - 1


def test_text_width_is_what_is_written():
    picture = Image.new("RGB", (300, 40), GROUND)
    write_text(ImageDraw.Draw(picture), (20, 20), "driveable_surface", 17, (255, 255, 255))
    columns = np.flatnonzero((np.asarray(picture) != GROUND).any(axis=(0, 2)))
    assert 0 <= 20 + text_width("driveable_surface", 17) - columns[-1] <= 4
