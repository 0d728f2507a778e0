"""Tests of reading parts of checkpoints."""

import torch

from wsss_training.checkpoints import read_part, read_steps


def test_a_part_has_its_own_names_alone(tmp_path):
    names = ("network.head.weight", "teacher.network.head.weight", "networks.head.weight", "counts")
    state = {name: torch.tensor([float(number)]) for number, name in enumerate(names)}
    path = tmp_path / "last.ckpt"
    torch.save({"state_dict": state, "global_step": 12}, path)
    assert read_part(path, "network") == {"head.weight": state["network.head.weight"]}
    assert read_part(path, "teacher") == {
        "network.head.weight": state["teacher.network.head.weight"]
    }
    assert read_part(path, "missing") == {}
    assert read_steps(path) == 12
