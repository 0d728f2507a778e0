"""Images of messages as image files: compressed ones as they are, raw ones as PNG."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_SUFFIXES = {"JPEG": ".jpg", "PNG": ".png"}


def encode_image(message: Any, pixels: NDArray[np.uint8]) -> tuple[bytes, str]:
    """Returns the content of an image file and its suffix.

    The bytes of a CompressedImage are kept, unless its pixels have more than 8 bits, which other
    programs would not read as they are read here.

    Args:
        message: the Image or CompressedImage.
        pixels: decoded from it, uint8 [H, W, 3].
    """
    if hasattr(message, "format"):
        content = bytes(message.data)
        with Image.open(io.BytesIO(content)) as image:
            if image.format in _SUFFIXES and not image.mode.startswith("I"):
                return content, _SUFFIXES[image.format]
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", compress_level=1)  # three times faster than 6
    return stream.getvalue(), ".png"
