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

    def cloud(self, unused=None, stages=None, **amiss) -> None:
        self.counters.received += 1
        self.monitor.start(self.now)
        self.now += 0.2
        stages = stages or {"network": 0.1}
        self.monitor.publish(self.now - 0.2, stages, unused or {}, **amiss)
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
    assert snapshot.unused == {"front": 0, "rear": 0}


def test_clouds_without_any_label_are_counted_and_forgotten():
    drive = Drive()
    for number in range(6):
        drive.cloud(is_unlabelled=number < 2)
        snapshot = drive.snapshot()
    assert snapshot.unlabelled == 1
    drive.cloud()
    assert drive.snapshot().unlabelled == 0


def test_clouds_without_a_point_in_range_are_counted_apart():
    drive = Drive()
    drive.cloud(is_out_of_range=True)
    drive.cloud()
    snapshot = drive.snapshot()
    assert (snapshot.unlabelled, snapshot.out_of_range) == (0, 1)


def test_snapshot_is_about_the_time_since_the_start_at_first():
    drive = Drive()
    drive.cloud()
    assert drive.snapshot().elapsed == pytest.approx(1.0)
    drive.cloud()
    assert drive.snapshot().published == 2


def test_cameras_that_clouds_lack_are_counted_with_the_last_reason_and_forgotten():
    drive = Drive()
    drive.cloud(unused={"rear": "no image", "front": "no camera_info"})
    drive.cloud(unused={"rear": "no transform"})
    snapshot = drive.snapshot()
    assert snapshot.unused == {"front": 1, "rear": 2}
    assert snapshot.reasons == {"front": "no camera_info", "rear": "no transform"}
    for _ in range(8):
        drive.cloud()
        snapshot = drive.snapshot()
    assert snapshot.unused == {"front": 0, "rear": 0}
    assert snapshot.reasons == {}


def test_stages_after_the_publication_belong_to_the_cloud_published_last():
    drive = Drive()
    drive.monitor.add({"outputs": 9.0})  # its cloud is forgotten
    for seconds in (0.1, 0.3):
        drive.cloud()
        drive.monitor.add({"outputs": seconds})
    snapshot = drive.snapshot()
    assert snapshot.stages == {"network": pytest.approx(0.1), "outputs": pytest.approx(0.2)}
    assert snapshot.latency == pytest.approx(0.2)


def test_what_a_parameter_asks_for_in_vain_is_counted():
    drive = Drive()
    drive.cloud(unused={"fixed_frame": "no transform"})
    snapshot = drive.snapshot()
    assert snapshot.unused == {"front": 0, "rear": 0, "fixed_frame": 1}
    assert snapshot.reasons == {"fixed_frame": "no transform"}


def test_a_cloud_in_work_counts_as_long_as_it_takes():
    drive = Drive()
    drive.cloud()
    drive.monitor.start(drive.now)
    drive.now += 3.0
    snapshot = drive.snapshot()
    assert (snapshot.latency, snapshot.in_work) == (pytest.approx(3.0), pytest.approx(3.0))
    drive.monitor.fail("no field 'x'")
    snapshot = drive.snapshot()
    assert (snapshot.latency, snapshot.in_work) == (pytest.approx(0.2), None)


def test_time_in_work_begins_with_the_work_and_not_with_the_arrival():
    drive = Drive()
    drive.monitor.start(drive.now - 4.0)  # it waited for images
    drive.now += 1.0
    snapshot = drive.snapshot()
    assert (snapshot.latency, snapshot.in_work) == (pytest.approx(5.0), pytest.approx(1.0))


def test_restart_forgets_what_was_before():
    drive = Drive()
    for _ in range(4):
        drive.cloud(unused={"rear": "no image"})
        drive.snapshot()
    drive.counters.failed += 1
    drive.monitor.fail("no field 'x'")
    drive.monitor.start(drive.now)
    drive.now += 60.0
    drive.counters.dropped += 7
    drive.monitor.restart()
    drive.now += 2.0
    snapshot = drive.snapshot()
    assert snapshot.elapsed == pytest.approx(2.0)
    counts = (snapshot.received, snapshot.published, snapshot.dropped, snapshot.failed)
    assert counts == (0, 0, 0, 0)
    assert (snapshot.latency, snapshot.in_work, snapshot.last_failure) == (None, None, "")
    assert snapshot.unused == {"front": 0, "rear": 0}
    assert snapshot.starting


def test_node_is_starting_for_a_window_from_its_first_cloud():
    drive = Drive()
    drive.now += WINDOW - 2.0
    assert drive.snapshot().starting
    for _ in range(round(WINDOW)):
        assert drive.snapshot().starting
        drive.cloud()
    assert not drive.snapshot().starting


def test_node_without_a_cloud_is_not_starting_for_ever():
    drive = Drive()
    drive.now += WINDOW
    assert not drive.snapshot().starting


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
