"""Runs a job after the other, each in a process of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from wsss_perception.benchmark.measure import Job, Row
from wsss_perception.progress import Progress

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def run_all(jobs: Sequence[Job]) -> list[Row]:
    """Runs jobs; a contender that cannot be loaded is tried once."""
    rows: list[Row] = []
    cannot: dict[str, str] = {}
    with Progress("measurements", len(jobs)) as progress:
        for job in jobs:
            error = cannot.get(job.contender)
            row = run(job) if error is None else Row.of(job, error)
            if row.error is not None and row.points is not None and row.load_seconds is None:
                cannot[job.contender] = row.error
            rows.append(row)
            progress.step(f"{job.contender} on {job.source}")
    return rows


def run(job: Job) -> Row:
    """Runs a job in a process of its own, whose end, however it comes, gives a row."""
    settings = {**os.environ, **dict.fromkeys(_THREAD_VARIABLES, str(job.threads))}
    with TemporaryDirectory(prefix="wsss_benchmark-") as folder:
        job_file, row_file = Path(folder) / "job.json", Path(folder) / "row.json"
        job_file.write_text(json.dumps(asdict(job)))
        words = [sys.executable, "-m", "wsss_perception.benchmark.worker"]
        done = subprocess.run(
            [*words, str(job_file), str(row_file)],
            env=settings,
            stdout=subprocess.DEVNULL,  # of libraries; ours goes to stderr
            check=False,
        )
        if done.returncode == 0 and row_file.exists():
            return Row(**json.loads(row_file.read_text()))
    return Row.of(job, _describe_end(done.returncode))


def _describe_end(status: int) -> str:
    if status >= 0:
        return f"its process ended with status {status}; see what it printed above"
    name = signal.Signals(-status).name
    memory = ", most likely for want of memory" if -status == signal.SIGKILL else ""
    return f"its process was ended by {name}{memory}"
