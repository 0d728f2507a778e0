"""MSDKT from a config to a bundle, on the mini log with a few labelled points."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file
from wsegpc_runs import run_together

from wsss_perception.bundle import read_bundle
from wsss_perception.cli import main
from wsss_perception.engines import load_engine
from wsss_perception.errors import ConfigError, DatasetError
from wsss_perception.frame import UNKNOWN
from wsss_perception.ontology import load_ontology
from wsss_perception.segmenter import Segmenter
from wsss_perception.texts import TextEmbeddings, write_texts
from wsss_training.__main__ import COMMANDS
from wsss_training.config import TrainConfig, load_config
from wsss_training.data import open_dataset
from wsss_training.data.sample import read_pixels
from wsss_training.data.sparse_labels import draw_share
from wsss_training.data.transfer_sweeps import PSEUDO_LABEL
from wsss_training.data.weak_labels import write_weak_labels
from wsss_training.evaluate import evaluate
from wsss_training.methods.msdkt import MSDKT
from wsss_training.metrics import semantic_kitti_scores
from wsss_training.runs import train_run
from wsss_training.training import build_network, last_checkpoint
from wsss_training.training_msdkt import open_anchors, open_transfer_sweeps
from wsss_training.workload import open_workload

SHORT = ("optimization.steps=3", "optimization.checkpoint_every=2", "optimization.batch_size=1")


@pytest.fixture(scope="session")
def overrides(mini_log, tmp_path_factory) -> tuple[str, ...]:
    """What makes the mini log's config one of MSDKT: 1 % of the labels, maps of probabilities."""
    folder = tmp_path_factory.mktemp("msdkt")
    for path in mini_log.teacher.rglob("*"):
        if path.is_file():
            target = folder / "teacher" / path.relative_to(mini_log.teacher)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(path)
    for path in (folder / "teacher").rglob("*.label.png"):
        labels = np.asarray(Image.open(path))[4::8, 4::8]
        prob = (labels == np.arange(19)[:, None, None]).astype(np.uint8) * 255
        np.savez(path.with_name(path.name.replace(".label.png", ".prob.npz")), prob=prob)
    dataset = open_dataset("semantic_kitti", mini_log.root)
    write_weak_labels(folder / "few", draw_share(dataset, 0.01, 0), dataset.ontology, {})
    return (
        "method=msdkt",
        "sources.0.supervision=labels",
        f"sources.0.weak_labels={folder / 'few'}",
        f"teacher.root={folder / 'teacher'}",
        "msdkt.hidden=16",
        "msdkt.points=500",
    )


@pytest.fixture
def config(mini_log, overrides, tmp_path):
    def load(*words: str) -> TrainConfig:
        output = f"output={tmp_path / 'run'}"
        return load_config(mini_log.config, [output, *overrides, *SHORT, *words])

    return load


def state_of(run: Path) -> dict[str, torch.Tensor]:
    path = last_checkpoint(run)
    return torch.load(path, map_location="cpu", weights_only=True)["state_dict"]


def test_a_run_learns_and_its_bundle_is_the_bare_network(mini_log, overrides, config, tmp_path):
    run = tmp_path / "run"
    words = ["optimization.steps=30", f"output={run}", *overrides]
    assert main("wsss_training", COMMANDS, ["train", str(mini_log.config), *words]) == 0
    bundle = read_bundle(run / "bundle")
    weights = load_file(bundle.weights)
    assert set(weights) == set(build_network(config()).state_dict())
    assert set(state_of(run)) > {f"network.{name}" for name in weights}
    assert bundle.spec.provenance["method"] == "msdkt"
    assert bundle.spec.provenance["msdkt"]["points"] == 500
    assert bundle.spec.provenance["held_back_agreement_with_labels"] > 0.7
    segmenter = Segmenter(bundle.spec, load_engine("spconv", bundle, "cpu"))
    dataset = open_dataset("semantic_kitti", mini_log.root)
    scores = semantic_kitti_scores(evaluate(segmenter, [dataset[0], dataset[1]]))
    assert scores.mean_over(scores.points > 0) > 0.7


def test_a_killed_run_ends_with_the_weights_it_would_have_had(config, tmp_path, monkeypatch):
    train_run(config())
    run, first = tmp_path / "run", tmp_path / "first"
    run.rename(first)

    def killed(module, *_):
        if module.global_step == 3:
            raise KeyError("killed")

    monkeypatch.setattr(MSDKT, "on_train_batch_end", killed)
    with pytest.raises(KeyError):
        train_run(config())
    monkeypatch.undo()
    train_run(config())
    expected, found = state_of(first), state_of(run)
    assert expected.keys() == found.keys()
    assert found["anchors.vectors"].any()
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, rtol=0, atol=0, msg=key)


def test_sweeps_without_a_label_are_learned_from_but_not_held_back(config, tmp_path):
    dataset = open_dataset("semantic_kitti", config().sources[0].root)
    choices = list(draw_share(dataset, 0.01, 0))
    for number in (1, 4):
        nothing = choices[number].indices[:0], choices[number].labels[:0]
        choices[number] = replace(choices[number], indices=nothing[0], labels=nothing[1])
    write_weak_labels(tmp_path / "few", choices, dataset.ontology, {})
    words = [f"sources.0.weak_labels={tmp_path / 'few'}", "held_back=0.9"]
    workload = open_workload(config(*words))
    assert len(workload.sweeps) == 6
    assert not {1, 4} & set(workload.held_back)
    assert {1, 4} < set(workload.train)
    assert len(workload.train) == 3
    alone = [*words, "teacher=null", "msdkt.transfer_weight=0", "msdkt.contrast_weight=0"]
    for without_images in (config(*alone), config(*words, "method=projected_prior")):
        assert len(open_workload(without_images).sweeps) == 4
    for number in (0, 2, 3, 5):
        (tmp_path / "few" / "00" / f"{number:06d}.npz").touch()
    (tmp_path / "few" / "unlabelled.txt").write_text("".join(f"00/00000{k}\n" for k in range(5)))
    with pytest.raises(ConfigError, match="1 sweeps with a labelled point; training"):
        open_workload(config(*words))


def test_images_are_not_opened_to_learn_from_their_maps(config, mini_log, tmp_path):
    def drawn(root: Path):
        opened = config(f"sources.0.root={root}", f"teacher.images_root={root}")
        sweeps = open_transfer_sweeps(opened, open_workload(opened))
        return sweeps.read(2, np.random.default_rng(0))

    shutil.copytree(mini_log.root, tmp_path / "data")
    for path in (tmp_path / "data").rglob("*.png"):
        path.write_bytes(path.read_bytes()[:50])  # says its size, and lacks its pixels
        with pytest.raises(DatasetError):
            read_pixels(path)
    expected, found = drawn(mini_log.root), drawn(tmp_path / "data")
    assert len(found.pairs) > 100
    np.testing.assert_array_equal(found.pairs.uv, expected.pairs.uv)
    np.testing.assert_array_equal(found.maps[0], expected.maps[0])


def test_a_missing_map_is_named(config, tmp_path):
    root = tmp_path / "teacher"
    shutil.copytree(config().teacher.root, root)
    (missing,) = root.rglob("000003.prob.npz")
    missing.unlink()
    opened = config(f"teacher.root={root}")
    with pytest.raises(
        DatasetError, match=r"000003\.prob\.npz: the teacher has labels of .*, but not the prob"
    ):
        open_transfer_sweeps(opened, open_workload(opened)).read(3, np.random.default_rng(0))
    opened.msdkt.transfer_weight = 0.0
    read = open_transfer_sweeps(opened, open_workload(opened)).read(3, np.random.default_rng(0))
    assert read.maps == ()


@pytest.mark.parametrize("cached", [False, True])
def test_labels_are_of_the_contrast_and_not_needed_without(config, tmp_path, cached):
    root, rng = tmp_path / "teacher", np.random.default_rng(0)
    shutil.copytree(config().teacher.root, root)
    for kind in ("label", "conf"):
        for path in root.rglob(f"*.{kind}.png"):
            path.unlink()
    words = [f"teacher.root={root}", *([f"cache={tmp_path / 'cache'}"] if cached else [])]
    opened = config(*words, "msdkt.contrast_weight=0")
    read = open_transfer_sweeps(opened, open_workload(opened)).read(3, rng)
    assert len(read.pairs) > 100
    assert (read.points.attributes[PSEUDO_LABEL] == UNKNOWN).all()
    opened = config(*words)
    with pytest.raises(DatasetError, match=r"000003\.label\.png: the teacher has no map"):
        open_transfer_sweeps(opened, open_workload(opened)).read(3, rng)


def test_teachers_of_different_classes_are_refused(config, tmp_path):
    opened, ontology = config(), load_ontology("semantic_kitti")
    same = {name: name for name in ontology.classes}
    mapping = {"source": ontology.name, "target": ontology.name, "map": same}
    path = tmp_path / "same.yaml"
    path.write_text(yaml.safe_dump(mapping))
    own = replace(opened.teacher, ontology=ontology.name, mapping=str(path))
    opened.sources.append(replace(opened.sources[0], teacher=own))
    workload = open_workload(opened)
    with pytest.raises(ConfigError, match="teachers of different classes"):
        open_transfer_sweeps(opened, workload)


def test_all_classes_need_a_text(config, tmp_path):
    opened, ontology = config(), load_ontology("semantic_kitti")
    assert open_anchors(opened, ontology) is None
    opened.msdkt.texts = str(tmp_path / "texts.safetensors")
    names = (*ontology.classes, "car")
    vectors = np.eye(20, dtype=np.float32)
    write_texts(opened.msdkt.texts, TextEmbeddings(names, vectors, "some"))
    anchors, classes = open_anchors(opened, ontology).anchors()
    named = {(int(row.argmax()), int(label)) for row, label in zip(anchors, classes, strict=True)}
    car = ontology.index("car")
    assert named == {*((k, k) for k in range(19)), (19, car)}
    write_texts(opened.msdkt.texts, TextEmbeddings(names[1:18], vectors[1:18], "some"))
    with pytest.raises(ConfigError, match=r"msdkt\.texts: no text for car, traffic-sign"):
        open_anchors(opened, ontology)


def test_labels_of_no_point_end_the_run(config, tmp_path):
    opened = config()
    folder = tmp_path / "few"
    shutil.copytree(opened.sources[0].weak_labels, folder)
    for path in folder.rglob("*.npz"):
        none = np.zeros(0, np.uint32), np.zeros(0, np.uint8)
        np.savez(path, indices=none[0], labels=none[1], points=np.int64(3000))
    opened.sources[0].weak_labels = str(folder)
    with pytest.raises(ConfigError, match="no point of the training sweeps has a label; 'method"):
        train_run(opened)


def test_processes_train_together(mini_log, overrides, tmp_path):
    words = [*overrides, *SHORT, f"output={tmp_path / 'run'}"]
    run_together(tmp_path, 2, [["train", str(mini_log.config), *words]])
    state = state_of(tmp_path / "run")
    assert all(values.isfinite().all() for values in state.values())
    assert state["anchors.seen"].any()
