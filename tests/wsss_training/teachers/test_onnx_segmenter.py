import numpy as np
import onnx
import pytest
from onnx import TensorProto
from small_segmenters import CELL, write_segmenter

from wsss_perception.errors import ConfigError
from wsss_training.teachers import onnx_segmenter
from wsss_training.teachers.onnx_segmenter import OnnxSegmenter
from wsss_training.teachers.onnx_settings import load_onnx_settings, ontology_of

MATRIX = np.array([[4.0, 0, 0], [0, 4, 0], [0, 0, 4], [1, 1, 1]])
NAMES = ["red", "green", "blue", "grey"]
PLAIN = {"mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0]}


def segmenter(folder, matrix=MATRIX, **settings):
    settings = {"classes": NAMES, "input": {**PLAIN, "multiple_of": CELL}, **settings}
    return OnnxSegmenter(load_onnx_settings(write_segmenter(folder, matrix, **settings)))


def picture(height=8, width=12, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def means(image):
    """Mean colours 0..1 of an image's cells [h, w, 3]."""
    height, width, _ = image.shape
    cells = image.reshape(height // CELL, CELL, width // CELL, CELL, 3)
    return cells.mean(axis=(1, 3)) / 255


@pytest.mark.parametrize("layouts", [("nchw", "nchw"), ("nhwc", "nchw"), ("nchw", "nhwc")])
@pytest.mark.parametrize("colors", ["rgb", "bgr"])
def test_images_are_prepared_as_the_settings_say(tmp_path, layouts, colors):
    mean, std = [0.1, 0.2, 0.3], [0.5, 0.6, 0.7]
    given = {"mean": mean, "std": std, "multiple_of": CELL, "layout": layouts[0], "colors": colors}
    output = {"kind": "logits", "layout": layouts[1], "name": "out"}
    run = segmenter(tmp_path, input=given, output=output)
    image = picture()
    colored = means(image)[:, :, ::-1] if colors == "bgr" else means(image)
    expected = ((colored - mean) / std) @ MATRIX.T
    found = next(run.outputs([image]))
    np.testing.assert_allclose(found.transpose(1, 2, 0), expected, atol=1e-4)


def test_half_precision_is_taken_and_given(tmp_path):
    found = next(segmenter(tmp_path, type=TensorProto.FLOAT16).outputs([picture()]))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.transpose(1, 2, 0), means(picture()) @ MATRIX.T, atol=0.02)


@pytest.mark.parametrize(
    "shape", [["n", 3, "h", "w"], [1, 3, 8, 12], [3, 3, 8, 12], [3, 3, "h", "w"]]
)
def test_batches_are_as_large_as_the_graph_allows(tmp_path, shape):
    fixed = isinstance(shape[2], int)
    run = segmenter(tmp_path, shape=shape, input=PLAIN if fixed else {**PLAIN, "multiple_of": 4})
    images = [picture(seed=seed) for seed in range(7)]
    if not fixed:
        images.insert(2, picture(16, 4, seed=9))
    found = list(run.outputs(iter(images)))
    assert len(found) == len(images)
    for image, answer in zip(images, found, strict=True):
        np.testing.assert_allclose(answer.transpose(1, 2, 0), means(image) @ MATRIX.T, atol=1e-4)


@pytest.mark.parametrize(
    ("given", "size"),
    [
        ({"multiple_of": 8}, (16, 24)),
        ({"size": [12, 20]}, (12, 20)),
        ({}, (13, 26)),
    ],
)
def test_images_are_resized_to_what_the_graph_takes(tmp_path, given, size):
    run = segmenter(tmp_path, input={**PLAIN, **given})
    assert run.input_size((26, 13)) == size
    assert run.output_shape((26, 13)) == (4, size[0] // CELL, size[1] // CELL)


@pytest.mark.parametrize("scores", ["softmax", "sigmoid"])
def test_logits_become_probabilities(tmp_path, scores):
    run = segmenter(tmp_path, output={"kind": "logits", "scores": scores})
    found = next(run.probabilities([picture()], 4))
    logits = means(picture()) @ MATRIX.T
    powers = np.exp(logits) if scores == "softmax" else 1 / (1 + np.exp(-logits))
    expected = powers / np.maximum(powers.sum(axis=-1, keepdims=True), 1)
    np.testing.assert_allclose(found.transpose(1, 2, 0), expected, atol=1e-4)


def test_probabilities_and_label_maps_are_taken_as_they_are(tmp_path):
    run = segmenter(tmp_path / "a", MATRIX / 20, output={"kind": "probabilities"})
    found = next(run.probabilities([picture()], 4)).transpose(1, 2, 0)
    np.testing.assert_allclose(found, means(picture()) @ MATRIX.T / 20, atol=1e-5)
    run = segmenter(tmp_path / "b", output={"kind": "labels"})
    found = next(run.probabilities([picture()], 4))
    labels = (means(picture()) @ MATRIX.T).argmax(axis=-1)
    np.testing.assert_array_equal(found.argmax(axis=0), labels)
    np.testing.assert_array_equal(found.sum(axis=0), 1)


def test_an_ontology_is_made_of_names(tmp_path):
    ontology = ontology_of(segmenter(tmp_path).settings)
    assert ontology.classes == tuple(NAMES)
    assert len(set(ontology.colors)) == 4
    shipped = segmenter(tmp_path, classes="cityscapes").settings
    assert ontology_of(shipped).name == "cityscapes"


def test_a_wrong_number_of_classes_is_refused(tmp_path):
    run = segmenter(tmp_path)
    with pytest.raises(ConfigError, match=r"'out' has 4 channels .*names? 19 classes"):
        next(run.probabilities([picture()], 19))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"output": {"kind": "masks"}}, "output.kind: known are logits"),
        ({"output": {"scores": "max"}}, "output.scores"),
        ({"output": {"layout": "chw"}}, "layout: known are nchw"),
        ({"input": {"colors": "grb"}}, "rgb, bgr"),
        ({"input": {"size": [8, 8], "multiple_of": 4}}, "either 'size' or 'multiple_of'"),
        ({"input": {"size": [8]}}, "height and width"),
        ({"input": {"multiple_of": 0}}, "positive"),
        ({"input": {"std": [0.0, 1.0, 1.0]}}, "std positive"),
        ({"classes": None}, "needs an ontology"),
        ({"classes": []}, "needs an ontology"),
        ({"classes": [1]}, "needs an ontology"),
        ({"output": {"kind": "embeddings"}, "classes": None}, "logit_scale"),
        (
            {"output": {"kind": "embeddings"}, "logit_scale": 100.0, "space": "m"},
            "have no classes",
        ),
        ({"outputs": {}}, "outputs"),
        ({"input": {"size": "large"}}, "size"),
        ({"output": {"name": "logits"}}, "no output 'logits'; it has out"),
        ({"shape": [1, 3, 8, 8]}, "takes images of 8x8 alone"),
        ({"type": TensorProto.DOUBLE}, "float or float16"),
    ],
)
def test_settings_that_do_not_fit_are_refused(tmp_path, settings, message):
    with pytest.raises(ConfigError, match=message):
        segmenter(tmp_path, **settings)


def test_missing_and_damaged_files_are_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml"):
        load_onnx_settings(tmp_path / "none.yaml")
    (tmp_path / "bare.yaml").write_text("classes: cityscapes")
    with pytest.raises(ConfigError, match=r"bare\.yaml.*model"):
        load_onnx_settings(tmp_path / "bare.yaml")
    path = write_segmenter(tmp_path, MATRIX, classes=NAMES)
    (tmp_path / "graph.onnx").write_bytes(b"nothing")
    with pytest.raises(ConfigError, match=r"graph\.onnx: ONNX Runtime cannot open"):
        OnnxSegmenter(load_onnx_settings(path))


def test_weights_beside_the_graph_tell_teachers_apart(tmp_path):
    described = []
    for factor in (1, 2):
        run = segmenter(tmp_path, MATRIX * factor)
        path = tmp_path / "graph.onnx"
        (tmp_path / "weights.bin").unlink(missing_ok=True)
        beside = {"save_as_external_data": True, "location": "weights.bin", "size_threshold": 0}
        onnx.save_model(onnx.load(path), path, **beside)
        described.append((path.read_bytes(), run.describe()))
    (graphs, answers) = zip(*described, strict=True)
    assert graphs[0] == graphs[1]
    assert answers[0] != answers[1]


def test_large_answers_are_made_one_at_a_time(tmp_path, monkeypatch):
    run, sizes = segmenter(tmp_path), []
    once = run._run
    monkeypatch.setattr(run, "_run", lambda batch: sizes.append(len(batch)) or once(batch))
    images = [picture(seed=seed) for seed in range(7)]
    answer = next(run.outputs(images)).nbytes
    for most, expected in ((2.5 * answer, [1, 2, 2, 2]), (answer / 9, [1] * 7), (1e9, [1, 4, 2])):
        sizes.clear()
        monkeypatch.setattr(onnx_segmenter, "_BATCH_BYTES", most)
        assert len(list(run.outputs(images))) == len(images)
        assert sizes == expected
