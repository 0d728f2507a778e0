from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsss_perception.bag.pacing import LOOP_PAUSE, Pacer, with_ticks

RATES = st.floats(0.1, 100)
TIMES = st.lists(st.integers(0, 10**10), min_size=1, max_size=10).map(sorted)


class SimulatedClock:
    """Time that passes only while somebody sleeps, or works; sleeps end early or late."""

    def __init__(self, errors=()):
        self.time = 10**15
        self._errors = list(errors)

    def now(self):
        return self.time

    def sleep(self, seconds):
        error = self._errors.pop() if self._errors else 0.0
        self.time += max(1, round(seconds * (1 + error) * 1e9))


def play(clock, times, rate, passes=1, work=0):
    """Returns (time of the item, time on the clock when it passed) of all items."""
    pacer = Pacer(rate, now=clock.now, sleep=clock.sleep)
    passed = []
    for _ in range(passes):
        for stamp, number in pacer.paced(zip(times, range(len(times)), strict=True)):
            assert stamp == times[number]
            passed.append((stamp, clock.time))
            clock.time += work
    return pacer, passed


@given(TIMES, RATES, st.lists(st.floats(-0.9, 0.9), max_size=30))
def test_pacing_is_in_order_and_never_early_however_sleep_errs(times, rate, errors):
    clock = SimulatedClock(errors)
    start = clock.time
    pacer, passed = play(clock, times, rate)
    assert [stamp for stamp, _ in passed] == times
    lags = [now - start - round((stamp - times[0]) / rate) for stamp, now in passed]
    assert min(lags) >= 0
    assert pacer.max_lag == max(lags)


@given(TIMES, RATES)
def test_pacing_honours_the_rate_to_the_nanosecond_where_sleep_is_exact(times, rate):
    _, passed = play(SimulatedClock(), times, rate)
    elapsed = passed[-1][1] - passed[0][1]
    assert elapsed == pytest.approx((times[-1] - times[0]) / rate, abs=2 * len(times))


def test_pacing_makes_up_for_a_delay():
    second = 10**9
    times = [number * second for number in range(10)]
    clock = SimulatedClock()
    start = clock.time
    pacer, passed = play(clock, times, 1.0, work=second // 2)  # each item takes half its time
    assert [now - start for _, now in passed] == times
    assert pacer.max_lag == 0


def test_pacing_that_cannot_keep_up_leaves_nothing_out_and_tells_its_lag():
    times = [0, 10, 20, 30]
    pacer, passed = play(SimulatedClock(), times, 1.0, work=25)
    assert len(passed) == 4
    assert pacer.max_lag == pacer.lag == 3 * 25 - 30


@given(TIMES, RATES, st.integers(2, 4))
def test_pacing_of_a_loop_adds_no_drift(times, rate, passes):
    clock = SimulatedClock()
    start = clock.time
    _, passed = play(clock, times, rate, passes, work=1000)
    period = times[-1] - times[0] + LOOP_PAUSE
    for number in range(passes):
        stamp, now = passed[number * len(times)]
        assert stamp == times[0]
        late_by = now - start - number * period / rate
        assert -10 <= late_by <= 1000 * len(passed) + 10


def test_pacing_stops_while_it_waits():
    clock = SimulatedClock()
    start = clock.time
    pacer = Pacer(1.0, lambda: clock.time > start + 10**9, clock.now, clock.sleep)
    assert list(pacer.paced([(0, "a"), (10**12, "b")])) == [(0, "a")]
    assert clock.time < start + 2 * 10**9


@given(TIMES, st.integers(10**8, 10**11))
def test_ticks_come_at_every_period_between_the_items(times, period):
    merged = list(with_ticks([(stamp, "item") for stamp in times], period))
    assert [stamp for stamp, item in merged if item] == times
    ticks = [stamp for stamp, item in merged if not item]
    assert ticks == list(range(times[0], times[-1] + 1, period))
    assert all(a <= b for (a, _), (b, _) in pairwise(merged))


def test_there_are_no_ticks_without_a_period():
    assert list(with_ticks([(1, "a"), (9, "b")], None)) == [(1, "a"), (9, "b")]
