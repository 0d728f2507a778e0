"""Training end to end: it learns, resumes, and reads labels only where they supervise."""

import shutil

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from wsegpc_runs import run_killed

from wsss_perception.bundle import read_bundle
from wsss_perception.cli import main
from wsss_perception.engines import load_engine
from wsss_perception.errors import ConfigError, DatasetError
from wsss_perception.segmenter import Segmenter
from wsss_training.__main__ import COMMANDS
from wsss_training.config import SourceConfig, load_config
from wsss_training.data import open_dataset
from wsss_training.evaluate import evaluate
from wsss_training.export import export_bundle, provenance
from wsss_training.metrics import semantic_kitti_scores
from wsss_training.run_folder import CONFIG_FILE, claim
from wsss_training.training import build_network, train
from wsss_training.workload import open_workload


def test_training_on_teacher_maps_learns_to_label_the_points(mini_log, trained):
    _, bundle = trained
    dataset = open_dataset("semantic_kitti", mini_log.root)
    segmenter = Segmenter(bundle.spec, load_engine("spconv", bundle, "cpu"))
    matrix = evaluate(segmenter, [dataset[i] for i in range(len(dataset))])
    scores = semantic_kitti_scores(matrix)
    assert scores.mean_over(scores.points > 0) > 0.8


def test_bundle_of_a_run_describes_input_calibration_and_origin(mini_log, trained):
    spec = read_bundle(trained[1].folder).spec
    assert spec.input_statistics["intensity"]["p01"] == pytest.approx(0.2)
    assert spec.input_statistics["intensity"]["p99"] == pytest.approx(0.6)
    assert spec.input_statistics["z"]["p01"] == pytest.approx(-1.7)
    assert 0.05 < spec.temperature < 20
    assert spec.provenance["method"] == "projected_prior"
    assert spec.provenance["steps"] == 40
    assert spec.provenance["held_back_agreement_with_teacher"] > 0.8


def test_bundle_tells_how_many_voxels_its_sweeps_have_at_each_resolution(mini_log, trained):
    spec = read_bundle(trained[1].folder).spec
    workload = open_workload(load_config(mini_log.config))
    low, high = np.array(spec.point_range).reshape(2, 3)
    for level in range(5):
        counts = []
        for index in workload.train.tolist():
            xyz = workload.sweeps[index].cloud.xyz
            xyz = xyz[((xyz >= low) & (xyz < high)).all(axis=1)]
            cells = np.floor(xyz / (spec.voxel_size * 2**level))
            counts.append(len(np.unique(cells, axis=0)))
        found = spec.input_statistics[f"voxels{level}"]
        assert found["p50"] == pytest.approx(np.median(counts), abs=1)
        assert found["p01"] <= found["p50"] <= found["p99"] <= max(counts)


def test_bundle_of_a_run_in_stages_names_the_method_that_made_its_labels(in_stages, tmp_path):
    assert main("wsss_training", COMMANDS, ["export", str(in_stages), str(tmp_path / "b")]) == 0
    provenance = read_bundle(tmp_path / "b").spec.provenance
    assert provenance == read_bundle(in_stages / "bundle").spec.provenance
    assert provenance["method"] == "wsegpc"
    assert provenance["wsegpc"]["pool"] == {"prior": 0.0, "network": 1.0, "regions": 1.0}
    (source,) = provenance["sources"]
    assert (source["supervision"], source["learned_from"]) == ("teacher", "pseudo-labels")
    assert provenance["teacher"]["folder"] == "teacher"
    agreements = [key for key in provenance if key.startswith("held_back_agreement")]
    assert agreements == ["held_back_agreement_with_pseudo-labels"]


def test_workload_does_not_open_label_files(mini_log, tmp_path):
    config = load_config(mini_log.config)
    expected = open_workload(config).sweeps[0]
    shutil.copytree(mini_log.root, tmp_path / "data")
    config.sources[0].root = config.teacher.images_root = str(tmp_path / "data")
    for path in (tmp_path / "data" / "sequences" / "00" / "labels").iterdir():
        path.write_bytes(b"damaged")
    points = open_workload(config).sweeps[0]
    np.testing.assert_array_equal(points.labels, expected.labels)
    np.testing.assert_array_equal(points.weights, expected.weights)


def test_training_on_labels_needs_no_teacher_and_says_what_it_agrees_with(mini_log, tmp_path):
    config = load_config(mini_log.config, [f"output={tmp_path / 'run'}"])
    config.sources[0].supervision, config.teacher = "labels", None
    train(config)
    spec = export_bundle(tmp_path / "run", tmp_path / "bundle").spec
    assert spec.provenance["sources"] == [
        {"dataset": "semantic_kitti", "every": 1, "supervision": "labels"}
    ]
    assert spec.provenance["held_back_agreement_with_labels"] > 0.8
    assert "teacher" not in spec.provenance
    assert "held_back_agreement_with_teacher" not in spec.provenance


def test_bundle_of_joint_training_names_supervision_and_share_of_each_source(mini_log, tmp_path):
    config = load_config(mini_log.config, [f"output={tmp_path / 'run'}", "optimization.steps=2"])
    own, config.teacher = config.teacher, None
    config.sources[0].teacher = own
    config.sources.append(
        SourceConfig("semantic_kitti", str(mini_log.root), 2, supervision="labels", share=0.25)
    )
    train(config)
    provenance = export_bundle(tmp_path / "run", tmp_path / "bundle").spec.provenance
    teacher = {"folder": "teacher", "mapping": "cityscapes_to_semantic_kitti"}
    common = {"dataset": "semantic_kitti"}
    assert provenance["sources"] == [
        {**common, "every": 1, "supervision": "teacher", "teacher": teacher},
        {**common, "every": 2, "supervision": "labels", "share": 0.25},
    ]
    assert "held_back_agreement_with_teacher" in provenance


def test_the_last_steps_are_kept_where_no_checkpoint_falls_on_them(mini_log, tmp_path):
    words = [
        "optimization.steps=4",
        "optimization.checkpoint_every=3",
        f"output={tmp_path / 'run'}",
    ]
    config = load_config(mini_log.config, words)
    train(config)
    bundle = export_bundle(tmp_path / "run", tmp_path / "bundle")
    assert bundle.spec.provenance["steps"] == 4
    weights = load_file(bundle.weights)
    train(config)  # nothing is left to do
    again = load_file(export_bundle(tmp_path / "run", tmp_path / "bundle").weights)
    assert all(torch.equal(again[name], weights[name]) for name in weights)


def test_a_command_corrected_after_a_typo_is_not_refused(mini_log, tmp_path):
    words = [f"output={tmp_path / 'run'}", "optimization.steps=1"]
    config = load_config(mini_log.config, words)
    config.sources[0].root = str(tmp_path / "typo")
    with pytest.raises(DatasetError, match="typo"):
        train(config)
    assert train(load_config(mini_log.config, words))


def test_training_without_a_single_teacher_label_says_so(mini_log, tmp_path):
    config = load_config(mini_log.config, [f"output={tmp_path / 'run'}"])
    config.sources[0].options = {"cameras": []}
    with pytest.raises(ConfigError, match="teacher's label"):
        train(config)


def test_training_killed_with_sigkill_resumes_to_the_same_weights(mini_log, trained, tmp_path):
    output = tmp_path / "run"
    words = ["train", str(mini_log.config), f"output={output}"]
    run_killed("step", 12, *words)
    assert {path.stem for path in (output / "checkpoints").iterdir()} == {"step=10", "last"}
    assert main("wsss_training", COMMANDS, words) == 0
    resumed = load_file(read_bundle(output / "bundle").weights)
    for name, expected in load_file(trained[1].weights).items():
        torch.testing.assert_close(resumed[name], expected, rtol=0, atol=1e-5)


def test_train_refuses_the_folder_of_another_configuration(mini_log, trained):
    config = load_config(mini_log.config, [f"output={trained[0]}", "seed=7"])
    with pytest.raises(ConfigError, match="another configuration"):
        train(config)


def test_a_run_goes_on_though_a_newer_version_has_more_settings(mini_log, tmp_path):
    config = load_config(mini_log.config, [f"output={tmp_path}"])
    claim(tmp_path, config)
    (tmp_path / "last.ckpt").touch()
    path = tmp_path / CONFIG_FILE
    text = path.read_text()
    settings = yaml.safe_load(text)
    for name in ("msdkt", "vlg"):
        del settings[name]
    path.write_text(yaml.safe_dump(settings))
    claim(tmp_path, config)
    assert path.read_text() == text
    path.write_text(yaml.safe_dump({**settings, "seed": 7}))
    with pytest.raises(ConfigError, match="another configuration"):
        claim(tmp_path, config)
    path.unlink()
    with pytest.raises(ConfigError, match="another configuration"):
        claim(tmp_path, config)


def test_start_from_takes_a_bundles_weights_and_a_fresh_head_for_other_classes(
    mini_log, trained, tmp_path
):
    _, bundle = trained
    config = load_config(mini_log.config, [f"model.start_from={bundle.folder}"])
    same, weights = build_network(config).state_dict(), load_file(bundle.weights)
    assert all(torch.equal(same[name], weights[name]) for name in weights)

    fewer = tmp_path / "three.yaml"
    ontology = bundle.spec.ontology.to_dict()
    fewer.write_text(yaml.safe_dump({**ontology, "classes": ontology["classes"][:3], "ground": []}))
    config.ontology = str(fewer)
    other = build_network(config).state_dict()
    assert other["head.weight"].shape[0] == 3
    body = [name for name in weights if not name.startswith("head.")]
    assert all(torch.equal(other[name], weights[name]) for name in body)

    assert provenance(config, 10)["start_from"] == str(bundle.folder)

    config.model.width = 1.0
    with pytest.raises(ConfigError, match="start_from"):
        build_network(config)


def test_export_of_a_run_without_checkpoint_says_so(tmp_path):
    with pytest.raises(ConfigError, match="train first"):
        export_bundle(tmp_path, tmp_path / "bundle")
