import threading
from contextlib import suppress

import pytest

from wsss_perception.ros.status import Status, Throttle
from wsss_perception.ros.worker import Counters


class FakeClock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_throttle_lets_a_text_through_once_a_period():
    clock = FakeClock()
    throttle = Throttle(5.0, clock)
    assert throttle("no field 'x'")
    clock.now += 4.9
    assert not throttle("no field 'x'")
    assert throttle("no field 'y'")
    clock.now += 0.2
    assert throttle("no field 'x'")


def test_throttle_takes_texts_with_other_numbers_for_the_same():
    throttle = Throttle(5.0, FakeClock())
    assert throttle("cloud of 12.5 is cut short")
    assert not throttle("cloud of 13.75 is cut short")
    assert throttle("<Buffer at 0x7f3e10>")
    assert not throttle("<Buffer at 0x7f3e22>")


@pytest.mark.parametrize("names", [("cam0", "cam1"), ("image_02", "image_03"), ("0", "1")])
def test_throttle_keeps_names_with_numbers_apart(names):
    throttle = Throttle(5.0, FakeClock())
    for name in names:
        assert throttle(f"camera '{name}' is left out of 3 clouds")
        assert throttle(f"no message on /{name}/camera_info in 2.5 s")
    assert not throttle(f"camera '{names[0]}' is left out of 4 clouds")


def test_throttle_answers_one_thread_after_the_other():
    together = threading.Barrier(2)
    met, passed = [], []

    def clock() -> float:
        with suppress(threading.BrokenBarrierError):  # the other thread is kept out
            met.append(together.wait(0.2))
        return 100.0

    throttle = Throttle(5.0, clock)
    threads = [threading.Thread(target=lambda: passed.append(throttle("bad"))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert met == []
    assert sorted(passed) == [False, True]


def test_status_reports_rates_latency_and_totals():
    clock, counters = FakeClock(), Counters()
    status = Status(counters, clock)
    counters.received, counters.published, counters.dropped = 50, 20, 30
    for _ in range(20):
        status.add({"decode": 0.002, "network": 0.08})
    clock.now += 5.0
    assert status.report() == (
        "10.0 clouds/s in, 4.0 out; 82 ms a cloud (decode 2, network 80); "
        "in all 50 received, 20 published, 30 dropped, 0 failed; 0 lost on the way"
    )


def test_status_reports_each_period_alone():
    clock, counters = FakeClock(), Counters()
    status = Status(counters, clock)
    counters.received, counters.published = 10, 10
    status.add({"network": 1.0})
    clock.now += 5.0
    status.report()
    counters.received, counters.failed = 15, 5
    clock.now += 5.0
    assert status.report() == (
        "1.0 clouds/s in, 0.0 out; "
        "in all 15 received, 10 published, 0 dropped, 5 failed; 0 lost on the way"
    )


def test_status_is_silent_without_clouds():
    clock = FakeClock()
    status = Status(Counters(), clock)
    clock.now += 5.0
    assert status.report() is None
