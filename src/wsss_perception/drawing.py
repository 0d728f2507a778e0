"""What pictures of clouds are drawn with: colours, dots, and text."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import ImageDraw, ImageFont

Picture = NDArray[np.uint8]
"""RGB pixels, uint8 [H, W, 3]."""

GROUND = (13, 15, 20)
LINE = (44, 50, 62)
FAINT = (128, 137, 153)
TEXT = (224, 228, 235)
UNKNOWN_DOT = (58, 62, 70)

SAMPLES = 2
"""Dots are drawn at this multiple of the size and averaged down, to be smooth."""

_DARKEST = 150  # largest of the three values of a colour, at least


def cover(
    shape: tuple[int, int], centres: NDArray[np.floating], radius: NDArray[np.floating]
) -> NDArray[np.int32]:
    """Finds which of many discs each pixel shows; later ones cover earlier ones.

    Args:
        shape: height and width of the picture.
        centres: column and row of each disc [N, 2], finite; pixel 0 reaches from 0 to 1.
        radius: of each disc [N] in pixels; discs of one rounded radius must be neighbours.

    Returns:
        Index of the uppermost disc on each pixel, int32 [H, W]; -1 where there is none.
    """
    height, width = shape
    sizes = np.maximum(np.rint(radius), 1).astype(np.int64)
    margin = int(sizes.max(initial=0))  # so that no disc must be cut off at an edge
    column, row = np.floor(np.clip(centres, -margin - 1.0, [width + margin, height + margin])).T
    near = (column >= -margin) & (column < width + margin)
    near &= (row >= -margin) & (row < height + margin)
    number = np.flatnonzero(near).astype(np.int32)
    canvas = np.full((height + 4 * margin, width + 4 * margin), -1, dtype=np.int32)
    middle = np.ravel_multi_index(
        ((row[near] + 2 * margin).astype(np.int64), (column[near] + 2 * margin).astype(np.int64)),
        canvas.shape,
    )
    sizes = sizes[near]
    bounds = np.flatnonzero(np.diff(sizes)) + 1
    for part in np.split(np.arange(len(sizes)), bounds) if len(sizes) else ():
        around = _disc(int(sizes[part[0]])) @ (1, canvas.shape[1])
        # where an index repeats, numpy keeps the last value
        canvas.reshape(-1)[middle[part, None] + around] = number[part, None]
    return canvas[2 * margin : 2 * margin + height, 2 * margin : 2 * margin + width]


def splat(
    canvas: Picture, centres: NDArray[np.floating], radius: NDArray[np.floating], colors: Picture
) -> None:
    """Draws discs onto a canvas; later ones cover earlier ones.

    Args:
        canvas: [H, W, 3], changed.
        centres: column and row of each disc [N, 2].
        radius: of each disc [N] in pixels; discs of one rounded radius must be neighbours.
        colors: [N, 3].
    """
    uppermost = cover(canvas.shape[:2], centres, radius)
    covered = uppermost >= 0
    canvas[covered] = colors[uppermost[covered]]


@lru_cache
def _disc(radius: int) -> NDArray[np.int64]:
    """Returns the offsets [K, 2] of a disc's pixels."""
    side = np.arange(-radius, radius + 1)
    offsets = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    return offsets[(offsets**2).sum(axis=1) <= (radius + 0.3) ** 2]


def legible(palette: Picture) -> Picture:
    """Brightens dark colours, hue kept, so that they stand out from the dark ground."""
    largest = np.maximum(palette.max(axis=1, keepdims=True), 1)
    factor = np.maximum(_DARKEST / largest, 1.0)
    return np.rint(palette * factor).astype(np.uint8)


def shade(colors: Picture, heights: NDArray[np.floating]) -> Picture:
    """Lets lower points be a little darker, for an impression of relief."""
    if not len(heights):
        return colors
    low, high = np.percentile(heights, [2, 98])
    level = np.clip((heights - low) / max(high - low, 1e-6), 0.0, 1.0)
    return (colors * (0.78 + 0.22 * level[:, None])).astype(np.uint8)


def reduce_samples(canvas: Picture) -> Picture:
    """Averages blocks of samples to pixels."""
    height, width, _ = canvas.shape
    blocks = canvas.reshape(height // SAMPLES, SAMPLES, width // SAMPLES, SAMPLES, 3)
    return blocks.mean(axis=(1, 3)).astype(np.uint8)


def write_text(
    draw: ImageDraw.ImageDraw,
    position: tuple[float, float],
    text: str,
    size: int,
    color: tuple[int, int, int],
    anchor: str = "lm",
) -> None:
    """Writes text with a dark edge, so that it can be read over dots.

    Args:
        draw: the picture, changed.
        position: column and row of the anchor.
        text: one line.
        size: height of the letters in pixels.
        color: RGB.
        anchor: Pillow's two letters; ``lm`` is the middle of the left side.
    """
    font = _font(size)
    draw.text(position, text, color, font, anchor, stroke_width=2, stroke_fill=GROUND)


def text_width(text: str, size: int) -> int:
    """Returns how many pixels wide ``write_text`` writes a text."""
    return int(np.ceil(_font(size).getlength(text)))


@lru_cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
