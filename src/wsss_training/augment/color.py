"""Augmentation of images: light, contrast and colour as other cameras and weather give them."""

import numpy as np
from numpy.typing import NDArray

_LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def jitter_colors(
    images: NDArray[np.uint8], strength: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Changes brightness, contrast and saturation of each image, in this order.

    Each is multiplied by a factor of its own from 1 - strength..1 + strength: brightness scales the
    values, contrast their distance from the image's mean luminance, saturation that from the
    pixel's luminance.

    Args:
        images: uint8 [V, H, W, 3], RGB.
        strength: 0..1; 0 changes nothing.
        rng: draws the factors.
    """
    if strength == 0 or not len(images):
        return images
    shape = (3, len(images), 1, 1, 1)
    brightness, contrast, saturation = rng.uniform(1 - strength, 1 + strength, shape).astype(
        np.float32
    )
    pixels = images * brightness
    luminance = (pixels @ _LUMINANCE)[..., None]
    mean = luminance.mean(axis=(1, 2), keepdims=True)
    pixels = mean + (pixels - mean) * contrast
    luminance = mean + (luminance - mean) * contrast
    pixels = luminance + (pixels - luminance) * saturation
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
