"""The processes that work together: those of ``torchrun``, or that Lightning starts for GPUs."""

import atexit
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import distributed

from wsss_perception.errors import ConfigError
from wsss_perception.progress import tracked

T = TypeVar("T")

_PATIENCE = timedelta(days=7)
"""How long a process waits for one that is slower. One that died is noticed at once."""


@dataclass(frozen=True)
class Place:
    """A process among those that work together.

    Attributes:
        rank: its number, from 0.
        processes: how many there are, on all machines.
    """

    rank: int
    processes: int

    @property
    def is_first(self) -> bool:
        """Whether it is the one that speaks for all."""
        return self.rank == 0

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """Its share of the items: every so manieth."""
        return items[self.rank :: self.processes]

    def say(self, line: str) -> None:
        """Prints a line in the first process."""
        if self.is_first:
            print(line)

    def tracked(self, items: Iterable[T], what: str, total: int) -> Iterable[T]:
        """Yields items; the first process shows how many of its ``total`` are done."""
        return tracked(items, what, total) if self.is_first else items


def place() -> Place:
    """This process's place, among those of ``torchrun``, which it joins if it has not yet.

    Where there are others, all must call this, and the first time at the same point.

    Raises:
        ConfigError: ``torchrun`` started more processes on this machine than it has GPUs.
    """
    if not distributed.is_available():
        return Place(0, 1)
    if not distributed.is_initialized():
        if not distributed.is_torchelastic_launched():
            return Place(0, 1)
        _join()
    _host_group(_all())
    return Place(distributed.get_rank(), distributed.get_world_size())


def torchrun_devices() -> tuple[int, int] | None:
    """Processes a machine and number of machines that ``torchrun`` started; None without it."""
    if not distributed.is_available() or not distributed.is_torchelastic_launched():
        return None
    here = int(os.environ["LOCAL_WORLD_SIZE"])
    return here, int(os.environ["WORLD_SIZE"]) // here


def wait_for_all() -> None:
    """Returns when all processes have called this."""
    if place().processes > 1:
        distributed.barrier(_host_group(_all()))


def sum_over_all(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sums an array of the same shape over all processes; all must call this."""
    total = torch.from_numpy(counts.copy())
    if place().processes > 1:
        distributed.all_reduce(total, group=_host_group(_all()))
    return total.numpy()


def _join() -> None:
    """Starts the process group that training goes on to use."""
    if not torch.cuda.is_available():
        distributed.init_process_group("gloo")
        return
    local, gpus = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
    if local >= gpus:
        raise ConfigError(
            f"torchrun started {os.environ['LOCAL_WORLD_SIZE']} processes here, where PyTorch sees "
            f"{gpus} GPUs; use '--nproc-per-node gpu', or CUDA_VISIBLE_DEVICES= for CPUs"
        )
    device = torch.device("cuda", local)
    torch.cuda.set_device(device)
    distributed.init_process_group("nccl", device_id=device)
    atexit.register(_leave)


def _leave() -> None:
    if distributed.is_initialized():
        distributed.destroy_process_group()


def _all() -> distributed.ProcessGroup:
    return cast(distributed.ProcessGroup, distributed.group.WORLD)


@cache
def _host_group(world: distributed.ProcessGroup) -> distributed.ProcessGroup:
    """The processes of ``world``, to wait and to count without a GPU, and with patience."""
    return cast(distributed.ProcessGroup, distributed.new_group(backend="gloo", timeout=_PATIENCE))
