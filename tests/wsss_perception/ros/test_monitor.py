import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: make install")

from wsss_perception.ros.diagnostics import WINDOW, Monitor
from wsss_perception.ros.worker import Counters


class Drive:
    """A monitor of a node that takes 0.2 s a cloud, one cloud a second."""

    def __init__(self) -> None:
        self.now = 100.0
        self.counters = Counters()
        self.monitor = Monitor(self.counters, lambda: self.now)

    def cloud(self, missing=(), stages=None) -> None:
        self.counters.received += 1
        self.monitor.start(self.now)
        self.now += 0.2
        self.monitor.publish(self.now - 0.2, stages or {"network": 0.1}, missing)
        self.counters.published += 1
        self.now += 0.8

    def snapshot(self):
        return self.monitor.snapshot(["front", "rear"], "model", "spconv", True)


def test_snapshot_sums_up_the_last_seconds():
    drive = Drive()
    for _ in range(20):
        drive.cloud()
        snapshot = drive.snapshot()
    assert snapshot.elapsed == pytest.approx(WINDOW)
    assert (snapshot.received, snapshot.published) == (5, 5)
    assert snapshot.latency == pytest.approx(0.2)
    assert snapshot.stages == {"network": pytest.approx(0.1)}
    assert snapshot.missing == {"front": 0, "rear": 0}


def test_snapshot_is_about_the_time_since_the_start_at_first():
    drive = Drive()
    drive.cloud()
    assert drive.snapshot().elapsed == pytest.approx(1.0)
    drive.cloud()
    assert drive.snapshot().published == 2


def test_cameras_that_clouds_lack_are_counted_and_forgotten():
    drive = Drive()
    drive.cloud(missing=["rear"])
    assert drive.snapshot().missing == {"front": 0, "rear": 1}
    for _ in range(8):
        drive.cloud()
        snapshot = drive.snapshot()
    assert snapshot.missing == {"front": 0, "rear": 0}


def test_a_cloud_in_work_counts_as_long_as_it_takes():
    drive = Drive()
    drive.cloud()
    drive.monitor.start(drive.now)
    drive.now += 3.0
    assert drive.snapshot().latency == pytest.approx(3.0)
    drive.monitor.fail("no field 'x'")
    assert drive.snapshot().latency == pytest.approx(0.2)


def test_the_last_failure_is_told_for_a_while():
    drive = Drive()
    drive.monitor.fail("no field 'x'")
    drive.counters.failed += 1
    drive.cloud()
    snapshot = drive.snapshot()
    assert (snapshot.failed, snapshot.last_failure) == (1, "no field 'x'")
    for _ in range(8):
        drive.cloud()
        snapshot = drive.snapshot()
    assert (snapshot.failed, snapshot.last_failure) == (0, "")


def test_snapshot_without_clouds_has_no_latency():
    drive = Drive()
    drive.now += 1.0
    assert drive.snapshot().latency is None
