import threading
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from wsss_perception.ros.worker import Counters, Intake, Worker
from wsss_perception.synchronizer import Synchronizer

TIMEOUT = 60.0
SECOND = 1_000_000_000
LONG = 10**15  # nanoseconds: what no stall of the machine takes


class Gate:
    """A job that waits in the first item until it is let go."""

    def __init__(self) -> None:
        self.entered, self.opened = threading.Event(), threading.Event()
        self.done: list[object] = []

    def __call__(self, frame) -> None:
        self.entered.set()
        assert self.opened.wait(TIMEOUT)
        if isinstance(frame.cloud, Exception):
            raise frame.cloud
        self.done.append(frame.cloud)


class Setup:
    """An intake and its worker, whose clouds come a tenth of a second after each other."""

    def __init__(self, job, on_failure=lambda error: None, counters=None) -> None:
        self.counters = counters or Counters()
        self.intake = new_intake(self.counters)
        self.worker = Worker(self.intake, job, on_failure, self.counters)
        self.stamp = SECOND

    def submit(self, cloud: object) -> None:
        self.stamp += SECOND // 10
        self.intake.add_cloud(self.stamp, cloud)

    def wait_until_idle(self) -> None:
        deadline = time.monotonic() + TIMEOUT
        while self.counters.pending:
            assert time.monotonic() < deadline, f"the worker is stuck: {self.counters}"
            time.sleep(0.002)


def new_intake(counters, cameras=(), wait=0, **options) -> Intake:
    synchronizer = Synchronizer(cameras, SECOND // 20, wait, time.monotonic_ns, depth=1)
    return Intake(synchronizer, counters, **options)


def test_intake_newest_cloud_wins():
    intake = new_intake(Counters())
    for number in (1, 2, 3):
        intake.add_cloud(number * SECOND, number)
    assert intake.take().cloud == 3


def test_intake_take_waits_for_a_cloud():
    intake = new_intake(Counters())
    threading.Timer(0.05, intake.add_cloud, (SECOND, 7)).start()
    assert intake.take().cloud == 7


def test_intake_hands_out_a_cloud_when_its_image_comes(monkeypatch):
    monkeypatch.setattr("wsss_perception.camera_stream._UNKNOWN_PERIOD", LONG)
    intake = new_intake(Counters(), ["front"], wait=LONG)
    intake.add_image("front", SECOND, "early")
    intake.add_cloud(2 * SECOND, "cloud")
    threading.Timer(0.05, intake.add_image, ("front", 2 * SECOND, "image")).start()
    frame = intake.take()
    assert (frame.cloud, frame.images) == ("cloud", {"front": (2 * SECOND, "image")})


def test_intake_hands_out_a_cloud_whose_image_does_not_come():
    intake = new_intake(Counters(), ["front"], wait=SECOND // 10)
    intake.add_image("front", SECOND, "early")
    intake.add_cloud(2 * SECOND, "cloud")
    begin = time.monotonic()
    assert intake.take().missing == ("front",)
    assert time.monotonic() - begin < TIMEOUT


def test_intake_drops_what_became_ready_before_the_newest_while_its_worker_was_busy():
    counters = Counters()
    intake = new_intake(counters, ["front"], wait=SECOND // 50)
    intake.add_image("front", SECOND, "early")
    for number in (2, 3):
        intake.add_cloud(number * SECOND, number)
    time.sleep(0.05)  # the worker is busy until both have waited
    assert intake.take().cloud == 3
    assert counters.dropped == 1


def test_closed_intake_gives_nothing_and_keeps_nothing():
    counters = Counters()
    intake = new_intake(counters)
    intake.add_cloud(SECOND, 1)
    intake.close()
    assert intake.take() is None
    intake.add_cloud(2 * SECOND, 2)
    assert intake.take() is None
    assert (counters.received, counters.dropped, counters.pending) == (2, 2, 0)


def test_intake_tells_of_time_that_goes_back():
    jumps: list[bool] = []
    intake = new_intake(Counters(), on_jump=lambda: jumps.append(True))
    for second in (10, 11, 5, 6):
        assert not jumps or second < 10
        intake.add_cloud(second * SECOND, second)
    assert len(jumps) == 1


def test_intake_counts_a_cloud_sent_twice_apart(monkeypatch):
    monkeypatch.setattr("wsss_perception.synchronizer.DUPLICATE_WINDOW", LONG)
    counters = Counters()
    intake = new_intake(counters)
    for _ in range(2):
        intake.add_cloud(SECOND, "cloud")
    assert (counters.received, counters.dropped, counters.duplicates) == (2, 0, 1)


def test_worker_drops_all_but_the_newest_while_it_works():
    gate = Gate()
    setup = Setup(gate)
    setup.submit(0)
    assert gate.entered.wait(TIMEOUT)
    for item in (1, 2, 3):
        setup.submit(item)
    assert setup.counters.dropped == 2
    gate.opened.set()
    setup.wait_until_idle()
    setup.worker.close()
    assert gate.done == [0, 3]
    assert (setup.counters.received, setup.counters.published) == (4, 2)


def test_worker_finishes_the_cloud_in_work_when_closed(monkeypatch):
    gate = Gate()
    setup = Setup(gate)
    close = setup.intake.close

    def close_in_work() -> None:
        close()
        threading.Timer(0.05, gate.opened.set).start()

    monkeypatch.setattr(setup.intake, "close", close_in_work)
    setup.submit("in work")
    assert gate.entered.wait(TIMEOUT)
    setup.submit("waiting")
    setup.worker.close()
    assert gate.done == ["in work"]
    assert str(setup.counters) == (
        "2 received, 1 published, 1 dropped, 0 failed; 0 lost on the way"
    )


def test_worker_survives_a_failing_job_and_reports_it():
    gate, errors = Gate(), []
    gate.opened.set()
    setup = Setup(gate, errors.append)
    bad = ValueError("bad cloud")
    for item in (bad, "good"):
        setup.submit(item)
        setup.wait_until_idle()
    setup.worker.close()
    assert errors == [bad]
    assert gate.done == ["good"]
    assert str(setup.counters) == (
        "2 received, 1 published, 0 dropped, 1 failed; 0 lost on the way"
    )


def test_worker_survives_a_failure_that_cannot_be_told(caplog):
    def tell(error) -> None:
        raise RuntimeError("dictionary changed size during iteration")

    gate = Gate()
    gate.opened.set()
    setup = Setup(gate, tell)
    for item in (ValueError("bad cloud"), "good"):
        setup.submit(item)
        setup.wait_until_idle()
    setup.worker.close()
    assert gate.done == ["good"]
    assert setup.counters.failed == 1
    assert "bad cloud" in caplog.text
    assert "dictionary changed size" in caplog.text


def test_counters_go_on_when_the_work_begins_again(monkeypatch):
    monkeypatch.setattr("wsss_perception.synchronizer.DUPLICATE_WINDOW", LONG)
    counters = Counters()
    for _ in range(2):
        setup = Setup(lambda frame: None, counters=counters)
        setup.submit("cloud")
        setup.wait_until_idle()
        setup.intake.add_cloud(setup.stamp, "sent twice")
        setup.worker.close()
    assert (counters.received, counters.published, counters.dropped) == (4, 2, 0)
    assert (counters.duplicates, counters.pending) == (2, 0)
    assert "0 failed, 2 duplicates; 0 lost" in str(counters)


@settings(max_examples=30)
@given(st.lists(st.sampled_from(["good", "bad", "wait"]), max_size=12))
def test_every_cloud_is_accounted_for(events):
    def job(frame) -> None:
        if frame.cloud == "bad":
            raise ValueError(frame.cloud)

    setup = Setup(job)
    for event in events:
        if event == "wait":
            setup.wait_until_idle()
        else:
            setup.submit(event)
    setup.worker.close()
    counters = setup.counters
    assert counters.received == sum(event != "wait" for event in events)
    assert counters.pending == 0
