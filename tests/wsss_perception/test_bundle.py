import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from wsss_perception.bundle import ModelSpec, NetworkSpec, _sealed, read_bundle, write_bundle
from wsss_perception.errors import BundleError
from wsss_perception.features import PAINTED, Feature
from wsss_perception.ontology import load_ontology

SPEC = ModelSpec(
    ontology=load_ontology("semantic_kitti"),
    network=NetworkSpec("minkunet18a", width=0.5),
    features=(Feature("z", scale=0.1), Feature("intensity", 2.0, 0.5, fill=0.25)),
    voxel_size=0.1,
    point_range=(-50.0, -50.0, -4.0, 50.0, 50.0, 2.0),
    temperature=1.7,
    input_statistics={"intensity": {"p01": 0.0, "p50": 0.3, "p99": 0.99}},
    provenance={"recipe": {"epochs": 3, "lr": 1e-05}, "note": "übung", "data": ["31"]},
)
FILES = {"weights.safetensors": bytes(range(256)), "model.onnx": b"graph"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "bundle", SPEC, FILES).folder


def test_bundle_reads_back_equal(folder):
    bundle = read_bundle(folder)
    assert bundle.spec == SPEC
    assert bundle.weights.read_bytes() == FILES["weights.safetensors"]
    assert {path.name for path in folder.iterdir()} == {"model.yaml", *FILES}
    assert read_bundle(str(folder)) == bundle


def test_bundle_without_range_reads_back_equal(tmp_path):
    spec = replace(SPEC, point_range=None)
    write_bundle(tmp_path / "bundle", spec, FILES)
    assert read_bundle(tmp_path / "bundle").spec == spec


@pytest.mark.parametrize("name", ["model.yaml", *FILES])
def test_every_altered_byte_is_noticed(folder, name):
    path = folder / name
    content = path.read_bytes()
    for position in range(0, len(content), max(1, len(content) // 50)):
        path.write_bytes(
            content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]
        )
        with pytest.raises(BundleError, match=name):
            read_bundle(folder)
    path.write_bytes(content)
    read_bundle(folder)


@pytest.mark.parametrize("name", ["model.yaml", *FILES])
@pytest.mark.parametrize("change", [lambda c: c[:-1], lambda c: c + b"\n", lambda c: b""])
def test_cut_and_grown_files_are_noticed(folder, name, change):
    path = folder / name
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(BundleError, match=name):
        read_bundle(folder)


def test_changed_value_in_model_yaml_is_noticed(folder):
    path = folder / "model.yaml"
    path.write_text(path.read_text().replace("voxel_size: 0.1", "voxel_size: 0.2"))
    with pytest.raises(BundleError, match=r"model\.yaml: not as it was written"):
        read_bundle(folder)


@pytest.mark.parametrize("name", ["model.yaml", *FILES])
def test_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(BundleError, match=name):
        read_bundle(folder)


def test_no_folder_is_an_error_that_says_what_to_give(tmp_path):
    with pytest.raises(BundleError, match=r"not a model bundle.*wsss_training export"):
        read_bundle(tmp_path / "nothing")


@pytest.mark.parametrize("text", ["schema: 3\n", "{}", "- a list", ""])
def test_other_schema_is_refused(folder, text):
    (folder / "model.yaml").write_text(text)
    with pytest.raises(BundleError, match=r"schema .* is not 1 or 2"):
        read_bundle(folder)


def reseal(folder, change):
    """Alters ``model.yaml`` as someone would who also knows the seal."""
    path = folder / "model.yaml"
    data = yaml.safe_load(path.read_text())
    del data["sha256"]
    change(data)
    path.write_bytes(_sealed(yaml.safe_dump(data, sort_keys=False).encode()))


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "..", "", "a/b", 5, "\0"])
def test_read_refuses_paths_out_of_the_bundle(folder, name):
    (folder.parent / "secret").write_bytes(b"")
    reseal(folder, lambda data: data["files"].update({name: "0"}))
    with pytest.raises(BundleError, match=r"leaves the bundle|cannot be read"):
        read_bundle(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.pop("voxel_size"),
        lambda data: data.update(voxel_size=0),
        lambda data: data.update(temperature=float("nan")),
        lambda data: data.update(features=[]),
        lambda data: data.update(features=[{"nome": "z"}]),
        lambda data: data.update(point_range=[0, 1]),
        lambda data: data.update(cameras="required"),
        lambda data: data.pop("ontology"),
        lambda data: data["ontology"].update(classes=[]),
        lambda data: data["files"].pop("weights.safetensors"),
    ],
)
def test_read_refuses_what_does_not_fit_the_schema(folder, change):
    reseal(folder, change)
    with pytest.raises(BundleError, match=r"model\.yaml"):
        read_bundle(folder)


def painted_features(fill: float | None = 0.0) -> tuple[Feature, ...]:
    return (*SPEC.features, *(Feature(name, fill=fill) for name in PAINTED))


def test_bundle_of_optional_cameras_reads_back_equal(tmp_path):
    spec = replace(SPEC, features=painted_features(), cameras="optional")
    write_bundle(tmp_path / "bundle", spec, FILES)
    read = read_bundle(tmp_path / "bundle").spec
    assert read == spec
    assert read.takes_images
    assert not SPEC.takes_images
    assert read.channels() == ["intensity"]  # what the sensor must bring


@pytest.mark.parametrize(
    ("cameras", "features", "message"),
    [
        ("required", SPEC.features, "'required' is not supported; known: none, optional"),
        ("optional", SPEC.features, "needs the features image_red"),
        ("optional", painted_features()[:-1], "needs the features image_red"),
        ("optional", painted_features(fill=None), "each with fill 0"),
        ("none", painted_features()[:-3], "features that images give: image_red"),
    ],
)
def test_cameras_and_features_of_a_bundle_must_fit(folder, cameras, features, message):
    with pytest.raises(ValueError, match=message):
        replace(SPEC, cameras=cameras, features=features)
    given = [vars(feature) for feature in features]
    reseal(folder, lambda data: data.update(cameras=cameras, features=given))
    with pytest.raises(BundleError, match=rf"model\.yaml.*{message}"):
        read_bundle(folder)


@pytest.mark.parametrize("name", ["../weights", "a/b", "", ".."])
def test_write_refuses_paths_out_of_the_bundle(tmp_path, name):
    with pytest.raises(BundleError, match="leaves the bundle"):
        write_bundle(tmp_path / "bundle", SPEC, {**FILES, name: b""})
    assert not list(tmp_path.iterdir())


def test_write_needs_weights(tmp_path):
    with pytest.raises(BundleError, match=r"need weights\.safetensors"):
        write_bundle(tmp_path / "bundle", SPEC, {"model.onnx": b""})


def test_write_refuses_values_that_yaml_cannot_hold(tmp_path):
    spec = replace(SPEC, provenance={"miou": np.float64(0.5)})
    with pytest.raises(BundleError, match="plain numbers"):
        write_bundle(tmp_path / "bundle", spec, FILES)


def test_write_refuses_a_folder_of_other_things(tmp_path):
    (tmp_path / "thesis.tex").write_text("do not lose")
    with pytest.raises(BundleError, match="not empty and not a model bundle"):
        write_bundle(tmp_path, SPEC, FILES)
    with pytest.raises(BundleError, match="cannot write"):
        write_bundle(tmp_path / "thesis.tex", SPEC, FILES)
    assert (tmp_path / "thesis.tex").read_text() == "do not lose"


def test_write_replaces_an_earlier_bundle_whole(folder):
    write_bundle(folder, replace(SPEC, voxel_size=0.2), {"weights.safetensors": b"new"})
    assert read_bundle(folder).spec.voxel_size == 0.2
    assert {path.name for path in folder.parent.iterdir()} == {"bundle"}
    assert not (folder / "model.onnx").exists()


def test_a_model_card_beside_the_listed_files_is_left_alone(folder):
    card = folder / "README.md"
    card.write_text("by hand")
    assert read_bundle(folder).spec == SPEC
    write_bundle(folder, replace(SPEC, temperature=2.0), FILES)
    assert read_bundle(folder).spec.temperature == 2.0
    assert card.read_text() == "by hand"
    write_bundle(folder, SPEC, {**FILES, "README.md": b"a newer one"})
    assert card.read_text() == "a newer one"


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_full_disk_leaves_the_earlier_bundle(folder, monkeypatch, failing):
    written = []

    def write_bytes(path, content):
        if len(written) == failing:
            raise OSError(28, "No space left on device")
        written.append(path)
        with path.open("wb") as file:
            return file.write(content)

    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    with pytest.raises(BundleError, match="No space left"):
        write_bundle(folder, replace(SPEC, voxel_size=0.2), FILES)
    assert read_bundle(folder).spec == SPEC
    assert {path.name for path in folder.parent.iterdir()} == {"bundle"}


@pytest.mark.parametrize("failing", [0, 1])
def test_failed_replacement_leaves_the_earlier_bundle(folder, monkeypatch, failing):
    rename, calls = os.rename, []

    def fail_once(source, target):
        calls.append(source)
        if len(calls) - 1 == failing:
            raise OSError(5, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(os, "rename", fail_once)
    with pytest.raises(BundleError, match="Input/output error"):
        write_bundle(folder, replace(SPEC, voxel_size=0.2), FILES)
    assert read_bundle(folder).spec == SPEC
    assert {path.name for path in folder.parent.iterdir()} == {"bundle"}
