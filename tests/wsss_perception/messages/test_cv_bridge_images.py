import importlib
import logging
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from wsss_perception.messages import cv_bridge_images, image

ENCODINGS = sorted(image._ENCODINGS)

FAKE = """
import numpy as np
from wsss_perception.messages import image

calls = []

class CvBridge:
    def imgmsg_to_cv2(self, message, encoding):
        assert encoding == "rgb8"
        calls.append(message)
        if message.encoding == "mono8":
            raise RuntimeError("Unrecognized image encoding [mono8]")
        pixels = image._decode_checked(message)
        if message.encoding == "bgr8":
            pixels[0, 0, 0] ^= 1
        return pixels[:, ::-1][:, ::-1]
"""


def make_image(encoding, height=4, width=6, pad=0, is_bigendian=0):
    entry = image._ENCODINGS[encoding]
    step = width * entry.size * entry.channels + pad
    return SimpleNamespace(
        header=SimpleNamespace(stamp=SimpleNamespace(sec=1, nanosec=2), frame_id="camera"),
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=is_bigendian,
        step=step,
        data=np.random.default_rng(5).integers(0, 256, step * height, dtype=np.uint8),
    )


@pytest.fixture
def forgotten():
    """Lets the test, and those after it, look for cv_bridge anew."""
    for cached in (cv_bridge_images._bridge, cv_bridge_images._agrees):
        cached.cache_clear()
    yield
    for cached in (cv_bridge_images._bridge, cv_bridge_images._agrees):
        cached.cache_clear()


@pytest.fixture
def package(tmp_path, monkeypatch, forgotten):
    """The folder of a made-up cv_bridge, which hides an installed one."""
    folder = tmp_path / "cv_bridge"
    (folder / "boost").mkdir(parents=True)
    (folder / "__init__.py").write_text(FAKE)
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "cv_bridge"]:
        monkeypatch.delitem(sys.modules, name)
    yield folder
    sys.modules.pop("cv_bridge", None)


def calls():
    return importlib.import_module("cv_bridge").calls


def test_cv_bridge_converts_what_it_converts_as_we_do(package):
    message = make_image("bayer_rggb8")
    pixels = image.decode(message)
    np.testing.assert_array_equal(pixels, image._decode_checked(message))
    assert pixels.flags.c_contiguous
    assert calls()[-1] is message


@pytest.mark.parametrize(
    ("encoding", "reason"),
    [("bgr8", "its pixels differ from those of our decoder"), ("mono8", "Unrecognized image")],
)
def test_an_encoding_that_cv_bridge_does_not_do_is_ours(package, caplog, encoding, reason):
    caplog.set_level(logging.INFO)
    message = make_image(encoding)
    for _ in range(3):
        np.testing.assert_array_equal(image.decode(message), image._decode_checked(message))
    assert len(calls()) == 1  # tried once, on a sample
    assert calls()[0] is not message
    assert caplog.text.count(reason) == 1


def test_rows_that_are_no_whole_pixels_are_ours(package):
    message = make_image("bgra8", pad=3)
    np.testing.assert_array_equal(image.decode(message), image._decode_checked(message))
    assert calls() == []
    image.decode(make_image("bgra8", pad=4))
    assert len(calls()) == 2


def test_nothing_is_converted_where_nothing_is_to_convert(package):
    image.decode(make_image("rgb8"))
    assert calls() == []


@pytest.mark.skipif(np.__version__.startswith("1."), reason="numpy 1 runs builds for either")
def test_a_build_for_numpy_1_is_not_imported_beside_numpy_2(package, caplog):
    library = package / "boost" / "cv_bridge_boost.cpython-310-x86_64-linux-gnu.so"
    library.write_bytes(b"\x7fELF...numpy.core._multiarray_umath\0...")
    (package / "__init__.py").write_text("raise SystemExit('imported')")
    message = make_image("bgra8")
    for _ in range(2):
        np.testing.assert_array_equal(image.decode(message), image._decode_checked(message))
    assert caplog.text.count("was built for numpy 1, and this is 2.") == 1


def test_a_build_for_numpy_2_is_used(package):
    library = package / "boost" / "cv_bridge_boost.cpython-312-x86_64-linux-gnu.so"
    library.write_bytes(b"\x7fELF...numpy._core._multiarray_umath\0numpy.core...")
    image.decode(make_image("bgra8"))
    assert len(calls()) == 2


def test_a_cv_bridge_that_cannot_be_imported_is_named_once(package, caplog):
    (package / "__init__.py").write_text("import no_such_library")
    for _ in range(2):
        image.decode(make_image("bgra8"))
    assert caplog.text.count("cv_bridge is installed, but not used: No module named 'no_su") == 1


@pytest.mark.parametrize("is_bigendian", [0, 1])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_installed_cv_bridge_gives_our_pixels(rclpy_types, forgotten, encoding, is_bigendian):
    bridge = pytest.importorskip("cv_bridge", reason="no cv_bridge").CvBridge()
    if cv_bridge_images._bridge() is None:
        pytest.skip("the cv_bridge that is installed does not work here")
    if encoding in ("uyvy", "yuyv"):
        pytest.skip("cv_bridge knows these by their older names")
    if is_bigendian and not np.__version__.startswith("1."):
        pytest.skip("cv_bridge swaps bytes by a call that numpy 2 dropped")
    sample = make_image(encoding, 37, 50, is_bigendian=is_bigendian)
    message = rclpy_types["sensor_msgs/msg/Image"](
        height=sample.height,
        width=sample.width,
        encoding=encoding,
        is_bigendian=is_bigendian,
        step=sample.step,
    )
    message.data.frombytes(sample.data.tobytes())
    theirs = bridge.imgmsg_to_cv2(message, "rgb8")
    np.testing.assert_array_equal(image._decode_checked(message), theirs)
