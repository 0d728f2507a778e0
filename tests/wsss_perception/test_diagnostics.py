import re
from dataclasses import replace

import pytest

from wsss_perception.diagnostics import Level, Limits, Snapshot, assess

WELL = Snapshot(
    elapsed=5.0,
    received=50,
    published=50,
    latency=0.08,
    stages={"decode": 0.004, "network": 0.05},
    missing={"front": 0, "rear": 0},
    model="/models/a",
    engine="spconv",
)
STRICT = Limits(min_rate=8.0, max_latency=0.1, max_drop_share=0.2)


def change(**values):
    return replace(WELL, **values)


def test_all_is_well_within_the_limits():
    for limits in (Limits(), STRICT):
        assessment = assess(WELL, limits)
        assert assessment.level is Level.OK
        assert assessment.message == "10.0 clouds/s"


@pytest.mark.parametrize(
    ("values", "level", "message"),
    [
        ({"received": 0, "published": 0}, Level.WARN, r"no cloud arrived in 5\.0 s"),
        ({"published": 30}, Level.WARN, r"6\.0 clouds/s, below min_rate 8"),
        ({"latency": 0.25}, Level.WARN, r"latency 0\.250 s, above max_latency 0\.1"),
        ({"dropped": 11}, Level.WARN, r"22% of the clouds.*max_drop_share 0\.2"),
        ({"lost": 13}, Level.WARN, r"21% of the clouds"),
        ({"failed": 2, "published": 48}, Level.WARN, "2 of 50 clouds failed"),
        ({"missing": {"front": 26, "rear": 0}}, Level.WARN, "'front' for 26 of 50 clouds"),
        ({"published": 0, "latency": None}, Level.ERROR, "no cloud came out.*50 arrived"),
        ({"published": 0, "received": 0, "lost": 9}, Level.ERROR, "no cloud came out.*9 arrived"),
        ({"published": 0, "failed": 50, "last_failure": "no x"}, Level.ERROR, "50 of 50.*: no x"),
    ],
)
def test_what_is_wrong_is_told_with_its_level(values, level, message):
    assessment = assess(change(**values), STRICT)
    assert assessment.level is level
    assert re.search(message, assessment.message)


@pytest.mark.parametrize(
    "values",
    [
        {"published": 1, "latency": 60.0, "dropped": 20},
        {"missing": {"front": 25, "rear": 0}},
        {"published": 0, "latency": None},
    ],
)
def test_without_limits_slowness_is_no_fault(values):
    assert assess(change(**values), Limits()).level is Level.OK


def test_nothing_is_due_yet_in_a_short_span():
    short = Snapshot(elapsed=0.1, received=1)
    assert assess(short, Limits(min_rate=8.0)).level is Level.WARN
    assert assess(short, Limits(min_rate=20.0)).level is Level.ERROR


def test_no_cloud_at_all_is_one_warning():
    silent = Snapshot(elapsed=5.0, missing={"front": 0})
    assert assess(silent, STRICT).message == "no cloud arrived in 5.0 s"


def test_the_worst_comes_first_and_nothing_is_left_out():
    bad = change(published=0, failed=10, dropped=40, latency=0.5, last_failure="no field 'x'")
    assessment = assess(bad, STRICT)
    assert assessment.level is Level.ERROR
    parts = assessment.message.split("; ")
    assert parts[0] == "10 of 50 clouds failed: no field 'x'"
    assert [part.split(" ")[0] for part in parts[1:]] == ["0.0", "latency", "80%"]


def test_an_inactive_node_is_well():
    assessment = assess(Snapshot(elapsed=5.0, active=False), STRICT)
    assert (assessment.level, assessment.message) == (Level.OK, "inactive")


def test_values_tell_the_numbers():
    assert assess(change(dropped=3, lost=2), STRICT).values == {
        "model": "/models/a",
        "engine": "spconv",
        "rate (Hz)": "10.00",
        "latency (ms)": "80.0",
        "decode (ms)": "4.0",
        "network (ms)": "50.0",
        "received": "50",
        "published": "50",
        "dropped": "3",
        "failed": "0",
        "lost": "2",
        "without front": "0",
        "without rear": "0",
    }


def test_a_span_of_no_length_has_no_rate():
    assert assess(Snapshot(elapsed=0.0, published=1), Limits()).values["rate (Hz)"] == "0.00"
