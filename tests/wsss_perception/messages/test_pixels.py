import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsss_perception.messages.pixels import bayer_to_rgb, to_8_bits, yuv422_to_rgb

cv2 = pytest.importorskip("cv2", reason="pip install opencv-python-headless")

BAYER = {  # OpenCV names a pattern by the second row's second and third pixels
    "rggb": cv2.COLOR_BayerBG2RGB,
    "bggr": cv2.COLOR_BayerRG2RGB,
    "gbrg": cv2.COLOR_BayerGR2RGB,
    "grbg": cv2.COLOR_BayerGB2RGB,
}


def noise(seed, *shape, dtype=np.uint8):
    extremes = np.iinfo(dtype).max
    values = np.random.default_rng(seed).integers(-20, extremes + 20, shape)
    return values.clip(0, extremes).astype(dtype)


@settings(max_examples=150)
@given(
    st.integers(3, 40),
    st.integers(3, 40),
    st.sampled_from(sorted(BAYER)),
    st.sampled_from([np.uint8, np.uint16]),
    st.integers(0, 99),
)
def test_bayer_mosaics_come_out_as_of_opencv(height, width, pattern, dtype, seed):
    mosaic = noise(seed, height, width, dtype=dtype)
    expected = cv2.cvtColor(mosaic, BAYER[pattern])
    np.testing.assert_array_equal(bayer_to_rgb(mosaic, pattern), expected)


@settings(max_examples=100)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 99))
def test_yuv422_comes_out_as_of_opencv(height, pairs, seed):
    packed = noise(seed, height, 2 * pairs, 2)
    for luma, code in enumerate((cv2.COLOR_YUV2RGB_YUYV, cv2.COLOR_YUV2RGB_UYVY)):
        np.testing.assert_array_equal(yuv422_to_rgb(packed, luma), cv2.cvtColor(packed, code))


def test_every_value_of_16_bits_is_scaled_and_rounded():
    values = np.arange(65536, dtype=np.uint16)
    expected = np.rint(values * (255 / 65535))
    np.testing.assert_array_equal(to_8_bits(values), expected)
    np.testing.assert_array_equal(to_8_bits(values.astype(">u2")), expected)
    eight = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(to_8_bits(eight), eight)
