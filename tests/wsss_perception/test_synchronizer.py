from types import SimpleNamespace

import numpy as np
import pytest
from simulated_streams import MS, PERIOD, WAIT, Arrival, add_images, images, make, play


def test_cloud_takes_nearest_image_of_each_camera():
    synchronizer, clock = make()
    add_images(synchronizer, clock, "left", 960 * MS, 990 * MS, 1030 * MS)
    add_images(synchronizer, clock, "right", 1040 * MS)
    synchronizer.add_cloud(1000 * MS, "cloud")
    frame = synchronizer.take()
    assert (frame.stamp, frame.cloud, frame.missing) == (1000 * MS, "cloud", ())
    assert frame.images == {"left": (990 * MS, "left990"), "right": (1040 * MS, "right1040")}
    assert synchronizer.take() is None


def test_of_two_equally_near_images_the_later_wins():
    synchronizer, clock = make(["left"])
    add_images(synchronizer, clock, "left", 1010 * MS, 990 * MS)
    synchronizer.add_cloud(1000 * MS, "cloud")
    assert synchronizer.take().images == {"left": (1010 * MS, "left1010")}


@pytest.mark.parametrize(("offset", "found"), [(-1, False), (0, True)])
def test_tolerance_is_inclusive(offset, found):
    synchronizer, clock = make(wait=0)
    add_images(synchronizer, clock, "left", 950 * MS + offset)
    add_images(synchronizer, clock, "right", 1050 * MS - offset)
    synchronizer.add_cloud(1000 * MS, "cloud")
    assert synchronizer.take().missing == (() if found else ("left", "right"))


def test_cloud_waits_for_an_image_at_or_after_its_stamp():
    synchronizer, clock = make()
    add_images(synchronizer, clock, "left", 980 * MS)
    add_images(synchronizer, clock, "right", 1000 * MS)
    clock.now = 1001 * MS
    synchronizer.add_cloud(1000 * MS, "cloud")
    assert synchronizer.take() is None
    assert synchronizer.next_deadline() == clock.now + WAIT
    clock.now += 10 * MS
    add_images(synchronizer, clock, "left", 1005 * MS)
    assert synchronizer.take().images["left"] == (1005 * MS, "left1005")
    assert synchronizer.next_deadline() is None


def test_cloud_waits_no_longer_than_wait():
    synchronizer, clock = make()
    add_images(synchronizer, clock, "left", 980 * MS)
    synchronizer.add_cloud(1000 * MS, "cloud")
    start = clock.now
    clock.now = start + WAIT - 1
    assert synchronizer.take() is None
    clock.now = start + WAIT
    frame = synchronizer.take()
    assert frame.images == {"left": (980 * MS, "left980")}
    assert frame.missing == ("right",)


def test_wait_of_zero_takes_the_images_already_there():
    synchronizer, clock = make(wait=0)
    arrivals = images("left", 980 * MS, 20) + images("right", 1020 * MS, 20)
    arrivals += [Arrival(1000 * MS + n * PERIOD, 1000 * MS + n * PERIOD) for n in range(10)]
    for time, frame in play(synchronizer, clock, arrivals):
        assert time == frame.cloud.time
        assert frame.images["left"][0] == frame.stamp - 20 * MS
        assert frame.missing == ("right",)


def test_a_cloud_that_may_not_wait_is_ready_at_once_beside_one_that_may():
    synchronizer, clock = make()
    add_images(synchronizer, clock, "left", 980 * MS)
    add_images(synchronizer, clock, "right", 980 * MS)
    synchronizer.add_cloud(1000 * MS, "waits")
    synchronizer.add_cloud(1001 * MS, "does not", waits=False)
    assert synchronizer.take().cloud == "does not"
    assert synchronizer.take() is None
    add_images(synchronizer, clock, "left", 1005 * MS)
    add_images(synchronizer, clock, "right", 1005 * MS)
    frame = synchronizer.take()
    assert (frame.cloud, frame.images["left"]) == ("waits", (1005 * MS, "left1005"))


def test_camera_without_an_image_yet_is_not_waited_for():
    synchronizer, _ = make()
    synchronizer.add_cloud(1000 * MS, "cloud")
    assert synchronizer.live() == ()
    assert synchronizer.take().missing == ("left", "right")


def test_dead_camera_is_not_waited_for_until_it_comes_back():
    """It is dead 3 periods after its last image."""
    synchronizer, clock = make(["left"])
    add_images(synchronizer, clock, "left", *range(0, 1001 * MS, PERIOD))
    clock.now = 1300 * MS - 1
    synchronizer.add_cloud(1290 * MS, "waits")
    assert synchronizer.live() == ("left",)
    assert synchronizer.take() is None
    assert synchronizer.next_deadline() == 1300 * MS
    clock.now = 1300 * MS
    assert synchronizer.live() == ()
    assert synchronizer.take().cloud == "waits"
    synchronizer.add_cloud(1300 * MS, "does not wait")
    assert synchronizer.take().cloud == "does not wait"
    add_images(synchronizer, clock, "left", 9000 * MS)
    clock.now = 9060 * MS
    synchronizer.add_cloud(9060 * MS, "waits again")
    assert synchronizer.take() is None


def test_slow_camera_stays_live_between_its_images():
    synchronizer, clock = make(["left"])
    add_images(synchronizer, clock, "left", *range(0, 10_000 * MS, 900 * MS))
    clock.now += 2600 * MS
    assert synchronizer.live() == ("left",)
    clock.now += 100 * MS
    assert synchronizer.live() == ()


def test_long_pause_does_not_make_a_camera_seem_slow():
    synchronizer, clock = make(["left"])
    add_images(synchronizer, clock, "left", *range(0, 1001 * MS, PERIOD), 100_000 * MS)
    clock.now += 3000 * MS
    assert synchronizer.live() == ()


def test_images_that_come_in_pairs_keep_their_camera_live():
    synchronizer, clock = make(["left"])
    for number in range(20):
        clock.now = number // 2 * 2 * PERIOD
        synchronizer.add_image("left", number * PERIOD, "image")
        assert synchronizer.live() == ("left",)
    clock.now += 2 * PERIOD - 1
    assert synchronizer.live() == ("left",)


def test_cloud_just_after_a_regular_camera_does_not_wait():
    """The next image is due 90 ms after the cloud: that of 10 ms before it stays the nearest."""
    synchronizer, clock = make(["left"])
    stamps = range(1000 * MS, 2000 * MS, PERIOD)
    arrivals = images("left", 1000 * MS, 11)
    arrivals += [Arrival(stamp + 10 * MS, stamp + 10 * MS) for stamp in stamps]
    taken = play(synchronizer, clock, arrivals)
    assert [frame.images["left"][0] for _, frame in taken] == list(stamps)
    assert [time == frame.cloud.time for time, frame in taken] == [False] * 8 + [True] * 2


def test_cloud_just_before_a_regular_camera_waits_for_it():
    synchronizer, clock = make(["left"])
    arrivals = images("left", 1000 * MS, 30)
    arrivals += [Arrival(s - 40 * MS, s - 40 * MS) for s in range(2000 * MS, 3000 * MS, PERIOD)]
    for time, frame in play(synchronizer, clock, arrivals):
        assert frame.images["left"][0] == time == frame.stamp + 40 * MS


def test_pairs_are_those_of_message_filters():
    """Where every image is there, and there is no doubt which one is the nearest."""
    message_filters = pytest.importorskip("message_filters", reason="comes with a ROS 2 install")
    time = pytest.importorskip("builtin_interfaces.msg", reason="no ROS").Time
    rng = np.random.default_rng(3)
    arrivals = images("left", 20 * MS, 30, latency=30 * MS)
    arrivals += images("right", -15 * MS + PERIOD, 30, latency=10 * MS)
    arrivals += [
        Arrival(t + int(rng.integers(60)) * MS, t) for t in range(PERIOD, 2800 * MS, PERIOD)
    ]
    filters = {camera: message_filters.SimpleFilter() for camera in (None, "left", "right")}
    expected = []
    joined = message_filters.ApproximateTimeSynchronizer(list(filters.values()), 10, 0.05)
    joined.registerCallback(lambda *messages: expected.append([m.entry.stamp for m in messages]))
    for entry in sorted(arrivals, key=lambda entry: entry.time):
        seconds, nanoseconds = divmod(entry.stamp, 10**9)
        header = SimpleNamespace(stamp=time(sec=seconds, nanosec=nanoseconds))
        filters[entry.camera].signalMessage(SimpleNamespace(header=header, entry=entry))
    synchronizer, clock = make(wait=200 * MS)
    taken = [frame for _, frame in play(synchronizer, clock, arrivals)]
    found = [[f.stamp, f.images["left"][0], f.images["right"][0]] for f in taken if not f.missing]
    assert found == expected[-len(found) :]
    assert len(found) >= len(expected) - 1 > 20


@pytest.mark.parametrize(
    "options",
    [
        {"cameras": ("left", "left")},
        {"wait": -1},
        {"depth": 0},
    ],
)
def test_bad_settings_are_refused(options):
    with pytest.raises(ValueError, match=r"left|wait|depth"):
        make(**options)


def test_unknown_camera_is_named():
    with pytest.raises(ValueError, match=r"'rear'.*'left', 'right'"):
        make()[0].add_image("rear", 0, "image")


def test_images_that_come_after_a_cloud_was_taken_are_known_then():
    synchronizer, clock = make(wait=0)
    add_images(synchronizer, clock, "left", 960 * MS)
    synchronizer.add_cloud(1000 * MS, "cloud")
    frame = synchronizer.take()
    add_images(synchronizer, clock, "left", 1010 * MS, *range(1100 * MS, 3000 * MS, PERIOD))
    add_images(synchronizer, clock, "right", 2990 * MS, 1030 * MS)
    assert frame.images == {"left": (960 * MS, "left960")}
    expected = {"left": (1010 * MS, "left1010"), "right": (1030 * MS, "right1030")}
    assert synchronizer.latest_images() == expected
    synchronizer.add_cloud(5000 * MS, "next")
    synchronizer.take()
    assert synchronizer.latest_images() == {}


def test_only_live_cameras_whose_next_image_may_be_nearer_may_improve():
    synchronizer, clock = make(wait=0)
    add_images(synchronizer, clock, "left", 900 * MS)
    clock.now = 1000 * MS
    synchronizer.add_cloud(1000 * MS, "cloud")
    synchronizer.take()
    assert synchronizer.may_improve(["left", "right"])
    assert not synchronizer.may_improve(["right"])  # never came
    assert not synchronizer.may_improve([])
    add_images(synchronizer, clock, "left", 1005 * MS)
    assert not synchronizer.may_improve(["left"])
    synchronizer.add_cloud(1100 * MS, "cloud")
    synchronizer.take()
    assert synchronizer.may_improve(["left"])
    clock.now += 10_000 * MS
    assert not synchronizer.may_improve(["left"])  # died
