import sys
from argparse import ArgumentParser

import numpy as np
import pytest
from PIL import Image
from rosbags.typesys import Stores, get_typestore

from wsss_perception.bag import BagWriter, open_bag
from wsss_perception.bundle import ModelSpec, NetworkSpec, write_bundle
from wsss_perception.bundle_texts import embedding_files
from wsss_perception.commands import segment_bag
from wsss_perception.errors import BagError, BundleError, TextsError
from wsss_perception.features import Feature
from wsss_perception.frame import PointCloud
from wsss_perception.messages import point_cloud2
from wsss_perception.model_spec import EmbeddingSpec
from wsss_perception.ontology import Ontology
from wsss_perception.texts import TextEmbeddings
from wsss_perception.voxels import voxelize

ONTOLOGY = Ontology("t", ("low", "high"), ((255, 0, 0), (0, 0, 255)), ((1,), (2,)))
STORE = get_typestore(Stores.ROS2_JAZZY)


class Unsure:
    """An engine that is sure of high voxels only."""

    name, precision, device = "unsure", "fp32", "cpu"

    def __call__(self, coords, features):
        return np.stack([np.zeros(len(coords)), np.where(coords[:, 2] > 0, 9, -0.1)], axis=1)


@pytest.fixture
def words(tmp_path, monkeypatch):
    """Words of a command line for a bag of 5 clouds."""
    spec = ModelSpec(ONTOLOGY, NetworkSpec("none"), (Feature("intensity"),), 0.5)
    write_bundle(tmp_path / "bundle", spec, {"weights.safetensors": b""})
    monkeypatch.setattr(segment_bag, "load_engine", lambda *given, tell: Unsure())
    with BagWriter(tmp_path / "in", "mcap", STORE) as writer:
        topic = writer.add_topic("/points", "sensor_msgs/msg/PointCloud2")
        for second in range(5):
            xyz = np.random.default_rng(second).normal(0, 5, (30, 3)).astype(np.float32)
            cloud = PointCloud(xyz, {"intensity": np.full(30, 100, np.float32)}, second)
            writer.write(topic, second, point_cloud2.encode_cloud(cloud, STORE.types))
    return [str(tmp_path / "in"), str(tmp_path / "out"), "--bundle", str(tmp_path / "bundle")]


def run(words):
    parser = ArgumentParser()
    segment_bag.add_arguments(parser)
    segment_bag.run(parser.parse_args(words))


def test_the_command_writes_bag_and_pictures(words, tmp_path, capsys):
    run([*words, "--pictures", str(tmp_path / "pictures"), "--every", "2"])
    assert "5 clouds, 150 points" in capsys.readouterr().out
    names = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert names == ["000000.png", "000002.png", "000004.png"]
    with Image.open(tmp_path / "pictures" / "000002.png") as picture:
        assert picture.size[0] == 1600


@pytest.mark.parametrize(("limit", "labels"), [("0", {0, 1}), ("0.9", {1, 255})])
def test_labels_below_the_minimal_confidence_are_unknown(words, tmp_path, limit, labels):
    run([*words, "--min-confidence", limit])
    with open_bag(tmp_path / "out") as bag:
        messages = bag.messages(bag.on_topic("/semantic_points"))
        clouds = [point_cloud2.decode(bag.deserialize(message)) for message in messages]
    assert len(clouds) == 5
    assert set(np.unique(np.concatenate([c.channels["label"] for c in clouds]))) == labels


def test_intensity_reaches_the_network_scaled(words, monkeypatch):
    seen = []

    class Recorder(Unsure):
        def __call__(self, coords, features):
            seen.append(features)
            return super().__call__(coords, features)

    monkeypatch.setattr(segment_bag, "load_engine", lambda *given, tell: Recorder())
    run([*words, "--intensity-scale", "0.01"])
    assert len(seen) == 5
    np.testing.assert_allclose(np.concatenate(seen), 1.0, rtol=1e-6)


def test_intensities_unlike_those_of_training_are_told_once(words, tmp_path, caplog):
    statistics = {"intensity": {"p01": 0.0, "p99": 0.9, "mean": 0.4, "std": 0.2}}
    spec = ModelSpec(
        *(ONTOLOGY, NetworkSpec("none"), (Feature("intensity"),), 0.5), input_statistics=statistics
    )
    write_bundle(tmp_path / "known", spec, {"weights.safetensors": b""})
    words = [words[0], str(tmp_path / "scaled"), "--bundle", str(tmp_path / "known")]
    run([*words, "--intensity-scale", "0.005"])
    assert not caplog.text
    run([words[0], str(tmp_path / "as_it_is"), *words[2:]])
    assert caplog.text.count("the median intensity of the clouds is 100") == 1
    assert "--intensity-scale" in caplog.text


def test_a_folder_that_cannot_hold_pictures_is_named(words, tmp_path):
    (tmp_path / "pictures").write_text("a file")
    with pytest.raises(BagError, match=r"pictures/000000\.png: cannot be written"):
        run([*words, "--pictures", str(tmp_path / "pictures")])
    assert not (tmp_path / "out").exists()


def test_a_missing_bundle_is_named_before_anything_is_written(words, tmp_path):
    with pytest.raises(BundleError, match="absent: not a model bundle"):
        run([*words[:3], str(tmp_path / "absent")])
    assert not (tmp_path / "out").exists()


def test_without_a_bundle_the_default_one_is_taken_and_its_caution_shown(
    words, tmp_path, capsys, monkeypatch
):
    (tmp_path / "bundle" / "README.md").write_text("# Card\n\n> Handle with care.\n")
    monkeypatch.setattr("wsss_perception.bundle.default_bundle", lambda: tmp_path / "bundle")
    run(words[:2])
    first, second, third = capsys.readouterr().out.splitlines()
    assert first == f"default model {tmp_path / 'bundle'}. Handle with care."
    assert second == "engine unsure, fp32 on cpu"
    assert "5 clouds" in third


def test_the_caution_of_a_bundle_that_is_given_is_shown_too(words, tmp_path, capsys):
    (tmp_path / "bundle" / "README.md").write_text("# Card\n\n> Handle with care.\n")
    run(words)
    first, *_ = capsys.readouterr().out.splitlines()
    assert first == f"model {tmp_path / 'bundle'}. Handle with care."


@pytest.mark.parametrize("every", ["0", "-1", "1.5"])
def test_an_interval_of_pictures_that_is_not_positive_is_refused(words, every, capsys):
    with pytest.raises(SystemExit):
        run([*words, "--every", every])
    assert "argument --every" in capsys.readouterr().err


def test_the_engine_is_told_with_why_those_before_it_do_not_work(words, monkeypatch, capsys):
    asked = []

    def load(name, bundle, device, precision, tell):
        asked.append((name, device, precision))
        tell("engine unsure is used instead: engine 'sure' cannot run here")
        return Unsure()

    monkeypatch.setattr(segment_bag, "load_engine", load)
    run([*words, "--precision", "fp16"])
    assert asked == [("auto", "auto", "fp16")]
    output = capsys.readouterr().out
    assert "engine 'sure' cannot run here" in output
    assert "engine unsure, fp32 on cpu" in output


def test_engine_and_device_are_those_that_are_asked_for(words, monkeypatch, capsys):
    asked = []

    def load(name, bundle, device, precision, tell):
        asked.append((name, device))
        return Unsure()

    monkeypatch.setattr(segment_bag, "load_engine", load)
    run([*words, "--engine", "spconv", "--device", "cuda:1"])
    assert asked == [("spconv", "cuda:1")]
    with pytest.raises(SystemExit):
        run([*words, "--engine", "abacus"])
    assert "choose from" in capsys.readouterr().err


def query_words(tmp_path, monkeypatch, *query):
    """Words for a model whose embeddings lie along an axis: of low points, high ones, or a cup."""
    texts = TextEmbeddings(("low", "high", "a cup"), np.eye(3, dtype=np.float32), "t")
    embedding = EmbeddingSpec(3, 10.0, "t")
    spec = ModelSpec(ONTOLOGY, NetworkSpec("none"), (Feature("z"),), 0.5, embedding=embedding)
    files = {"weights.safetensors": b"", **embedding_files(embedding, texts, texts.vectors)}
    bundle = write_bundle(tmp_path / "answering", spec, files)

    class Engine(Unsure):
        def __call__(self, coords, features):
            high = features > 0
            return np.hstack([~high, high, features]).astype(np.float32)

    monkeypatch.setattr(segment_bag, "load_engine", lambda *given, tell: Engine())
    names = [str(tmp_path / "in"), str(tmp_path / "out"), "--bundle", str(bundle.folder)]
    return [*names, *query]


def test_a_query_goes_into_the_bag(words, tmp_path, monkeypatch):
    run(query_words(tmp_path, monkeypatch, "--query", "a cup"))
    clouds = {}
    with open_bag(tmp_path / "out") as bag:
        for name in ("/points", "/query_points", "/semantic_points"):
            found = bag.messages(bag.on_topic(name))
            clouds[name] = [point_cloud2.decode(bag.deserialize(message)) for message in found]
    assert [len(each) for each in clouds.values()] == [5, 5, 5]
    for cloud, found, semantic in zip(*clouds.values(), strict=True):
        grid = voxelize(cloud.xyz, 0.5)
        z = grid.to_points(grid.mean(cloud.xyz[:, 2:]), 0)[:, 0]
        np.testing.assert_allclose(found.channels["similarity"], z / np.hypot(1, z), atol=1e-5)
        np.testing.assert_array_equal(semantic.channels["label"], z > 0)
        assert set(found.channels) == {"intensity", "similarity", "rgb"}
        assert found.stamp == cloud.stamp


def test_a_bag_with_a_query_is_not_given_another(words, tmp_path, monkeypatch):
    given = query_words(tmp_path, monkeypatch, "--query", "a cup")
    run(given)
    again = [str(tmp_path / "out"), str(tmp_path / "third"), *given[2:]]
    with pytest.raises(BagError, match="has a topic /semantic_points already"):
        run([*again, "--points-topic", "/points"])


def test_a_phrase_that_cannot_be_asked_ends_it_before_anything_is_written(
    words, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(TextsError, match="its bundle has no 'embedding'"):
        run([*words, "--query", "car"])
    given = query_words(tmp_path, monkeypatch, "--query", "a blue cup")
    with pytest.raises(TextsError, match=r"'a blue cup' is not among .*low, high, a cup"):
        run(given)
    assert not (tmp_path / "out").exists()
