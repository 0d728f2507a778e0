import gc
import tracemalloc

import numpy as np
import pytest

from wsss_perception.frame import PointCloud, SemanticCloud
from wsss_perception.messages.image import decode as decode_image
from wsss_perception.messages.image import encode_rgb8
from wsss_perception.messages.point_cloud2 import decode, encode_cloud, encode_semantic

POINTS = 200_000
SLACK = 150_000  # numpy's buffers; less than one byte per point


def allocated(task):
    """Runs a task; its result, and the most bytes that it held beyond those before."""
    task()  # what is imported and cached at first is not counted
    gc.collect()
    tracemalloc.start()
    try:
        result = task()
        return result, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def room(data):
    """Bytes that a message's data take, with the sixteenth that array.array reserves beyond."""
    return len(data) * 17 // 16


@pytest.fixture
def message(types):
    rng = np.random.default_rng(0)
    channels = {name: rng.random(POINTS, dtype=np.float32) for name in ("intensity", "ring", "t")}
    return encode_cloud(PointCloud(rng.random((POINTS, 3), dtype=np.float32), channels), types)


def make_labels(count):
    floats, bytes_ = np.zeros(count, np.float32), np.zeros(count, np.uint8)
    return SemanticCloud(bytes_, floats, bytes_)


def test_decoding_copies_only_what_is_asked_for(message):
    cloud, peak = allocated(lambda: decode(message, ["intensity"]))
    values = cloud.xyz.nbytes + cloud.channels["intensity"].nbytes
    assert values == 16 * POINTS
    assert values <= peak < values + SLACK


def test_scaling_intensities_copies_nothing(message):
    _, peak = allocated(lambda: decode(message, ["intensity"], 1 / 255))
    assert peak < 16 * POINTS + SLACK


def test_encoding_copies_each_point_once(message):
    semantic, palette = make_labels(POINTS), np.zeros((256, 3), np.uint8)
    result, peak = allocated(lambda: encode_semantic(message, semantic, palette))
    assert len(result.data) == 36 * POINTS
    colours = 4 * POINTS
    once = len(result.data) <= peak < room(result.data) + colours + SLACK
    assert once, peak


def test_an_image_is_copied_once_each_way(types):
    pixels = np.zeros((800, 1000, 3), np.uint8)
    message, peak = allocated(lambda: encode_rgb8(pixels, 0, "camera", types))
    assert peak < room(message.data) + SLACK
    _, peak = allocated(lambda: decode_image(message))
    assert peak < pixels.nbytes + SLACK
