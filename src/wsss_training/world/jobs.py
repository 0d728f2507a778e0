"""What the generators of synthetic data share: the folder they fill, and their processes."""

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from wsss_perception.errors import ConfigError, DatasetError


def claim_folder(root: Path, note: str, facts: dict[str, Any], what: str) -> None:
    """Notes in a file what a folder holds, or checks that it holds just that.

    Args:
        root: the folder; made where there is none.
        note: name of the file.
        facts: what is written there.
        what: the folder's content, for messages, such as ``world``.

    Raises:
        ConfigError: the folder holds scenes of other settings, or something else.
        DatasetError: the note cannot be read or written.
    """
    path = root / note
    try:
        if path.exists():
            there = yaml.safe_load(path.read_text(encoding="utf-8"))
            if there != facts:
                raise ConfigError(
                    f"{path}: the folder holds a {what} of other settings: {there}; choose "
                    "another folder, or remove this one"
                )
            return
        scratch = root / f".{note}.part"  # a killed run may have left one
        if root.exists() and any(entry != scratch for entry in root.iterdir()):
            raise ConfigError(f"{root}: holds something else than a {what}; choose another folder")
        root.mkdir(parents=True, exist_ok=True)
        scratch.write_text(yaml.safe_dump(facts, sort_keys=False), encoding="utf-8")
        scratch.replace(path)
    except (OSError, yaml.YAMLError) as error:
        raise DatasetError(f"{path}: cannot be read or written: {error}") from error


def write_scenes(
    write: Callable[[str, int], str], names: Sequence[str], jobs: int, root: Path
) -> Iterator[str]:
    """Calls a function for each scene, in several processes.

    Args:
        write: writes the scene of a name with so many threads (0 for all cores), and returns the
            name; it must pickle.
        names: of the scenes.
        jobs: processes.
        root: where they are written, for messages.

    Yields:
        The name of each scene when it is written.

    Raises:
        DatasetError: a process ended.
    """
    if jobs == 1:
        for name in names:
            yield write(name, 0)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context) as pool:
        with _interrupts_ignored():
            tasks = [pool.submit(write, name, 1) for name in names]
        try:
            for task in as_completed(tasks):
                yield task.result()
        except BrokenProcessPool as error:
            raise DatasetError(
                f"{root}: a process ended, perhaps for lack of memory; start again with fewer "
                "--jobs: the scenes that are there stay"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Starts processes that leave Ctrl-C to this one: a scene they are writing is finished."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
