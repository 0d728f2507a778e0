"""Times one contender on one set of clouds, in this process, and weighs its memory."""

import time
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsss_perception import memory
from wsss_perception.benchmark.contenders import PEERS, load
from wsss_perception.benchmark.inputs import Input, Source, load_inputs
from wsss_perception.benchmark.machine import gpu_memory
from wsss_perception.bundle import ModelSpec, read_bundle
from wsss_perception.engines import Engine, check_results
from wsss_perception.engines.options import Options, parse_device
from wsss_perception.ros.pipeline import Pipeline
from wsss_perception.segmenter import Segmenter

WARM_UP = 2
"""Fewest clouds that are not counted: the first ones load kernels. Each cloud comes once before any
is counted, since buffers and pools of memory grow with the largest."""

_LEAST = {"p95": 20, "p99": 100}
"""Fewest clouds for which a percentile is not just the slowest of them."""

OWN = ("tables", "network")
"""Stages that the engine tells of itself."""

STAGES = ("decode", "project", "paint", "voxelize", *OWN, "scatter", "encode", "total", "around")
"""In the order of the job. ``project`` finds the points that the views see; ``total`` is from
message to message; ``around`` is total less OWN."""

_RENAMED = {"seen": "project"}


@dataclass(frozen=True)
class Job:
    """What one process is to measure.

    Attributes:
        contender: its name.
        bundle: folder of the model.
        source: of the clouds.
        device: as of ``load_engine``.
        precision: as of ``load_engine``.
        threads: of the CPU.
        clouds: how many to time.
    """

    contender: str
    bundle: str
    source: Source
    device: str = "auto"
    precision: str = "auto"
    threads: int = 1
    clouds: int = 50

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Job":
        """Reads what ``dataclasses.asdict`` gave."""
        return cls(**{**data, "source": Source(**data["source"])})


@dataclass
class Row:
    """What was measured; None or empty where it was not.

    Attributes:
        contender: its name.
        is_peer: whether it is no engine; then only its OWN stages count.
        input: what the clouds are.
        device: where it ran.
        precision: of its arithmetic.
        clouds: how many were timed.
        points: of a cloud, the median.
        voxels: of a cloud, the median.
        views: most of a cloud.
        load_seconds: until the contender was ready to take a cloud.
        milliseconds: of each stage there is, its p50 and maximum (``max``), and p95 and p99 where
            there are enough clouds.
        loaded_memory: bytes that the process grew by when the contender was loaded, its libraries
            included.
        peak_memory: the most that it grew by.
        gpu_memory: bytes that the use of the GPU grew by, where it ran on one.
        error: why it could not be measured.
    """

    contender: str
    is_peer: bool
    input: str
    device: str | None = None
    precision: str | None = None
    clouds: int = 0
    points: int | None = None
    voxels: int | None = None
    views: int | None = None
    load_seconds: float | None = None
    milliseconds: dict[str, dict[str, float]] = field(default_factory=dict)
    loaded_memory: int | None = None
    peak_memory: int | None = None
    gpu_memory: int | None = None
    error: str | None = None

    @classmethod
    def of(cls, job: Job, error: str | None = None) -> "Row":
        """Returns the row of a job that is not measured yet, or could not be."""
        return cls(job.contender, job.contender in PEERS, str(job.source), error=error)

    def to_dict(self) -> dict[str, Any]:
        """Returns plain numbers, texts, lists and mappings."""
        return asdict(self)


class _Watched:
    """Notes what an engine is given and what it tells of its last call."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.name = engine, engine.name
        self.device, self.precision, self.kept = engine.device, engine.precision, engine.kept
        self.voxels, self.seconds = 0, dict[str, float]()

    def __call__(
        self, coords: NDArray[np.int32], features: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        logits = self.engine(coords, features)
        self.voxels, self.seconds = len(coords), self.engine.seconds
        return logits


def measure(job: Job, options: Options, row: Row) -> None:
    """Measures a contender and fills in its row, as far as it gets.

    Memory is counted from when the clouds are there, and what an engine computes is checked last.
    The model's ``point_range`` is lifted for clouds of a generated size, so that all their points
    count.

    Raises:
        WsssError: of the bundle, the clouds or the contender.
    """
    bundle = read_bundle(job.bundle)
    spec = bundle.spec
    if job.source.points is not None:
        spec = replace(spec, point_range=None)
    inputs = load_inputs(job.source, spec, job.clouds)
    row.points = int(np.median([each.message.width * each.message.height for each in inputs]))
    row.views = max(len(each.views) for each in inputs)
    kind, number = parse_device(job.device)
    gpu = "cpu" if kind == "cpu" else f"cuda:{number}"
    memory.forget_most()
    before, gpu_before = memory.resident(), gpu_memory(gpu)
    start = time.perf_counter()
    engine = _Watched(load(job.contender, bundle, options))
    row.load_seconds = time.perf_counter() - start
    row.device, row.precision = engine.device, engine.precision
    row.loaded_memory = _less(memory.resident(), before)
    _time(inputs, spec, engine, job.clouds, row)
    row.peak_memory = _less(memory.most_resident(), before)
    if engine.device.startswith("cuda"):
        row.gpu_memory = _less(gpu_memory(engine.device), gpu_before)
    if not row.is_peer:
        check_results(engine.engine, bundle)  # last: it loads another engine into this process


def _time(inputs: list[Input], spec: ModelSpec, engine: _Watched, clouds: int, row: Row) -> None:
    pipeline = Pipeline(Segmenter(spec, engine))
    seconds: list[dict[str, float]] = []
    voxels: list[int] = []
    warm_up = max(WARM_UP, len(inputs))
    for number in range(warm_up + clouds):
        each = inputs[number % len(inputs)]
        engine.voxels, engine.seconds = 0, {}
        start = time.perf_counter()
        result = pipeline(each.message, 0.0, 1.0, each.look if each.views else None)
        total = time.perf_counter() - start
        if number >= warm_up:
            seconds.append(_stages(result.seconds, engine, total, row.is_peer))
            voxels.append(engine.voxels)
    row.clouds, row.voxels = clouds, int(np.median(voxels))
    names = [name for name in STAGES if any(name in each for each in seconds)]
    row.milliseconds = {
        name: _percentiles([1e3 * each.get(name, 0.0) for each in seconds]) for name in names
    }


def _stages(
    seconds: dict[str, float], engine: _Watched, total: float, is_peer: bool
) -> dict[str, float]:
    """Names the seconds of one cloud by STAGES."""
    own = {name: engine.seconds[name] for name in OWN if name in engine.seconds}
    if is_peer:
        return own
    found = {_RENAMED.get(name, name): value for name, value in seconds.items()}
    found |= {**own, "total": total, "around": total - sum(own.values())}
    return {name: found[name] for name in STAGES if name in found}


def _percentiles(values: list[float]) -> dict[str, float]:
    shares = {"p50": 50, **{name: int(name[1:]) for name in _LEAST}, "max": 100}
    return {
        name: round(float(np.percentile(values, share)), 3)
        for name, share in shares.items()
        if len(values) >= _LEAST.get(name, 0)
    }


def _less(after: int | None, before: int | None) -> int | None:
    return None if after is None or before is None else after - before
