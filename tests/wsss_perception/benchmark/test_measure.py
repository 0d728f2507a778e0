import time
from dataclasses import replace

import numpy as np
import pytest
from made_networks import write_random
from rosbags.typesys import Stores, get_typestore

from wsss_perception.benchmark import measure as module
from wsss_perception.benchmark.inputs import Input, Source
from wsss_perception.benchmark.measure import OWN, WARM_UP, Job, Row, measure
from wsss_perception.bundle import write_bundle
from wsss_perception.engines.options import Options
from wsss_perception.errors import EngineError
from wsss_perception.features import PAINTED, Feature
from wsss_perception.frame import PointCloud, View
from wsss_perception.geometry import Camera
from wsss_perception.messages.point_cloud2 import encode_cloud

TYPES = get_typestore(Stores.ROS2_JAZZY).types
CAMERA = Camera(100, 100, np.array([[50.0, 0, 50], [0, 50, 50], [0, 0, 1]]))


class SlowEngine:
    """Takes 4 ms for tables, 8 for the network and 2 for what is around them."""

    name, device, precision, kept = "slow", "cpu", "fp32", None

    def __init__(self):
        self.calls, self.seconds = 0, {}

    def __call__(self, coords, features):
        self.calls += 1
        if self.calls == 1:
            time.sleep(0.5)  # as the first cloud takes long everywhere
        time.sleep(0.014)
        self.seconds = {"tables": 0.004, "network": 0.008}
        return np.zeros((len(coords), 19), dtype=np.float32)


@pytest.fixture
def engine(monkeypatch):
    made = SlowEngine()
    monkeypatch.setattr(module, "load", lambda name, bundle, options: made)
    return made


@pytest.fixture
def bundle(tmp_path):
    return write_random(tmp_path / "bundle")[0]


def measured(bundle, contender="spconv", source=None, clouds=4):
    job = Job(contender, str(bundle.folder), source or Source(points=500), clouds=clouds)
    row = Row.of(job)
    measure(job, Options(), row)
    return row


def test_stages_are_named_in_order_and_add_up(bundle, engine):
    row = measured(bundle)
    assert engine.calls == 4 + 4  # each cloud comes once before it counts
    assert row.clouds == 4
    names = ["decode", "voxelize", *OWN, "scatter", "encode", "total", "around"]
    assert list(row.milliseconds) == names
    p50 = {name: figures["p50"] for name, figures in row.milliseconds.items()}
    assert (p50["tables"], p50["network"]) == (4, 8)
    stages = [p50[name] for name in names[:-2]]
    assert 14 < p50["total"] < 400  # the first one is not counted
    assert p50["total"] > sum(stages) - p50["network"]
    assert p50["around"] == pytest.approx(p50["total"] - 12, rel=0.2)
    assert p50["around"] > 2


def test_percentiles_are_those_of_the_clouds(bundle, engine, monkeypatch):
    ticks = iter(range(1000))

    def tell(coords, features):
        engine.seconds = {"network": next(ticks) / 1e3}
        return np.zeros((len(coords), 19), dtype=np.float32)

    monkeypatch.setattr(SlowEngine, "__call__", lambda self, *given: tell(*given))
    before = 10  # distinct clouds
    found = measured(bundle, clouds=101).milliseconds["network"]
    expected = {"p50": 50, "p95": 95, "p99": 99, "max": 100}
    assert found == {name: value + before for name, value in expected.items()}


@pytest.mark.parametrize(
    ("clouds", "known"),
    [(19, ["p50", "max"]), (20, ["p50", "p95", "max"]), (100, ["p50", "p95", "p99", "max"])],
)
def test_a_percentile_that_is_just_the_slowest_cloud_is_left_out(clouds, known):
    assert list(module._percentiles([1.0] * clouds)) == known


def test_one_cloud_comes_twice_before_it_counts(bundle, engine):
    measured(bundle, clouds=1)
    assert engine.calls == WARM_UP + 1


def test_no_driver_is_asked_for_a_cpu(bundle, engine, monkeypatch):
    monkeypatch.setattr(module, "gpu_memory", lambda device: asked.append(device))
    for device in ("cpu", "cuda:1", "auto"):
        asked = []
        row = Row.of(Job("spconv", str(bundle.folder), Source(points=500), device, clouds=1))
        measure(
            Job("spconv", str(bundle.folder), Source(points=500), device, clouds=1), Options(), row
        )
        assert asked == [{"auto": "cuda:0"}.get(device, device)]


def test_an_engine_on_a_gpu_that_computes_nonsense_is_told_after_its_figures(
    bundle, engine, monkeypatch
):
    monkeypatch.setattr(engine, "device", "cuda:0")
    job = Job("spconv", str(bundle.folder), Source(points=500), clouds=1)
    row = Row.of(job)
    with pytest.raises(EngineError, match="of the labels that the CPU gives"):
        measure(job, Options(), row)
    assert row.milliseconds
    row = Row.of(replace(job, contender="bare-spconv"))
    measure(replace(job, contender="bare-spconv"), Options(), row)  # its logits are nobody's


def test_of_a_peer_only_its_own_stages_count(bundle, engine):
    assert list(measured(bundle, "bare-spconv").milliseconds) == ["tables", "network"]


def made_input():
    """300 points and two views."""
    cloud = PointCloud(np.random.default_rng(0).normal(0, 5, (300, 3)).astype(np.float32))
    view = View("front", CAMERA, np.eye(4), np.zeros((100, 100, 3), np.uint8))
    return Input(encode_cloud(cloud, TYPES), (view, view))


def test_views_are_projected_into_and_counted(bundle, engine, monkeypatch):
    monkeypatch.setattr(module, "load_inputs", lambda source, spec, clouds: [made_input()])
    row = measured(bundle)
    assert row.views == 2
    assert row.points == 300
    assert row.milliseconds["project"]["p50"] > 0
    assert list(row.milliseconds)[1] == "project"


@pytest.mark.parametrize(("source", "share"), [(Source(points=9000), 0.9), (Source(beams=32), 0)])
def test_sizes_are_measured_without_the_models_range(tmp_path, engine, source, share):
    """A range would cut the far points off, which are what grows."""
    bundle, _ = write_random(tmp_path / "wide")
    weights = bundle.weights.read_bytes()
    spec = replace(bundle.spec, point_range=(-1.0,) * 3 + (1.0,) * 3, voxel_size=0.001)
    narrow = write_bundle(tmp_path / "narrow", spec, {"weights.safetensors": weights})
    row = measured(narrow, source=source, clouds=1)
    assert row.points > 0
    assert row.voxels >= share * row.points
    assert (row.voxels > 0) == (share > 0)


def test_memory_counts_from_when_the_clouds_are_there(bundle, engine, monkeypatch):
    def load(name, bundle, options):
        engine.weights = np.ones(40_000_000, dtype=np.uint8)
        return engine

    def call(self, coords, features):
        np.ones(60_000_000, dtype=np.uint8)  # and gives it back
        return np.zeros((len(coords), 19), dtype=np.float32)

    monkeypatch.setattr(module, "load", load)
    monkeypatch.setattr(SlowEngine, "__call__", call)
    before = np.ones(200_000_000, dtype=np.uint8)
    del before
    row = measured(bundle, clouds=1)
    assert 35e6 < row.loaded_memory < 60e6
    assert 90e6 < row.peak_memory < 140e6
    assert row.gpu_memory is None


def test_what_is_known_before_a_failure_stays_in_the_row(bundle, engine, monkeypatch):
    def call(self, coords, features):
        raise EngineError("too many voxels")

    monkeypatch.setattr(SlowEngine, "__call__", call)
    job = Job("spconv", str(bundle.folder), Source(points=700))
    row = Row.of(job)
    with pytest.raises(EngineError, match="too many voxels"):
        measure(job, Options(), row)
    assert (row.points, row.device, row.milliseconds) == (700, "cpu", {})
    assert row.load_seconds is not None


def test_a_model_that_takes_images_is_painted_with_the_views(bundle, engine, monkeypatch, tmp_path):
    painted = tuple(Feature(name, fill=0.0) for name in PAINTED)
    spec = replace(bundle.spec, features=(*bundle.spec.features, *painted), cameras="optional")
    other = write_bundle(tmp_path / "other", spec, {"weights.safetensors": b""})
    assert "paint" in measured(other).milliseconds  # with none of the views there are
    monkeypatch.setattr(module, "load_inputs", lambda source, spec, clouds: [made_input()])
    names = list(measured(other).milliseconds)
    assert names[:4] == ["decode", "project", "paint", "voxelize"]
