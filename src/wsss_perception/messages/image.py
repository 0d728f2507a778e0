"""sensor_msgs/Image and CompressedImage <-> RGB arrays, for rclpy and rosbags alike."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsss_perception.errors import MessageError
from wsss_perception.messages.common import MessageTypes, allocate, make_header

_JPEG_QUALITY = 92

_ENCODINGS = {
    "rgb8": (1, 3, [0, 1, 2]),
    "bgr8": (1, 3, [2, 1, 0]),
    "rgba8": (1, 4, [0, 1, 2]),
    "bgra8": (1, 4, [2, 1, 0]),
    "mono8": (1, 1, [0, 0, 0]),
    "mono16": (2, 1, [0, 0, 0]),
}
"""Bytes per value, values per pixel, and which of them are red, green and blue."""


def decode(message: Any) -> NDArray[np.uint8]:
    """Decodes an Image or a CompressedImage to RGB, uint8 [H, W, 3].

    Images may be rgb8, bgr8, rgba8, bgra8, mono8 or mono16 (whose upper 8 bits are kept), with
    padded rows; compressed images JPEG or PNG. Alpha is dropped.

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
    cls = types["sensor_msgs/msg/Image"]
    container, data = allocate(cls, image.size)
    data.reshape(image.shape)[...] = image
    return cls(
        header=make_header(stamp, frame_id, types),
        height=height,
        width=width,
        encoding="rgb8",
        is_bigendian=0,
        step=3 * width,
        data=container,
    )


def encode_jpeg(image: NDArray[np.uint8], stamp: int, frame_id: str, types: MessageTypes) -> Any:
    """Encodes RGB pixels uint8 [H, W, 3] as a CompressedImage; arguments as ``encode_rgb8``."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=_JPEG_QUALITY)
    cls = types["sensor_msgs/msg/CompressedImage"]
    container, data = allocate(cls, stream.tell())
    data[:] = np.frombuffer(stream.getbuffer(), dtype=np.uint8)
    return cls(header=make_header(stamp, frame_id, types), format="jpeg", data=container)


def _decode_raw(message: Any) -> NDArray[np.uint8]:
    where = _where(message)
    if message.encoding not in _ENCODINGS:
        raise MessageError(
            f"{where}: encoding '{message.encoding}' is not supported; publish one of "
            f"{', '.join(_ENCODINGS)}, or a CompressedImage (image_transport republish)"
        )
    size, channels, rgb = _ENCODINGS[message.encoding]
    height, width, step = int(message.height), int(message.width), int(message.step)
    if not height * width:
        raise MessageError(f"{where}: the image is empty ({width} x {height})")
    if step < width * channels * size:
        raise MessageError(
            f"{where}: step {step} is less than {width} pixels of {channels * size} bytes; the "
            "publisher must set step to the length of a row in bytes"
        )
    if len(message.data) < height * step:
        raise MessageError(
            f"{where}: {len(message.data)} bytes of data are fewer than {height} rows of {step}; "
            "the message is cut short"
        )
    data = np.frombuffer(message.data, dtype=np.uint8)
    high_byte = 0 if message.is_bigendian or size == 1 else size - 1
    pixels = np.ndarray(
        (height, width, channels), np.uint8, data, high_byte, (step, channels * size, size)
    )
    return np.ascontiguousarray(pixels[..., rgb])


def _decode_compressed(message: Any) -> NDArray[np.uint8]:
    where = _where(message)
    if "compressedDepth" in message.format:
        raise MessageError(f"{where}: '{message.format}' is a depth image; give a colour topic")
    try:
        with Image.open(io.BytesIO(bytes(message.data)), formats=("JPEG", "PNG")) as image:
            if image.mode.startswith("I"):  # PNG of 16 bits
                upper = (np.asarray(image) >> 8).astype(np.uint8)
                return np.repeat(upper[..., None], 3, axis=2)
            return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise MessageError(
            f"{where}: compressed data of format '{message.format}' is not a whole JPEG or PNG "
            f"image: {error}"
        ) from error


def _where(message: Any) -> str:
    stamp = message.header.stamp
    return f"image of {stamp.sec}.{stamp.nanosec:09d} in frame '{message.header.frame_id}'"
