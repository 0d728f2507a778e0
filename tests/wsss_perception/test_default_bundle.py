"""The model that comes with the package, and how it is found."""

import re

import numpy as np
import pytest

from wsss_perception import bundle as bundle_module
from wsss_perception.bundle import (
    ModelSpec,
    NetworkSpec,
    choose_bundle,
    default_bundle,
    read_bundle,
    read_caution,
    write_bundle,
)
from wsss_perception.errors import BundleError
from wsss_perception.features import Feature
from wsss_perception.frame import Frame, PointCloud
from wsss_perception.ontology import Ontology

ONTOLOGY = Ontology("t", ("low", "high"), ((255, 0, 0), (0, 0, 255)), ((1,), (2,)))
MOST_BYTES = 8_000_000
"""Above it a model does not belong in a git repository."""


@pytest.fixture
def folder():
    return default_bundle()


def test_a_missing_default_bundle_says_how_to_give_a_model(tmp_path, monkeypatch):
    monkeypatch.setattr(bundle_module.resources, "files", lambda package: tmp_path / package)
    expected = "no default model in this installation.*--bundle.*parameter 'model'"
    with pytest.raises(BundleError, match=expected):
        default_bundle()
    default = tmp_path / "wsss_perception" / "models" / "default"
    default.mkdir(parents=True)
    with pytest.raises(BundleError, match=expected):
        default_bundle()
    (default / "model.yaml").touch()
    assert default_bundle() == default


@pytest.mark.parametrize(
    ("card", "caution"),
    [
        ("# Title\n\n> Take\n> care.\n\nText.\n\n> Another.\n", "Take care."),
        ("# Title\n\nText > text.\n", ""),
        (">Übung\n", "Übung"),
        (None, ""),
    ],
)
def test_caution_is_the_first_block_quote_of_the_card(tmp_path, card, caution):
    if card is not None:
        (tmp_path / "README.md").write_text(card, encoding="utf-8")
    assert read_caution(tmp_path) == caution


@pytest.mark.parametrize(
    ("given", "card", "told"),
    [
        (True, "> Take care.\n", ["model {}. Take care."]),
        (True, None, []),
        (False, "> Take care.\n", ["default model {}. Take care."]),
        (False, None, ["default model {}."]),
    ],
)
def test_choosing_a_bundle_tells_its_caution(tmp_path, monkeypatch, given, card, told):
    spec = ModelSpec(ONTOLOGY, NetworkSpec("none"), (Feature("x"),), 0.5)
    bundle = write_bundle(tmp_path / "bundle", spec, {"weights.safetensors": b""})
    if card is not None:
        (bundle.folder / "README.md").write_text(card, encoding="utf-8")
    monkeypatch.setattr(bundle_module, "default_bundle", lambda: bundle.folder)
    lines = []
    assert choose_bundle(bundle.folder if given else None, lines.append) == bundle
    assert lines == [line.format(bundle.folder) for line in told]


def test_a_card_that_is_no_text_is_named(tmp_path):
    (tmp_path / "README.md").write_bytes(b"\xff\xfe")
    with pytest.raises(BundleError, match=r"README\.md: cannot be read"):
        read_caution(tmp_path)


def test_default_bundle_is_small_enough_for_a_repository(folder):
    files = [path for path in folder.iterdir() if path.is_file()]
    assert {path.name for path in files} == {"model.yaml", "weights.safetensors", "README.md"}
    assert sum(path.stat().st_size for path in files) <= MOST_BYTES


def test_default_bundle_is_the_small_network(folder):
    spec = read_bundle(folder).spec
    assert spec.network.name == "small"
    assert spec.provenance["sources"]
    assert {feature.name for feature in spec.features} <= set(spec.input_statistics)


def test_card_of_the_default_bundle_says_what_it_must(folder):
    card = (folder / "README.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)$", card, flags=re.MULTILINE)
    assert headings == [
        *("What it is for", "What it is not for", "Training data", "Teacher", "Command"),
        *("Scores", "Licence"),
    ]
    sections = dict(zip(headings, re.split(r"^## .*$", card, flags=re.MULTILINE)[1:], strict=True))
    assert "beams" in sections["What it is for"]
    assert "wsss_training train" in sections["Command"]
    assert re.search(r"\d\d\.\d", sections["Scores"])
    assert "non-commercial" in sections["Licence"].lower()
    caution = read_caution(folder).lower()
    assert "non-commercial" in caution
    assert "beams" in caution


def test_default_bundle_segments_a_sweep(folder):
    pytest.importorskip("spconv", reason="spconv is not installed: make install")
    from wsss_perception.engines import load_engine
    from wsss_perception.segmenter import Segmenter

    bundle = read_bundle(folder)
    segmenter = Segmenter(bundle.spec, load_engine("spconv", bundle, "cpu"))
    azimuth, elevation = np.meshgrid(
        np.linspace(-np.pi, np.pi, 720), np.radians(np.linspace(-24, -4, 32))
    )
    rays = np.stack(
        [
            np.cos(elevation) * np.cos(azimuth),
            np.cos(elevation) * np.sin(azimuth),
            np.sin(elevation),
        ]
    )
    ground = (rays * (-1.73 / rays[2])).reshape(3, -1).T.astype(np.float32)
    cloud = PointCloud(ground, {"intensity": np.full(len(ground), 0.3, np.float32)})
    result = segmenter(Frame(cloud))
    names = np.array(bundle.spec.ontology.classes)
    flat = np.isin(names[result.labels], ["road", "parking", "sidewalk", "other-ground", "terrain"])
    assert flat.mean() > 0.8
    assert ((result.confidence > 0) & (result.confidence <= 1)).all()
