"""Short WSegPC runs in processes of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

SHORT = (
    "method=wsegpc",
    "wsegpc.image_network=resnet18",
    "wsegpc.image_size=[32,64]",
    "wsegpc.regions=ground_clusters",
    "wsegpc.warm_up=2",
    "wsegpc.momentum=0.8",
    "wsegpc.guidance_stage.steps=6",
    "wsegpc.consistency_stage.steps=3",
    "optimization.steps=2",
    "optimization.checkpoint_every=4",
)
"""Overrides of the mini log's config."""

_HELPERS = Path(__file__).parent


def run_together(folder: Path, processes: int, commands: list[list[str]]) -> str:
    """Runs commands in several processes of torchrun; returns what they print."""
    (folder / "commands.json").write_text(json.dumps(commands))
    words = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    done = _run("-m", *words, str(_HELPERS / "together.py"), str(folder / "commands.json"))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run_killed(where: str, number: int, *words: str) -> None:
    """Runs a command that kills itself; see ``killed.py``."""
    done = _run(str(_HELPERS / "killed.py"), where, str(number), *words)
    assert done.returncode == -9, done.stdout + done.stderr


def read_labels(folder: Path) -> dict[str, dict[str, np.ndarray]]:
    """Arrays of all finished files of pseudo-labels below a folder, by their path in it."""
    return {
        str(path.relative_to(folder)): dict(np.load(path))
        for path in sorted(folder.rglob("*.npz"))
        if not path.name.startswith(".")
    }


def _run(*words: str) -> subprocess.CompletedProcess:
    environment = {
        **os.environ,
        "PYTHONPATH": str(_HELPERS.parents[1] / "src"),
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    process = subprocess.Popen(
        [sys.executable, *words],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        printed, errors = process.communicate(timeout=900)
    except subprocess.TimeoutExpired:
        process.terminate()  # torchrun then ends its processes, which may wait for each other
        printed, errors = process.communicate()
    return subprocess.CompletedProcess(words, process.returncode, printed, errors)
