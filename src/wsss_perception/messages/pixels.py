"""Raw pixels -> RGB: Bayer mosaics, YUV 4:2:2 and values of 16 bits.

The arithmetic is that of OpenCV, and so of cv_bridge: the same pixels to the last bit.
"""

import numpy as np
from numpy.typing import NDArray

_LUMA, _RED_V, _GREEN_U, _GREEN_V, _BLUE_U = 1220542, 1673527, -409993, -852492, 2116026
_SHIFT = 20
"""ITU-R BT.601 of video range (luma 16..235), in units of 2 ** -_SHIFT."""


def to_8_bits(values: NDArray) -> NDArray[np.uint8]:
    """Scales uint16 0..65535 to uint8 0..255, rounded; uint8 stays as it is."""
    if values.dtype == np.uint8:
        return values
    highest = np.uint16(65535 - 128)  # all from here on are 255
    return ((np.minimum(values, highest) + np.uint16(128)) // np.uint16(257)).astype(np.uint8)


def bayer_to_rgb(mosaic: NDArray, pattern: str) -> NDArray:
    """Fills in the two colours that each pixel of a Bayer mosaic lacks, bilinearly.

    A pixel at the border takes the colours of its inner neighbour.

    Args:
        mosaic: uint8 or uint16 [H, W], at least 3 x 3.
        pattern: colours of the upper left 2 x 2 pixels, row by row, such as ``rggb``.

    Returns:
        RGB [H, W, 3] of the mosaic's dtype.
    """
    height, width = mosaic.shape
    rgb = np.empty((height, width, 3), dtype=mosaic.dtype)
    for site in range(4):
        row, column = divmod(site, 2)
        _fill_sites(mosaic, pattern, row, column, rgb)
    rgb[:, 0], rgb[:, -1] = rgb[:, 1], rgb[:, -2]
    rgb[0], rgb[-1] = rgb[1], rgb[-2]
    return rgb


def yuv422_to_rgb(packed: NDArray[np.uint8], luma: int) -> NDArray[np.uint8]:
    """Converts YUV 4:2:2 of video range, whose pairs of pixels share U and V.

    Args:
        packed: [H, W, 2], W even; luma of each pixel, and U (even columns) or V (odd ones).
        luma: which of the two is luma: 0 in YUYV, 1 in UYVY.

    Returns:
        RGB [H, W, 3].
    """
    u = packed[:, 0::2, 1 - luma].astype(np.int32) - 128
    v = packed[:, 1::2, 1 - luma].astype(np.int32) - 128
    half = 1 << (_SHIFT - 1)
    chroma = (_RED_V * v + half, _GREEN_V * v + _GREEN_U * u + half, _BLUE_U * u + half)
    rgb = np.empty((*packed.shape[:2], 3), dtype=np.uint8)
    for column in range(2):
        grey = np.maximum(packed[:, column::2, luma].astype(np.int32) - 16, 0) * _LUMA
        for channel, offset in enumerate(chroma):
            rgb[:, column::2, channel] = np.clip((grey + offset) >> _SHIFT, 0, 255)
    return rgb


def _fill_sites(mosaic: NDArray, pattern: str, row: int, column: int, rgb: NDArray) -> None:
    """Computes the inner pixels at odd or even rows and columns, which have one colour."""
    height, width = mosaic.shape
    first_row, first_column = 2 - row, 2 - column
    wide = np.uint16 if mosaic.dtype == np.uint8 else np.uint32

    def at(down: int, right: int) -> NDArray:
        rows = slice(first_row + down, height - 1 + down, 2)
        return mosaic[rows, first_column + right : width - 1 + right : 2].astype(wide)

    def colour(down: int, right: int) -> int:
        return "rgb".index(pattern[2 * (row ^ down) + (column ^ right)])

    sites = rgb[first_row : height - 1 : 2, first_column : width - 1 : 2]
    sites[..., colour(0, 0)] = at(0, 0)
    beside, above = at(0, -1) + at(0, 1), at(-1, 0) + at(1, 0)
    if pattern[2 * row + column] == "g":
        sites[..., colour(0, 1)] = (beside + 1) >> 1
        sites[..., colour(1, 0)] = (above + 1) >> 1
    else:
        diagonal = at(-1, -1) + at(-1, 1) + at(1, -1) + at(1, 1)
        sites[..., colour(0, 1)] = (beside + above + 2) >> 2
        sites[..., colour(1, 1)] = (diagonal + 2) >> 2
