"""Measures how fast training sweeps are loaded, and how long the network waits for them.

Prints samples per second of the loader alone, with 1 and 2 workers, read anew each time and read
from the cache; then the share of training steps that is waiting for a batch::

    PYTHONPATH=src python benchmarks/loading.py config/train/kitti.yaml data_root=../shared/data
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from wsss_training.config import TrainConfig, load_config
from wsss_training.data.training_set import Batch
from wsss_training.methods.projected_prior import ProjectedPrior
from wsss_training.training import build_network, training_loader
from wsss_training.workload import open_workload

WARM_UP = 5
"""Batches before the clock starts: workers import, open files, and fill their queue."""


def batches(config: TrainConfig) -> Iterator[Batch]:
    """Loads the batches of a run from its first step on."""
    loader = training_loader(config, open_workload(config), 1, lambda: (0, 0, 1))
    return iter(loader)  # type: ignore[arg-type]


def fill(config: TrainConfig) -> None:
    """Reads every sweep once, so that the cache has it."""
    sweeps = open_workload(config).sweeps
    for index in range(len(sweeps)):
        sweeps[index]


def samples_per_second(config: TrainConfig, first: int) -> float:
    """Loads all batches of a run; the clock starts after ``first`` of them."""
    source = batches(config)
    for _ in range(first):
        next(source)
    start = time.perf_counter()
    count = config.optimization.batch_size * sum(1 for _ in source)
    return count / (time.perf_counter() - start)


def waiting(config: TrainConfig, step: Callable[[Batch], None]) -> tuple[float, float]:
    """Runs training steps -> seconds a step takes, and the share of them that is waiting."""
    source, times = batches(config), []
    while True:
        start = time.perf_counter()
        batch = next(source, None)
        if batch is None:
            break
        loaded = time.perf_counter()
        step(batch)
        times.append((loaded - start, time.perf_counter() - loaded))
    wait, work = np.sum(times[WARM_UP:], axis=0)
    return (wait + work) / len(times[WARM_UP:]), wait / (wait + work)


def training_step(config: TrainConfig) -> Callable[[Batch], None]:
    """Makes the forward and backward pass and the optimizer's step of a run."""
    network = build_network(config).train()
    classes = torch.ones(network.head.out_features).numpy()
    module = ProjectedPrior(network, config.optimization, classes)
    module.log = lambda *_, **__: None  # type: ignore[method-assign, assignment]
    optimizer = torch.optim.AdamW(network.parameters(), config.optimization.learning_rate)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    module.to(device)

    def step(batch: Batch) -> None:
        optimizer.zero_grad()
        module.training_step(batch.to(device), 0).backward()
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()

    return step


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    parser.add_argument("--batches", type=int, default=60, help="batches of each loading (60)")
    parser.add_argument("--steps", type=int, default=30, help="training steps (30)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(f"{'samples per second':<24}{'1 worker':>10}{'2 workers':>11}")
        for name in ("read anew", "from the cache"):
            row = []
            for workers in (1, 2):
                config = load_config(arguments.config, arguments.overrides)
                config.optimization.workers = workers
                config.optimization.steps = arguments.batches
                config.cache = None
                if name == "from the cache":
                    config.cache = folder
                    fill(config)
                row.append(samples_per_second(config, WARM_UP))
            print(f"{name:<24}{row[0]:>10.1f}{row[1]:>11.1f}", flush=True)
        config = load_config(arguments.config, arguments.overrides)
        config.optimization.steps = arguments.steps + WARM_UP
        for workers in (1, 2):
            config.optimization.workers = workers
            for cache in (None, folder):
                config.cache = cache
                seconds, share = waiting(config, training_step(config))
                how = "read anew" if cache is None else "cache"
                print(
                    f"{how}, {workers} workers: a step takes {seconds:.3f} s, waiting {share:.1%}"
                )


if __name__ == "__main__":
    main()
