import io
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from wsss_perception.errors import MessageError
from wsss_perception.messages.image import _ENCODINGS, decode, encode_jpeg, encode_rgb8

HEADER = SimpleNamespace(stamp=SimpleNamespace(sec=3, nanosec=40), frame_id="camera")
RGB = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
GREY = RGB[..., 1]


def make_image(encoding, rows, width=7, is_bigendian=0):
    """An image of rows of bytes, each followed by 3 bytes of padding."""
    data = b"".join(row.tobytes() + b"pad" for row in rows)
    step = len(data) // len(rows)
    return SimpleNamespace(
        header=HEADER,
        height=len(rows),
        width=width,
        encoding=encoding,
        is_bigendian=is_bigendian,
        step=step,
        data=np.frombuffer(data, np.uint8),
    )


def compressed(image, codec, form):
    stream = io.BytesIO()
    image.save(stream, codec)
    data = np.frombuffer(stream.getvalue(), np.uint8)
    return SimpleNamespace(header=HEADER, format=form, data=data)


ALPHA = np.full((5, 7, 1), 77, np.uint8)


@pytest.mark.parametrize(
    ("encoding", "rows", "expected"),
    [
        ("rgb8", RGB, RGB),
        ("bgr8", RGB[..., ::-1], RGB),
        ("rgba8", np.concatenate([RGB, ALPHA], axis=2), RGB),
        ("bgra8", np.concatenate([RGB[..., ::-1], ALPHA], axis=2), RGB),
        ("mono8", GREY, np.stack([GREY] * 3, axis=2)),
        ("rgb16", RGB.astype("<u2") * 257, RGB),
        ("bgr16", RGB[..., ::-1].astype("<u2") * 257, RGB),
        ("rgba16", np.concatenate([RGB, ALPHA], axis=2).astype("<u2") * 257, RGB),
        ("bgra16", np.concatenate([RGB[..., ::-1], ALPHA], axis=2).astype("<u2") * 257, RGB),
        ("mono16", GREY.astype("<u2") * 257, np.stack([GREY] * 3, axis=2)),
    ],
)
def test_decode_gives_rgb_of_padded_rows(encoding, rows, expected):
    pixels = decode(make_image(encoding, rows))
    np.testing.assert_array_equal(pixels, expected)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous


@pytest.mark.parametrize("encoding", ["mono16", "rgb16", "bayer_rggb16"])
def test_decode_reads_big_endian_values(encoding):
    rng = np.random.default_rng(2)
    values = rng.integers(0, 65536, (5, 7, 3 if encoding == "rgb16" else 1), dtype=np.uint16)
    big = make_image(encoding, values.astype(">u2"), is_bigendian=1)
    little = make_image(encoding, values.astype("<u2"))
    np.testing.assert_array_equal(decode(big), decode(little))


@pytest.mark.parametrize("name", ["rggb", "bggr", "gbrg", "grbg"])
@pytest.mark.parametrize("bits", [8, 16])
def test_a_bayer_mosaic_of_one_colour_becomes_that_colour(name, bits):
    colour = {"r": 200, "g": 90, "b": 30}
    pattern = np.array([colour[c] for c in name], np.uint8).reshape(2, 2)
    mosaic = np.tile(pattern, (3, 4))[:5, :7]
    rows = mosaic if bits == 8 else mosaic.astype("<u2") * 257
    pixels = decode(make_image(f"bayer_{name}{bits}", rows))
    np.testing.assert_array_equal(pixels, np.broadcast_to(np.uint8([200, 90, 30]), (5, 7, 3)))


@pytest.mark.parametrize(
    ("encoding", "order"),
    [("yuv422", "uyvy"), ("uyvy", "uyvy"), ("yuv422_yuy2", "yuyv"), ("yuyv", "yuyv")],
)
def test_yuv422_reads_luma_and_chroma_where_they_are(encoding, order):
    # BT.601, video range: pure red is Y 81, U 90, V 240; white is Y 235 without chroma
    values = {"red": {"y": 81, "u": 90, "v": 240}, "white": {"y": 235, "u": 128, "v": 128}}
    row = [[values[colour][c] for c in order] for colour in ("red", "white")]
    rows = np.uint8(row).reshape(1, 8).repeat(5, axis=0)
    pixels = decode(make_image(encoding, rows, width=4))
    assert np.abs(pixels[:, :2].astype(int) - [255, 0, 0]).max() <= 1
    np.testing.assert_array_equal(pixels[:, 2:], np.full((5, 2, 3), 255))


def test_rgb8_survives_the_round_trip(types):
    message = encode_rgb8(RGB, 3_000_000_040, "camera", types)
    np.testing.assert_array_equal(decode(message), RGB)
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (3, 40)
    assert message.header.frame_id == "camera"
    assert (message.height, message.width, message.step) == (5, 7, 21)


def test_jpeg_survives_the_round_trip_nearly(types):
    ramp = np.arange(64, dtype=np.uint8) * 3
    smooth = np.stack(np.broadcast_arrays(ramp[:, None], ramp, np.uint8(90)), axis=2)
    pixels = decode(encode_jpeg(smooth, 0, "camera", types))
    assert np.abs(pixels.astype(int) - smooth).max() < 12


@pytest.mark.parametrize("form", ["png", "rgb8; png compressed bgr8"])
def test_decode_reads_png_exactly(form):
    message = compressed(Image.fromarray(RGB), "PNG", form)
    np.testing.assert_array_equal(decode(message), RGB)


def test_decode_reads_png_of_16_bits():
    message = compressed(Image.fromarray(GREY.astype(np.uint16) * 257), "PNG", "mono16; png")
    np.testing.assert_array_equal(decode(message), np.stack([GREY] * 3, axis=2))


@pytest.mark.parametrize("bits", [8, 16])
def test_decode_fills_in_the_colours_of_a_compressed_mosaic(bits):
    mosaic = np.random.default_rng(3).integers(0, 2**bits, (6, 8)).astype(f"<u{bits // 8}")
    message = compressed(Image.fromarray(mosaic), "PNG", f"bayer_gbrg{bits}; png compressed ")
    raw = make_image(f"bayer_gbrg{bits}", mosaic, width=8)
    np.testing.assert_array_equal(decode(message), decode(raw))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"encoding": "16UC1"}, "encoding '16UC1' is not supported; publish one of"),
        ({"encoding": "yuv422"}, "yuv422 holds pairs of pixels, but a row has 7"),
        ({"encoding": "bayer_rggb8", "height": 2}, "7 x 2 pixels are no whole Bayer mosaic"),
        ({"height": 6}, "120 bytes of data are fewer than 6 rows of 24"),
        ({"data": b""}, "0 bytes of data"),
        ({"step": 20}, "step 20 is less than 7 pixels of 3 bytes"),
        ({"width": 0}, "the image is empty"),
    ],
)
def test_a_contradictory_image_is_refused_with_the_reason(change, reason):
    message = make_image("rgb8", RGB)
    for name, value in change.items():
        setattr(message, name, value)
    with pytest.raises(MessageError, match=reason) as caught:
        decode(message)
    assert "image of 3.000000040 in frame 'camera'" in str(caught.value)


NUMBER = st.one_of(st.integers(0, 40), st.integers(0, 2**32 - 1))


@settings(max_examples=200)
@given(
    st.fixed_dictionaries(
        {"encoding": st.sampled_from([*_ENCODINGS, "nv12", "32FC1", ""])},
        optional={
            "height": NUMBER,
            "width": NUMBER,
            "step": NUMBER,
            "is_bigendian": st.integers(0, 255),
            "data": st.binary(max_size=400),
        },
    )
)
def test_a_mutated_image_is_refused_or_decoded(change):
    message = make_image("rgb8", RGB)
    for name, value in change.items():
        setattr(message, name, value)
    try:
        pixels = decode(message)
    except MessageError:
        return
    assert pixels.shape == (message.height, message.width, 3)
    assert pixels.dtype == np.uint8


@pytest.mark.parametrize("codec", ["JPEG", "PNG"])
def test_compressed_data_cut_short_are_refused(codec):
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    message = compressed(Image.fromarray(noise), codec, codec.lower())
    whole = message.data
    for size in np.linspace(0, len(whole) // 2, 25).astype(int):
        message.data = whole[:size]
        with pytest.raises(MessageError, match="not a whole JPEG or PNG"):
            decode(message)


def test_other_formats_and_depth_images_are_refused():
    message = compressed(Image.fromarray(RGB), "BMP", "bmp")
    with pytest.raises(MessageError, match="'bmp' is not a whole JPEG or PNG"):
        decode(message)
    message = compressed(Image.fromarray(RGB), "PNG", "16UC1; compressedDepth png")
    with pytest.raises(MessageError, match="is a depth image"):
        decode(message)
