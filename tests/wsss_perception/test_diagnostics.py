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
    unused={"front": 0, "rear": 0},
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
        ({"unlabelled": 1}, Level.WARN, "1 of 50 clouds got no label"),
        ({"out_of_range": 2}, Level.WARN, "2 of 50 clouds have no point in range.*LiDAR frame"),
        ({"unused": {"front": 26}}, Level.WARN, "camera 'front' not used for 26 of 50 clouds$"),
        ({"unused": {"fixed_frame": 50}}, Level.WARN, "fixed_frame has no effect for 50 of 50"),
        (
            {"unused": {"front": 26}, "reasons": {"front": "no message on /front/camera_info"}},
            *(Level.WARN, "26 of 50 clouds: no message on /front/camera_info$"),
        ),
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
        {"unused": {"front": 25, "rear": 0}},
        {"published": 0, "received": 1, "in_work": 0.2},
    ],
)
def test_without_limits_slowness_is_no_fault(values):
    assert assess(change(**values), Limits()).level is Level.OK


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"published": 0, "in_work": 12.0}, r"50 arrived; one is in work for 12\.0 s"),
        ({"published": 0, "received": 0, "in_work": 12.0}, "0 arrived; one is in work"),
        ({"published": 0, "dropped": 49}, r"no cloud came out in 5\.0 s, 50 arrived$"),
    ],
)
def test_a_node_that_is_stuck_is_an_error_without_limits(values, message):
    assessment = assess(change(**values), Limits())
    assert assessment.level is Level.ERROR
    assert re.search(message, assessment.message)


def test_a_node_that_takes_clouds_again_is_slow_and_not_stuck():
    again = change(published=0, received=5, in_work=0.2)
    assert assess(again, STRICT).message == "0.0 clouds/s, below min_rate 8"


@pytest.mark.parametrize(
    "values",
    [
        {"received": 0},
        {"received": 3, "published": 1, "unused": {"front": 1}},
        {"received": 3, "in_work": 5.0, "latency": 0.05},
    ],
)
def test_rates_and_cameras_are_not_judged_at_the_start(values):
    start = Snapshot(elapsed=1.0, starting=True, **values)
    assessment = assess(start, STRICT)
    assert (assessment.level, assessment.message) == (Level.OK, "starting")


@pytest.mark.parametrize(
    ("values", "level"),
    [
        ({"failed": 3}, Level.ERROR),
        ({"published": 3, "latency": 0.5}, Level.WARN),
        ({"published": 1, "dropped": 2}, Level.WARN),
    ],
)
def test_what_goes_wrong_at_the_start_is_told(values, level):
    start = Snapshot(elapsed=1.0, received=3, starting=True, **values)
    assert assess(start, STRICT).level is level


def test_no_cloud_at_all_is_one_warning():
    silent = Snapshot(elapsed=5.0, unused={"front": 0})
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
        "duplicates": "0",
        "lost": "2",
        "without front": "0",
        "without rear": "0",
    }


def test_a_span_of_no_length_has_no_rate():
    assert assess(Snapshot(elapsed=0.0, published=1), Limits()).values["rate (Hz)"] == "0.00"
