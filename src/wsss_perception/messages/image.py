"""sensor_msgs/Image and CompressedImage <-> RGB arrays, for rclpy and rosbags alike."""

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsss_perception.errors import MessageError
from wsss_perception.messages import cv_bridge_images
from wsss_perception.messages.common import MessageTypes, make_header, make_message
from wsss_perception.messages.pixels import bayer_to_rgb, to_8_bits, yuv422_to_rgb

_JPEG_QUALITY = 92

_BAYER_PATTERNS = ("rggb", "bggr", "gbrg", "grbg")


@dataclass(frozen=True)
class _Encoding:
    """How pixels are stored.

    Attributes:
        size: bytes per value.
        channels: values per pixel.
        rgb: which of them are red, green and blue.
        bayer: pattern of the mosaic; none by default.
        luma: which of two values is luma, in YUV 4:2:2.
    """

    size: int
    channels: int
    rgb: tuple[int, int, int] = (0, 0, 0)
    bayer: str = ""
    luma: int | None = None


_ENCODINGS = {
    "rgb8": _Encoding(1, 3, (0, 1, 2)),
    "bgr8": _Encoding(1, 3, (2, 1, 0)),
    "rgba8": _Encoding(1, 4, (0, 1, 2)),
    "bgra8": _Encoding(1, 4, (2, 1, 0)),
    "mono8": _Encoding(1, 1),
    "rgb16": _Encoding(2, 3, (0, 1, 2)),
    "bgr16": _Encoding(2, 3, (2, 1, 0)),
    "rgba16": _Encoding(2, 4, (0, 1, 2)),
    "bgra16": _Encoding(2, 4, (2, 1, 0)),
    "mono16": _Encoding(2, 1),
    **{f"bayer_{name}8": _Encoding(1, 1, bayer=name) for name in _BAYER_PATTERNS},
    **{f"bayer_{name}16": _Encoding(2, 1, bayer=name) for name in _BAYER_PATTERNS},
    **dict.fromkeys(("yuv422", "uyvy"), _Encoding(1, 2, luma=1)),
    **dict.fromkeys(("yuv422_yuy2", "yuyv"), _Encoding(1, 2, luma=0)),
}


def decode(message: Any) -> NDArray[np.uint8]:
    """Decodes an Image or a CompressedImage to RGB, uint8 [H, W, 3].

    Images may be rgb, bgr, rgba, bgra, mono or bayer of 8 or 16 bits, or yuv422 in either order,
    with padded rows; compressed images JPEG or PNG, of bayer mosaics too. Alpha is dropped. Where
    cv_bridge is installed and gives the same pixels, it converts Images.

    Args:
        message: of rclpy or rosbags.

    Raises:
        MessageError: another encoding, an empty image, or data that are damaged or cut short.
    """
    return _decode_compressed(message) if hasattr(message, "format") else _decode_raw(message)


def encode_rgb8(image: NDArray[np.uint8], stamp: int, frame_id: str, types: MessageTypes) -> Any:
    """Encodes RGB pixels uint8 [H, W, 3] as an Image of encoding rgb8.

    Args:
        image: the pixels.
        stamp: time of the image in nanoseconds.
        frame_id: the camera's optical frame.
        types: the message classes.
    """
    height, width, _ = image.shape
    message, data = make_message(
        types["sensor_msgs/msg/Image"],
        image.size,
        header=make_header(stamp, frame_id, types),
        height=height,
        width=width,
        encoding="rgb8",
        is_bigendian=0,
        step=3 * width,
    )
    data.reshape(image.shape)[...] = image
    return message


def encode_jpeg(image: NDArray[np.uint8], stamp: int, frame_id: str, types: MessageTypes) -> Any:
    """Encodes RGB pixels uint8 [H, W, 3] as a CompressedImage; arguments as ``encode_rgb8``."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=_JPEG_QUALITY)
    cls, header = types["sensor_msgs/msg/CompressedImage"], make_header(stamp, frame_id, types)
    message, data = make_message(cls, stream.tell(), header=header, format="jpeg")
    data[:] = np.frombuffer(stream.getbuffer(), dtype=np.uint8)
    return message


def _decode_raw(message: Any) -> NDArray[np.uint8]:
    encoding = _checked_encoding(message)
    if message.encoding != "rgb8":
        pixel_bytes = encoding.size * encoding.channels
        converted = cv_bridge_images.convert(message, pixel_bytes, _decode_checked)
        if converted is not None:
            return converted
    return _decode_checked(message)


def _checked_encoding(message: Any) -> _Encoding:
    """Checks an Image's description of its bytes against the bytes there are."""
    where = _where(message)
    encoding = _ENCODINGS.get(message.encoding)
    if encoding is None:
        raise MessageError(
            f"{where}: encoding '{message.encoding}' is not supported; publish one of "
            f"{', '.join(_ENCODINGS)}, or a CompressedImage (image_transport republish)"
        )
    pixel_bytes = encoding.size * encoding.channels
    height, width, step = int(message.height), int(message.width), int(message.step)
    if not height * width:
        raise MessageError(f"{where}: the image is empty ({width} x {height})")
    if step < width * pixel_bytes:
        raise MessageError(
            f"{where}: step {step} is less than {width} pixels of {pixel_bytes} bytes; the "
            "publisher must set step to the length of a row in bytes"
        )
    if len(message.data) < height * step:
        raise MessageError(
            f"{where}: {len(message.data)} bytes of data are fewer than {height} rows of {step}; "
            "the message is cut short"
        )
    if encoding.luma is not None and width % 2:
        raise MessageError(
            f"{where}: {message.encoding} holds pairs of pixels, but a row has {width}; "
            "the publisher must make the width even"
        )
    if encoding.bayer and min(height, width) < 3:
        raise MessageError(
            f"{where}: {width} x {height} pixels are no whole Bayer mosaic; at least 3 x 3 are"
        )
    return encoding


def _decode_checked(message: Any) -> NDArray[np.uint8]:
    """Decodes an Image that ``_checked_encoding`` took."""
    encoding = _ENCODINGS[message.encoding]
    size, channels = encoding.size, encoding.channels
    dtype = np.dtype((">" if message.is_bigendian else "<") + f"u{size}")
    data = np.frombuffer(message.data, dtype=np.uint8)
    pixels = np.ndarray(
        (int(message.height), int(message.width), channels),
        dtype,
        data,
        0,
        (int(message.step), channels * size, size),
    )
    if encoding.bayer:
        mosaic = pixels[..., 0].astype(dtype.newbyteorder("="), copy=False)
        return to_8_bits(bayer_to_rgb(mosaic, encoding.bayer))
    if encoding.luma is not None:
        return yuv422_to_rgb(pixels, encoding.luma)
    values = to_8_bits(pixels)
    if message.encoding == "rgb8":
        return values.copy()
    rgb = np.empty((*pixels.shape[:2], 3), dtype=np.uint8)
    for channel, source in enumerate(encoding.rgb):  # faster than one index of three
        rgb[..., channel] = values[..., source]
    return rgb


def _decode_compressed(message: Any) -> NDArray[np.uint8]:
    where = _where(message)
    if "compressedDepth" in message.format:
        raise MessageError(f"{where}: '{message.format}' is a depth image; give a colour topic")
    try:
        with Image.open(io.BytesIO(bytes(message.data)), formats=("JPEG", "PNG")) as image:
            if image.mode.startswith("I"):  # PNG of 16 bits
                pixels: NDArray = np.asarray(image).astype(np.uint16)
            else:
                pixels = np.asarray(image if image.mode == "L" else image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise MessageError(
            f"{where}: compressed data of format '{message.format}' is not a whole JPEG or PNG "
            f"image: {error}"
        ) from error
    if pixels.ndim == 3:
        return pixels
    # image_transport compresses mosaics as they are: "bayer_rggb8; jpeg compressed"
    raw = _ENCODINGS.get(message.format.partition(";")[0].strip())
    if raw is not None and raw.bayer and min(pixels.shape) >= 3:
        return to_8_bits(bayer_to_rgb(pixels, raw.bayer))
    return np.repeat(to_8_bits(pixels)[..., None], 3, axis=2)


def _where(message: Any) -> str:
    stamp = message.header.stamp
    return f"image of {stamp.sec}.{stamp.nanosec:09d} in frame '{message.header.frame_id}'"
