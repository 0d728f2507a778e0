import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsss_perception.ros.worker import Mailbox, Worker

TIMEOUT = 5.0


class Gate:
    """A job that waits in the first item until it is let go."""

    def __init__(self) -> None:
        self.entered, self.opened = threading.Event(), threading.Event()
        self.done: list[object] = []

    def __call__(self, item: object) -> None:
        self.entered.set()
        assert self.opened.wait(TIMEOUT)
        if isinstance(item, Exception):
            raise item
        self.done.append(item)


def ignore(error: Exception) -> None:
    pass


def test_mailbox_newest_item_wins():
    mailbox: Mailbox[int] = Mailbox()
    assert [mailbox.put(item) for item in (1, 2, 3)] == [False, True, True]
    assert mailbox.take() == 3


def test_mailbox_take_waits_for_an_item():
    mailbox: Mailbox[int] = Mailbox()
    threading.Timer(0.05, mailbox.put, (7,)).start()
    assert mailbox.take() == 7


def test_closed_mailbox_gives_nothing_and_keeps_nothing():
    mailbox: Mailbox[int] = Mailbox()
    mailbox.put(1)
    assert mailbox.close()
    assert mailbox.take() is None
    assert mailbox.put(2)
    assert mailbox.take() is None


def test_worker_drops_all_but_the_newest_while_it_works():
    gate = Gate()
    worker = Worker(gate, ignore)
    worker.submit(0)
    assert gate.entered.wait(TIMEOUT)
    for item in (1, 2, 3):
        worker.submit(item)
    assert worker.counters.dropped == 2
    gate.opened.set()
    wait_until_idle(worker)
    worker.close()
    assert gate.done == [0, 3]
    assert (worker.counters.received, worker.counters.published) == (4, 2)


def test_worker_finishes_the_item_in_work_when_closed():
    gate = Gate()
    worker = Worker(gate, ignore)
    worker.submit("in work")
    assert gate.entered.wait(TIMEOUT)
    worker.submit("waiting")
    threading.Timer(0.05, gate.opened.set).start()
    worker.close()
    assert gate.done == ["in work"]
    assert str(worker.counters) == "2 received, 1 published, 1 dropped, 0 failed; 0 lost on the way"


def test_worker_survives_a_failing_job_and_reports_it():
    gate, errors = Gate(), []
    gate.opened.set()
    worker = Worker(gate, errors.append)
    bad = ValueError("bad cloud")
    for item in (bad, "good"):
        worker.submit(item)
        wait_until_idle(worker)
    worker.close()
    assert errors == [bad]
    assert gate.done == ["good"]
    assert str(worker.counters) == "2 received, 1 published, 0 dropped, 1 failed; 0 lost on the way"


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(["good", "bad", "wait"]), max_size=12))
def test_every_item_is_accounted_for(events):
    def job(item: str) -> None:
        if item == "bad":
            raise ValueError(item)

    worker = Worker(job, ignore)
    for event in events:
        if event == "wait":
            wait_until_idle(worker)
        else:
            worker.submit(event)
    worker.close()
    counters = worker.counters
    assert counters.received == sum(event != "wait" for event in events)
    assert counters.pending == 0


def wait_until_idle(worker: Worker) -> None:
    waiting = threading.Event()
    for _ in range(1000):
        if worker.counters.pending == 0:
            return
        waiting.wait(TIMEOUT / 1000)
    pytest.fail(f"the worker is stuck: {worker.counters}")
