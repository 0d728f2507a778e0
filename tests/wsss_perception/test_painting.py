from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsss_perception.bundle import Bundle, ModelSpec, NetworkSpec, write_bundle
from wsss_perception.engines import load_engine
from wsss_perception.errors import MessageError
from wsss_perception.features import PAINTED, Feature
from wsss_perception.frame import Frame, PointCloud, View
from wsss_perception.geometry import Camera
from wsss_perception.ontology import load_ontology
from wsss_perception.painting import add_colors, paint
from wsss_perception.segmenter import Segmenter, see_points

CAMERA = Camera(8, 6, np.array([[4.0, 0, 3.5], [0, 4.0, 2.5], [0, 0, 1]]))
FORWARD = np.array([[0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1.0]])
BACKWARD = FORWARD * [[-1], [1], [-1], [1]]
FEATURES = (Feature("z"), *(Feature(name, fill=0.0) for name in PAINTED))


def view(image: np.ndarray, pose: np.ndarray = FORWARD) -> View:
    return View("front", CAMERA, pose, image)


def numbered() -> np.ndarray:
    """An image whose every pixel has another colour."""
    return np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)


def cloud(xyz) -> PointCloud:
    xyz = np.float32(xyz).reshape(-1, 3)
    return PointCloud(xyz, {"intensity": np.full(len(xyz), 0.5, np.float32)})


def painted(points: PointCloud, *views: View) -> np.ndarray:
    """The painted channels [N, 4]."""
    result = paint(points, views, see_points(points.xyz, views))
    return np.stack([result.channels[name] for name in PAINTED], axis=1)


def test_points_get_the_colour_of_the_pixel_they_fall_on():
    # column 3.5 - 4 y / x, row 2.5 - 4 z / x: (2.3, 1.7) and (5.6, 2.4)
    points = cloud([[10, 3.0, 2.0], [10, -5.25, 0.25]])
    found = painted(points, view(numbered()))
    np.testing.assert_allclose(found[0, :3], numbered()[2, 2] / 255, rtol=1e-6)
    np.testing.assert_allclose(found[1, :3], numbered()[2, 6] / 255, rtol=1e-6)
    assert found[:, 3].tolist() == [1, 1]


def test_colours_are_the_mean_over_the_views_that_see_a_point():
    light, dark = np.full((6, 8, 3), 200, np.uint8), np.full((6, 8, 3), 100, np.uint8)
    points = cloud([[10, 0, 0], [-10, 0, 0]])
    found = painted(points, view(light), view(dark), view(dark, BACKWARD))
    np.testing.assert_allclose(found, [[150 / 255] * 3 + [1], [100 / 255] * 3 + [1]], rtol=1e-6)


def test_a_depth_image_changes_nothing_since_robots_have_none():
    image = numbered()
    points = cloud([[0.8, 0, 0], [10, 0, 0], [10, 2, 0], [5, 2, 0]])
    bare, measured = view(image), replace(view(image), depth=np.full((6, 8), 5, np.float32))
    np.testing.assert_array_equal(painted(points, measured), painted(points, bare))
    assert painted(points, bare)[:, 3].tolist() == [0, 1, 1, 1]


def test_points_that_no_view_sees_are_black_and_unseen():
    points = cloud([[-10, 0, 0], [np.nan, 0, 0], [10, 50, 0]])
    for views in ((), (view(numbered()),), (view(np.zeros((0, 0, 3), np.uint8)),)):
        np.testing.assert_array_equal(painted(points, *views), np.zeros((3, 4)))


def test_a_view_without_pixels_paints_nothing_and_takes_no_part_in_the_mean():
    light = np.full((6, 8, 3), 200, np.uint8)
    found = painted(cloud([[10, 0, 0]]), view(light), view(np.zeros((0, 0, 3), np.uint8)))
    np.testing.assert_allclose(found, [[200 / 255] * 3 + [1]], rtol=1e-6)


def test_painting_replaces_channels_of_its_names_and_keeps_all_else():
    points = cloud([[-10, 0, 0]])
    points.channels["image_red"] = np.float32([0.7])
    result = paint(points, (), ())
    assert result.channels["image_red"].tolist() == [0]
    assert result.channels["intensity"].tolist() == [0.5]
    assert points.channels["image_red"].tolist() == [np.float32(0.7)]
    assert "image_seen" not in points.channels


def test_an_image_of_another_size_than_its_camera_is_refused():
    with pytest.raises(MessageError, match=r"'front': the image is 8 x 5, .* for 8 x 6"):
        painted(cloud([[10, 0, 0]]), view(np.zeros((5, 8, 3), np.uint8)))


@given(st.integers(0, 20), st.integers(0, 4), st.integers(0, 2**32 - 1))
def test_painted_channels_are_the_means_of_what_cameras_see(count, cameras, seed):
    rng = np.random.default_rng(seed)
    seen = rng.random((count, cameras)) < 0.5
    colors = rng.integers(0, 256, (count, cameras, 3), dtype=np.uint8)
    sights = [(np.flatnonzero(seen[:, k]), colors[seen[:, k], k]) for k in range(cameras)]
    channels = add_colors(cloud(np.zeros((count, 3))), sights).channels
    assert all(channels[name].dtype == np.float32 for name in PAINTED)
    for point in range(count):
        used = colors[point, seen[point]]
        expected = used.mean(axis=0) / 255 if len(used) else np.zeros(3)
        found = [channels[name][point] for name in PAINTED]
        np.testing.assert_allclose(found, [*expected, float(len(used) > 0)], atol=1e-6)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Bundle:
    """A bundle of `cameras: optional` and random weights."""
    torch = pytest.importorskip("torch", reason="torch is not installed: make install")
    pytest.importorskip("spconv", reason="spconv is not installed: make install")
    from safetensors.torch import save

    from wsss_perception.networks.minkunet import MinkUNet

    torch.manual_seed(0)
    network = NetworkSpec("small", 0.5)
    spec = ModelSpec(load_ontology("semantic_kitti"), network, FEATURES, 0.5, cameras="optional")
    weights = MinkUNet(network, len(FEATURES), len(spec.ontology)).eval().state_dict()
    folder: Path = tmp_path_factory.mktemp("models") / "painted"
    return write_bundle(folder, spec, {"weights.safetensors": save(weights)})


def test_every_engine_gives_a_painted_model_the_same_labels(bundle):
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: make install")
    pytest.importorskip("onnx", reason="onnx is not installed: make install")
    rng = np.random.default_rng(0)
    points = cloud(rng.uniform(-10, 10, (3000, 3)))
    image = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    seen, blind = Frame(points, (view(image),)), Frame(points)
    spconv, onnx = (
        Segmenter(bundle.spec, load_engine(name, bundle, "cpu"))
        for name in ("spconv", "onnxruntime")
    )
    expected = spconv(seen)
    for frame in (seen, blind):
        assert (onnx(frame).labels == spconv(frame).labels).mean() >= 0.999
    assert len(np.unique(expected.labels)) > 1
    assert not np.array_equal(expected.confidence, spconv(blind).confidence)
