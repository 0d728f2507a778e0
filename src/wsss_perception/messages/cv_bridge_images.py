"""Images through cv_bridge, where it is installed and gives the pixels that our decoder gives."""

import functools
import importlib.util
import logging
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsss_perception.errors import WsssError

Decoder = Callable[[Any], NDArray[np.uint8]]
"""Decodes a checked Image to RGB, uint8 [H, W, 3]."""

_WIDTH, _HEIGHT = 10, 6
_log = logging.getLogger(__name__)


def convert(message: Any, pixel_bytes: int, own: Decoder) -> NDArray[np.uint8] | None:
    """Converts an Image by cv_bridge.

    Each encoding is tried once on a small image; cv_bridge converts it from then on only if it
    gave what our decoder gives, so that no result depends on what is installed.

    Args:
        message: a checked Image, of rclpy or rosbags.
        pixel_bytes: bytes of one pixel of its encoding.
        own: our decoder.

    Returns:
        RGB, uint8 [H, W, 3]; None where our decoder is to be used.
    """
    if message.step % pixel_bytes:  # cv_bridge takes rows to be whole pixels
        return None
    if not _agrees(message.encoding, bool(message.is_bigendian), pixel_bytes, own):
        return None
    return _rgb(_bridge(), message)


@functools.cache
def _bridge() -> Any:
    """Loads cv_bridge; None where it is not installed or would not work."""
    spec = importlib.util.find_spec("cv_bridge")
    if spec is None or spec.origin is None:
        return None
    try:
        _check_numpy(Path(spec.origin).parent)
        return importlib.import_module("cv_bridge").CvBridge()
    except Exception as error:  # of a foreign package, in whatever way its parts do not fit
        _log.warning("cv_bridge is installed, but not used: %s; our decoder is used instead", error)
        return None


@functools.cache
def _agrees(encoding: str, is_bigendian: bool, pixel_bytes: int, own: Decoder) -> bool:
    bridge = _bridge()
    if bridge is None:
        return False
    message = _sample(encoding, is_bigendian, pixel_bytes)
    try:
        found = np.array_equal(_rgb(bridge, message), own(message))
        reason = "its pixels differ from those of our decoder"
    except Exception as error:  # as above: encodings it does not know, calls that numpy dropped...
        found, reason = False, str(error)
    if not found:
        _log.info("cv_bridge is not used for images of %s: %s", encoding, reason)
    return found


def _check_numpy(package: Path) -> None:
    """Refuses a build for numpy 1 beside numpy 2, which would crash the process.

    Raises:
        WsssError: it is one.
    """
    if int(np.__version__.partition(".")[0]) < 2:
        return
    for library in package.glob("boost/cv_bridge_boost*.so"):
        if b"numpy._core" not in library.read_bytes():  # the name that numpy 2's headers import
            raise WsssError(f"{library} was built for numpy 1, and this is {np.__version__}")


def _rgb(bridge: Any, message: Any) -> NDArray[np.uint8]:
    return np.ascontiguousarray(bridge.imgmsg_to_cv2(message, "rgb8"))


def _sample(encoding: str, is_bigendian: bool, pixel_bytes: int) -> Any:
    """Makes a small image of noise."""
    step = _WIDTH * pixel_bytes
    return SimpleNamespace(
        header=SimpleNamespace(stamp=SimpleNamespace(sec=0, nanosec=0), frame_id="sample"),
        height=_HEIGHT,
        width=_WIDTH,
        encoding=encoding,
        is_bigendian=int(is_bigendian),
        step=step,
        data=np.random.default_rng(0).integers(0, 256, step * _HEIGHT, dtype=np.uint8),
    )
