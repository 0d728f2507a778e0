"""Two processes of torchrun do what one does, each a part of it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from wsegpc_runs import SHORT, read_labels, run_together

from wsss_perception.cli import main
from wsss_perception.errors import ConfigError
from wsss_training import run_folder
from wsss_training.__main__ import COMMANDS
from wsss_training.config import load_config
from wsss_training.methods.wsegpc import WSegPC
from wsss_training.processes import Place, place, sum_over_all, torchrun_devices, wait_for_all
from wsss_training.run_folder import claim
from wsss_training.stages import PSEUDO_LABELS, is_finished, train_wsegpc
from wsss_training.training import last_checkpoint


def without_views(mini_log, folder: Path) -> Path:
    """The mini log's config, and a source of the same sweeps without images, labels and tags."""
    config = yaml.safe_load(mini_log.config.read_text())
    bare = {"supervision": "tags", "options": {"cameras": []}}
    config["sources"].append({**config["sources"][0], **bare})
    config["optimization"]["batch_size"] = 1
    path = folder / "without_views.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def begin(words: list[str], config: Path, steps: int) -> None:
    """Trains the first stage's first steps in this process alone."""

    def die(module: WSegPC, *_: object) -> None:
        if module.global_step == steps:
            raise RuntimeError("killed")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WSegPC, "on_train_batch_end", die)
        with pytest.raises(RuntimeError, match="killed"):
            train_wsegpc(load_config(config, words))


@pytest.fixture(scope="module")
def together(mini_log, in_stages, tmp_path_factory) -> tuple[Path, str]:
    """What two processes wrote and printed: pseudo-labels, scores, and a run that one had begun."""
    folder = tmp_path_factory.mktemp("together")
    config = without_views(mini_log, folder)
    run = [f"output={folder / 'run'}", *SHORT]
    begin(run, config, steps=5)
    data = ["--dataset", "semantic_kitti", "--root", str(mini_log.root)]
    bundle = ["--bundle", str(in_stages / "bundle"), "--json", str(folder / "scores.json")]
    commands = [
        ["pseudo-label", str(in_stages), "--output", str(folder / "labels")],
        ["evaluate", *data, *bundle],
        ["train", str(config), *run],
    ]
    return folder, run_together(folder, 2, commands)


def test_two_processes_write_the_pseudo_labels_of_one(in_stages, together):
    folder, printed = together
    one, two = read_labels(in_stages / PSEUDO_LABELS), read_labels(folder / "labels")
    assert len(one) == 6
    assert one.keys() == two.keys()
    for name, arrays in one.items():
        for key, expected in arrays.items():
            np.testing.assert_array_equal(two[name][key], expected)
    info = (in_stages / PSEUDO_LABELS / "0" / "weak_labels.yaml").read_text()
    assert (folder / "labels" / "0" / "weak_labels.yaml").read_text() == info
    labelled = sum(len(arrays["labels"]) for arrays in one.values())
    assert printed.count(f"{labelled:,d} of 18,000 points of 6 sweeps are labelled\n") == 1


def test_two_processes_score_as_one(mini_log, in_stages, together, tmp_path):
    folder, printed = together
    words = ["--dataset", "semantic_kitti", "--root", str(mini_log.root)]
    words += ["--bundle", str(in_stages / "bundle"), "--json", str(tmp_path / "scores.json")]
    assert main("wsss_training", COMMANDS, ["evaluate", *words]) == 0
    one = json.loads((tmp_path / "scores.json").read_text())
    assert one["points"]["road"] == 6 * 1500
    assert json.loads((folder / "scores.json").read_text()) == one
    assert printed.count("scores.json") == 1


def test_two_processes_go_on_with_a_run_of_one_also_where_a_batch_lacks_views(together):
    """Both methods: the segmenter is a run of ``projected_prior``."""
    run = together[0] / "run"
    assert is_finished(run / "guidance", 6)
    assert is_finished(run / "consistency", 3)
    assert is_finished(run / "segmenter", 2)
    assert len(read_labels(run / PSEUDO_LABELS)) == 12
    assert (run / "bundle" / "model.yaml").exists()
    state = torch.load(last_checkpoint(run / "consistency"), weights_only=True)["state_dict"]
    assert all(torch.isfinite(value).all() for value in state.values())
    assert state["thresholds.images.counts"].sum() > 0


def test_a_process_alone_neither_waits_nor_shares():
    assert place() == Place(0, 1)
    wait_for_all()
    counts = np.arange(3)
    assert sum_over_all(counts).tolist() == [0, 1, 2]
    assert Place(0, 1).share([3, 1, 2]) == [3, 1, 2]
    assert torchrun_devices() is None


@given(st.lists(st.integers()), st.integers(1, 5))
def test_shares_are_all_items_once_and_about_equal(items, processes):
    shares = [Place(rank, processes).share(items) for rank in range(processes)]
    assert sorted(item for share in shares for item in share) == sorted(items)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_torchrun_tells_how_many_machines_there_are(monkeypatch):
    for name, value in {"RUN_ID": "x"}.items():
        monkeypatch.setenv(f"TORCHELASTIC_{name}", value)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    monkeypatch.setenv("WORLD_SIZE", "6")
    assert torchrun_devices() == (2, 3)


def test_more_processes_than_gpus_are_refused(monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ConfigError, match=r"2 processes here.*1 GPUs; use '--nproc-per-node gpu'"):
        place()


def test_an_output_that_machines_do_not_share_is_refused(mini_log, tmp_path, monkeypatch):
    config = load_config(mini_log.config, [f"output={tmp_path / 'run'}"])
    monkeypatch.setattr(run_folder, "place", lambda: Place(1, 2))
    monkeypatch.setattr(run_folder, "wait_for_all", lambda: None)
    with pytest.raises(ConfigError, match="'output' that all machines share"):
        claim(tmp_path / "run", config)
    assert not (tmp_path / "run").exists()
    monkeypatch.setattr(run_folder, "place", lambda: Place(0, 2))
    claim(tmp_path / "run", config)
    monkeypatch.setattr(run_folder, "place", lambda: Place(1, 2))
    claim(tmp_path / "run", config)
