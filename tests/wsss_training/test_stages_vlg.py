"""3DSS-VLG from a config to a bundle that answers texts, on the mini log."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from safetensors.numpy import load_file
from vlg_runs import SIZE, embeddings_of, write_vision_language
from wsegpc_runs import read_labels

from wsss_perception.bundle import read_bundle
from wsss_perception.cli import main
from wsss_perception.engines import load_engine
from wsss_perception.errors import ConfigError, DatasetError
from wsss_perception.frame import UNKNOWN
from wsss_perception.ontology import load_ontology
from wsss_perception.segmenter import Segmenter
from wsss_perception.texts import TextEmbeddings, read_texts, write_texts
from wsss_training import fusing, labelling_vlg, stages_vlg
from wsss_training.__main__ import COMMANDS
from wsss_training.config import TrainConfig, load_config
from wsss_training.data import open_dataset
from wsss_training.data.weak_labels import read_chosen
from wsss_training.evaluate import evaluate
from wsss_training.fusing import fuse_sources, open_vision_language
from wsss_training.methods.vlg import VLG, Specialisation
from wsss_training.metrics import semantic_kitti_scores
from wsss_training.networks.adapter import EmbeddingAdapter
from wsss_training.networks.text_logits import TextLogits
from wsss_training.processes import Place, place
from wsss_training.runs import export_run
from wsss_training.stages_vlg import class_weights_and_center, read_adapter, train_vlg
from wsss_training.training import last_checkpoint
from wsss_training.workload import open_workload

ROAD, BUILDING = (load_ontology("semantic_kitti").index(name) for name in ("road", "building"))
SHORT = (
    "vlg.adapter.steps=3",
    "optimization.steps=3",
    "optimization.checkpoint_every=2",
    "optimization.batch_size=1",
)


@pytest.fixture(scope="session")
def overrides(mini_log, tmp_path_factory) -> tuple[str, ...]:
    """What makes the mini log's config one of 3DSS-VLG."""
    folder = tmp_path_factory.mktemp("vision_language")
    words = write_vision_language(mini_log.teacher, folder)
    return (*words, embeddings_of(folder, mini_log.root), "vlg.points=500")


@pytest.fixture
def config(mini_log, overrides, tmp_path):
    def load(*words: str) -> TrainConfig:
        output = f"output={tmp_path / 'run'}"
        return load_config(mini_log.config, [output, *overrides, *SHORT, *words])

    return load


@pytest.fixture(scope="session")
def finished(mini_log, overrides, tmp_path_factory) -> Path:
    """A whole run that learns, by the command."""
    output = tmp_path_factory.mktemp("vlg") / "run"
    steps = ("vlg.adapter.steps=30", "optimization.steps=30", "optimization.batch_size=1")
    words = ["train", str(mini_log.config), f"output={output}", *overrides, *steps]
    assert main("wsss_training", COMMANDS, words) == 0
    return output


def state_of(run: Path, stage: str) -> dict[str, torch.Tensor]:
    path = last_checkpoint(run / stage)
    return torch.load(path, map_location="cpu", weights_only=True)["state_dict"]


def test_the_bundle_labels_points_that_no_camera_saw(mini_log, finished):
    bundle = read_bundle(finished / "bundle")
    dataset = open_dataset("semantic_kitti", mini_log.root)
    segmenter = Segmenter(bundle.spec, load_engine("spconv", bundle, "cpu"))
    scores = semantic_kitti_scores(evaluate(segmenter, [dataset[0], dataset[1]]))
    assert scores.mean_over(scores.points > 0) > 0.7
    assert bundle.spec.outputs == min(SIZE, 16 + 1)
    assert load_file(bundle.weights)["head.weight"].shape == (17, 16)


def test_the_bundle_says_what_made_it(finished):
    spec = read_bundle(finished / "bundle").spec
    assert spec.embedding.teacher == "imitated clip"
    assert spec.embedding.logit_scale == 100.0
    provenance = spec.provenance
    assert provenance["method"] == "vlg"
    assert provenance["vision_language_teacher"]["model"] == "imitated clip"
    assert provenance["vlg"]["texts"] == "texts.safetensors"
    assert provenance["held_back_agreement_with_pseudo-labels"] > 0.8
    assert 0.05 < spec.temperature < 20


def test_the_bundle_answers_as_the_trained_head_does(mini_log, finished):
    bundle = read_bundle(finished / "bundle")
    state, reduced = state_of(finished, "network"), load_file(bundle.weights)
    features = torch.randn(5, 16)
    whole = features @ state["network.head.weight"].T + state["network.head.bias"]
    small = features @ torch.from_numpy(reduced["head.weight"]).T
    small = small + torch.from_numpy(reduced["head.bias"])
    texts = bundle.spec.embedding.texts
    projected = torch.from_numpy(texts.project(texts.texts.vectors))
    expected = whole @ torch.from_numpy(texts.texts.vectors).T
    torch.testing.assert_close(small @ projected.T, expected, rtol=1e-3, atol=1e-4)


def test_export_writes_the_same_bundle_again(finished, tmp_path):
    again = export_run(finished, tmp_path / "bundle")
    assert again.spec.provenance == read_bundle(finished / "bundle").spec.provenance
    assert again.weights.read_bytes() == (finished / "bundle" / again.weights.name).read_bytes()


def test_classes_weigh_by_how_rare_they_are_and_the_center_is_their_mean():
    vectors = np.eye(4, dtype=np.float32)[:3]
    texts = TextLogits(TextEmbeddings(("a", "b", "c"), vectors, "some"), ("a", "b", "c"), 100.0)
    torch.manual_seed(0)
    adapter = EmbeddingAdapter(4, 0.5, 2)
    rows = [(torch.randn(n, 4).numpy(), np.zeros(n, np.int64)) for n in (30, 0, 50)]
    weights, center = class_weights_and_center(rows, adapter, texts, 0.5)
    adapted = adapter(torch.cat([torch.from_numpy(row) for row, _ in rows])).detach()
    units = [t / t.norm() for t in adapted]
    nearest = [int(t[:3].argmax()) for t in adapted]
    shares = [nearest.count(c) / 80 for c in range(3)]
    total = sum(share**0.5 for share in shares)
    expected = torch.tensor([share**-0.5 / total for share in shares])
    torch.testing.assert_close(weights, expected)
    mean = sum(expected[c] * u for c, u in zip(nearest, units, strict=True)) / 80
    torch.testing.assert_close(center, mean)


def test_a_center_is_used_where_it_is_asked_for(config, finished, tmp_path, monkeypatch):
    made = {}
    shutil.copytree(finished, tmp_path / "run", ignore=shutil.ignore_patterns("network", "bundle"))
    monkeypatch.setattr(stages_vlg, "fit", lambda module, *_: made.update(module=module))
    for center in (False, True):
        loaded = config("vlg.adapter.steps=30", f"vlg.center={center}")
        workload, language = open_workload(loaded), open_vision_language(loaded)
        stores = fuse_sources(workload.sweeps.sources, language, tmp_path / "run" / "fused")
        texts = stages_vlg.build_text_logits(loaded, language)
        stages_vlg.train_network(loaded, stores, texts, language.size)
        assert (made["module"].center is not None) == center
        assert made["module"].class_weights.max() > 1
        if center:
            assert 0.1 < made["module"].center.norm() < 1


def test_pseudo_labels_are_right_and_of_seen_points_alone(mini_log, finished):
    dataset = open_dataset("semantic_kitti", mini_log.root)
    for index in range(len(dataset)):
        sample = dataset[index]
        path = finished / "pseudo_labels" / "0" / f"{sample.sample_id}.npz"
        chosen = read_chosen(path, sample.sample_id, 19)
        seen = sample.images[0].visible_points(sample.cloud.xyz)[0]
        assert np.isin(chosen.indices, seen).all()
        assert (sample.labels[chosen.indices] == chosen.labels).mean() > 0.8
        assert set(np.unique(chosen.labels)) >= {ROAD, BUILDING}


@pytest.fixture
def without_training(monkeypatch):
    for name in ("train_adapter", "train_network"):
        monkeypatch.setattr(stages_vlg, name, lambda *_: None)


def test_tags_rule_classes_out(config, tmp_path, without_training):
    path = tmp_path / "tags.yaml"
    scenes = {"00": ["road"]}
    path.write_text(yaml.safe_dump({"schema": 1, "ontology": "semantic_kitti", "scenes": scenes}))
    tagged = config("sources.0.supervision=tags", f"sources.0.tags={path}")
    train_vlg(tagged)
    for file in (tmp_path / "run" / "pseudo_labels" / "0" / "00").iterdir():
        with np.load(file) as arrays:
            assert set(np.unique(arrays["labels"])) == {ROAD}
    path.write_text(path.read_text().replace("road", "building"))
    with pytest.raises(DatasetError, match="has labels of"):  # of tags that have changed
        train_vlg(tagged)


def test_a_calibration_that_changed_since_fusing_is_told(
    mini_log, overrides, tmp_path, without_training
):
    shutil.copytree(mini_log.root, tmp_path / "log")
    (maps,) = (word for word in overrides if word.startswith("vlg.embeddings="))
    root = f"sources.0.root={tmp_path / 'log'}"
    words = [f"output={tmp_path / 'run'}", *overrides, *SHORT, root]
    words += [maps.replace(str(mini_log.root), str(tmp_path / "log"))]
    config = load_config(mini_log.config, words)
    train_vlg(config)
    train_vlg(config)
    (calibration,) = (tmp_path / "log").rglob("calib.txt")
    lines = calibration.read_text().splitlines()
    turned = [f"{line}1" if line.startswith("Tr") else line for line in lines]
    assert turned != lines
    calibration.write_text("\n".join(turned))
    with pytest.raises(DatasetError, match="calibration have changed since their embeddings were"):
        train_vlg(config)


def test_stages_that_learned_from_other_pseudo_labels_are_told(config, tmp_path, without_training):
    train_vlg(config())
    shutil.rmtree(tmp_path / "run" / "pseudo_labels")
    note = tmp_path / "run" / "network" / "learned_from.txt"
    note.write_text("of others")
    with pytest.raises(ConfigError, match=r"run/network: learned from other pseudo-labels"):
        train_vlg(config())
    shutil.rmtree(tmp_path / "run" / "network")
    train_vlg(config())
    assert note.read_text() != "of others"


@pytest.mark.parametrize("tagged", [False, True])
def test_classes_of_ones_own_need_no_labels_of_the_dataset(config, tmp_path, tagged):
    classes = [
        {"name": n, "color": [9, 9, k], "raw": [k]} for k, n in enumerate(("building", "road"))
    ]
    own = tmp_path / "mine.yaml"
    own.write_text(yaml.safe_dump({"name": "mine", "ignored": [], "classes": classes}))
    words = [f"ontology={own}"]
    if tagged:
        tags = {"schema": 1, "ontology": str(own), "scenes": {"00": ["road", "building"]}}
        (tmp_path / "tags.yaml").write_text(yaml.safe_dump(tags))
        words += ["sources.0.supervision=tags", f"sources.0.tags={tmp_path / 'tags.yaml'}"]
    train_vlg(config(*words))
    bundle = export_run(tmp_path / "run", tmp_path / "bundle")
    assert bundle.spec.ontology.classes == ("building", "road")


def test_an_adapter_that_is_not_trained_guides_no_network(config):
    with pytest.raises(ConfigError, match="has no adapter of 3 steps"):
        read_adapter(config(), SIZE)


def test_a_killed_run_ends_with_the_weights_it_would_have_had(config, tmp_path, monkeypatch):
    train_vlg(config())
    run, first = tmp_path / "run", tmp_path / "first"
    run.rename(first)

    def killed(module, *_):
        if module.global_step == 3:
            raise KeyError("killed")

    for stage in (Specialisation, VLG):
        monkeypatch.setattr(stage, "on_train_batch_end", killed)
        with pytest.raises(KeyError):
            train_vlg(config())
        monkeypatch.undo()
    train_vlg(config())
    for name in ("adapter", "network"):
        expected, found = state_of(first, name), state_of(run, name)
        assert expected.keys() == found.keys()
        for key, value in expected.items():
            torch.testing.assert_close(found[key], value, rtol=0, atol=0, msg=key)


def test_processes_fuse_and_label_their_shares(
    config, finished, tmp_path, monkeypatch, without_training
):
    """One process after the other; how they wait and train together is WSegPC's, tested there."""
    for module in (fusing, labelling_vlg):
        monkeypatch.setattr(module, "wait_for_all", lambda: None)
    monkeypatch.setattr(fusing, "place", lambda: Place(1, 2))
    with pytest.raises(DatasetError, match="one that all machines share"):
        train_vlg(config())  # as the other one has written nothing
    assert len(list((tmp_path / "run").rglob("*.seen.npy"))) == 3
    monkeypatch.setattr(fusing, "place", place)
    for rank in (0, 1):
        monkeypatch.setattr(labelling_vlg, "place", lambda rank=rank: Place(rank, 2))
        train_vlg(config())
        assert len(list((tmp_path / "run").rglob("*.npz"))) == 3 * (rank + 1)
    runs = finished, tmp_path / "run"
    expected, found = (read_labels(run / "pseudo_labels") for run in runs)
    assert expected.keys() == found.keys()
    for name, arrays in expected.items():
        for key, values in arrays.items():
            np.testing.assert_array_equal(found[name][key], values)


def test_what_is_fused_and_labelled_is_not_made_again(config, tmp_path, monkeypatch):
    opened = config()
    sources, language = open_workload(opened).sweeps.sources, open_vision_language(opened)
    folder = tmp_path / "fused"
    fuse_sources(sources, language, folder)
    (some, *others) = sorted(folder.rglob("*.seen.npy"))
    some.unlink()
    made = []
    fuse = fusing.fuse_embeddings
    monkeypatch.setattr(
        fusing, "fuse_embeddings", lambda *words: made.append(words[0].sample_id) or fuse(*words)
    )
    fuse_sources(sources, language, folder)
    assert made == ["00/" + some.name.removesuffix(".seen.npy")]
    fuse_sources(sources, language, folder)
    assert len(made) == 1
    assert len(others) == 5


def test_a_full_disk_is_foretold(config, tmp_path, monkeypatch):
    opened = config()
    sources, language = open_workload(opened).sweeps.sources, open_vision_language(opened)
    monkeypatch.setattr(fusing.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(ConfigError, match=r"about 0\.00 GB in .*, 0\.00 GB are free; take fewer"):
        fuse_sources(sources, language, tmp_path / "fused")
    assert not list((tmp_path / "fused").rglob("*.npy"))


def test_fused_embeddings_are_those_of_the_images(config, tmp_path):
    opened = config()
    (source,), language = open_workload(opened).sweeps.sources, open_vision_language(opened)
    (store,) = fuse_sources([source], language, tmp_path / "fused")
    sample = source.dataset[2]
    index, uv = sample.images[0].visible_points(sample.cloud.xyz)
    expected = np.zeros((len(sample.cloud), SIZE))
    expected[index] = language.maps[0].read(sample.images[0].path, uv, (160, 80))
    seen = store.seen(sample.sample_id)
    np.testing.assert_array_equal(seen, expected.any(axis=1))
    np.testing.assert_allclose(store.read(sample.sample_id), expected[seen], atol=2e-3)


def test_texts_of_another_teacher_are_refused(config, tmp_path):
    opened = config()
    texts = read_texts(opened.vlg.texts)
    opened.vlg.texts = str(tmp_path / "texts.safetensors")
    write_texts(opened.vlg.texts, TextEmbeddings(texts.names, texts.vectors, "another"))
    with pytest.raises(ConfigError, match=r"maps of 'imitated clip', .* are of 'another'"):
        open_vision_language(opened)


def test_a_missing_map_is_named(config, tmp_path):
    opened = config()
    root = tmp_path / "maps"
    shutil.copytree(opened.vlg.embeddings.root, root)
    (missing,) = root.rglob("000003.embedding.npy")
    missing.unlink()
    opened.vlg.embeddings.root = str(root)
    with pytest.raises(DatasetError, match=r"000003\.embedding\.npy: the teacher has no emb"):
        train_vlg(opened)


def test_texts_that_label_nothing_end_the_run(config, tmp_path):
    opened = config()
    language = open_vision_language(opened)
    image = open_workload(opened).sweeps.sources[0].dataset[0].images[0].path
    mean = language.maps[0].cells(image).reshape(-1, SIZE).mean(axis=0)
    mean /= np.linalg.norm(mean)
    classes = load_ontology("semantic_kitti").classes
    vectors = np.vstack([np.tile(-mean, (len(classes), 1)), mean])
    opened.vlg.texts = str(tmp_path / "texts.safetensors")
    names = (*classes, "background: everything")
    write_texts(opened.vlg.texts, TextEmbeddings(names, vectors, language.texts.teacher))
    with pytest.raises(ConfigError, match="none of 18,000 points got a pseudo-label"):
        train_vlg(opened)


def test_unseen_points_of_the_logs_have_no_label(finished, mini_log):
    sample = open_dataset("semantic_kitti", mini_log.root)[0]
    with np.load(finished / "pseudo_labels" / "0" / f"{sample.sample_id}.npz") as arrays:
        labels = np.full(len(sample.cloud), UNKNOWN)
        labels[arrays["indices"]] = arrays["labels"]
    assert (labels[sample.cloud.xyz[:, 0] < 0] == UNKNOWN).all()
