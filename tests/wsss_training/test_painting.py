"""Training with images end to end, on a log whose classes only the images tell apart."""

import importlib
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from wsss_perception.bundle import Bundle, read_bundle
from wsss_perception.cli import main
from wsss_perception.features import PAINTED
from wsss_perception.networks.minkunet import MinkUNet
from wsss_training.__main__ import COMMANDS
from wsss_training.calibration import fit_temperature
from wsss_training.config import load_config
from wsss_training.run_folder import CONFIG_FILE
from wsss_training.workload import held_back_loader, open_workload

ROOT = Path(__file__).parents[2]
ROAD_RAW, BUILDING_RAW = 40, 50
COLORS = {ROAD_RAW: (200, 60, 60), BUILDING_RAW: (60, 60, 200)}
TRAINED, SCORED = 6, 4


@dataclass(frozen=True)
class Painted:
    """The log, of sequences 00 to train on and 01 to score on, and a bundle trained on it."""

    root: Path
    bundle: Bundle


def run(*words) -> int:
    return main("wsss_training", COMMANDS, [str(word) for word in words])


def write_sweep(sequence: Path, number: int) -> None:
    """Left and right of a wall are of two classes, which change sides from sweep to sweep."""
    rng = np.random.default_rng(number)
    points = np.zeros((3000, 4), np.float32)
    points[:, 0] = rng.uniform(9, 14)  # a wall ahead, which hides none of its points
    points[:, 1] = rng.uniform(-8, 8, 3000)
    points[:, 2] = rng.uniform(-1.5, 3, 3000)
    left, right = (ROAD_RAW, BUILDING_RAW)[:: -1 if number % 2 else 1]
    raw = np.where(points[:, 1] > 0, left, right).astype(np.uint32)
    image = np.zeros((80, 160, 3), np.uint8)
    image[:, :80], image[:, 80:] = COLORS[left], COLORS[right]
    points.tofile(sequence / "velodyne" / f"{number:06d}.bin")
    raw.tofile(sequence / "labels" / f"{number:06d}.label")
    Image.fromarray(image).save(sequence / "image_2" / f"{number:06d}.png")


@pytest.fixture(scope="module")
def painted(mini_log, tmp_path_factory) -> Painted:
    base = tmp_path_factory.mktemp("painted")
    calibration = mini_log.root / "sequences" / "00" / "calib.txt"
    for name, count in (("00", TRAINED), ("01", SCORED)):
        sequence = base / "data" / "sequences" / name
        for folder in ("velodyne", "labels", "image_2"):
            (sequence / folder).mkdir(parents=True)
        shutil.copy(calibration, sequence)
        for number in range(count):
            write_sweep(sequence, number)
    source = (
        "{dataset: semantic_kitti, root: %s, supervision: labels, options: {sequences: ['00']}}"
    )
    words = [mini_log.config, f"output={base / 'run'}", f"sources=[{source % (base / 'data')}]"]
    words += ["teacher=null", "model.cameras=optional", f"cache={base / 'cache'}"]
    words += ["augment.drop_cameras=0.1", "optimization.steps=30"]
    assert run("train", *words) == 0
    return Painted(base / "data", read_bundle(base / "run" / "bundle"))


def accuracy(painted: Painted, output: Path, *more: str) -> float:
    words = ["--bundle", painted.bundle.folder, "--dataset", "semantic_kitti", "--json", output]
    assert run("evaluate", *words, "--root", painted.root, "--option", "sequences=01", *more) == 0
    result = json.loads(output.read_text())
    assert result["cameras"] == (more[-1] if more else "all")
    return result["accuracy"]


def test_a_model_learns_from_images_what_points_alone_do_not_tell(painted, tmp_path):
    output = tmp_path / "scores.json"
    everything = accuracy(painted, output)
    assert everything > 0.9
    assert accuracy(painted, output, "--cameras", "image_2") == everything
    assert accuracy(painted, output, "--cameras", "none") < 0.75


def test_the_bundle_says_what_it_takes(painted):
    spec = painted.bundle.spec
    assert spec.cameras == "optional"
    names = [feature.name for feature in spec.features]
    assert names == ["intensity", "z", *PAINTED]
    assert all(feature.fill == 0 for feature in spec.features[2:])
    assert spec.input_statistics["image_red"]["p99"] == pytest.approx(200 / 255, abs=1e-3)
    assert spec.provenance["augmentation"]["drop_all_cameras"] == 0.25
    assert spec.provenance["held_back_agreement_with_labels"] > 0.9
    assert spec.provenance["held_back_agreement_with_labels_without_cameras"] < 0.75


def test_the_confidence_is_calibrated_with_cameras_and_without(painted):
    run_folder, spec = painted.bundle.folder.parent, painted.bundle.spec
    workload = open_workload(load_config(run_folder / CONFIG_FILE))
    network = MinkUNet(spec.network, len(spec.features), len(spec.ontology)).eval()
    network.load_state_dict(load_file(painted.bundle.weights))
    logits, labels = [], []
    with torch.inference_mode():
        for cameras in (True, False):
            for batch in held_back_loader(workload, cameras=cameras):
                logits.append(network(batch.coords, batch.features)[batch.voxels])
                labels.append(batch.labels)
    expected = fit_temperature(torch.cat(logits), torch.cat(labels))
    assert spec.temperature == pytest.approx(expected, rel=0.01)
    assert spec.temperature > 1.5 * fit_temperature(logits[0], labels[0])
    assert spec.provenance["held_back_calibration_error_without_cameras"] > 0


def test_the_benchmark_refuses_figures_of_another_world_or_recipe(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["painting.py", str(tmp_path)])
    benchmark = importlib.import_module("painting")
    settings = benchmark.settings_of(benchmark.parse_arguments())
    benchmark.claim(tmp_path, settings)
    benchmark.claim(tmp_path, settings)
    monkeypatch.setattr(benchmark, "world_hash", lambda: "another")
    monkeypatch.setattr(benchmark, "CONFIG", "config/train/world.yaml")
    changed = benchmark.settings_of(benchmark.parse_arguments())
    assert {key for key in settings if changed[key] != settings[key]} == {
        "world_sha256",
        "recipe_sha256",
    }
    with pytest.raises(SystemExit, match="of other settings"):
        benchmark.claim(tmp_path, changed)


def test_evaluate_refuses_cameras_that_are_not_there(painted, trained, mini_log, capsys):
    words = ["--dataset", "semantic_kitti", "--root", painted.root, "--option", "sequences=01"]
    assert run("evaluate", "--bundle", painted.bundle.folder, *words, "--cameras", "front") == 2
    assert "01/000000: no image of camera 'front'; there are image_2" in capsys.readouterr().err
    assert run("evaluate", "--bundle", trained[1].folder, *words, "--cameras", "all") == 2
    assert "the bundle has 'cameras: none' and takes no images" in capsys.readouterr().err


def test_evaluate_names_a_damaged_image_and_goes_without_where_it_is_asked_to(
    painted, tmp_path, capsys
):
    broken = Painted(shutil.copytree(painted.root, tmp_path / "data"), painted.bundle)
    path = broken.root / "sequences" / "01" / "image_2" / "000002.png"
    path.write_bytes(path.read_bytes()[:60])
    words = ["--dataset", "semantic_kitti", "--root", broken.root, "--option", "sequences=01"]
    assert run("evaluate", "--bundle", painted.bundle.folder, *words) == 2
    assert "000002.png" in capsys.readouterr().err
    assert accuracy(broken, tmp_path / "scores.json", "--cameras", "none") > 0
