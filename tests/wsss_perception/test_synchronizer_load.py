import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated_streams import (
    MS,
    PERIOD,
    TOLERANCE,
    WAIT,
    Arrival,
    add_images,
    check_counters,
    drain,
    images,
    make,
    play,
)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_newest_clouds_win_when_the_consumer_does_not_keep_up(depth):
    synchronizer, clock = make(wait=0, depth=depth)
    for number in range(1, 11):
        clock.now += PERIOD
        synchronizer.add_cloud(clock.now, number)
    assert [frame.cloud for frame in drain(synchronizer)] == list(range(11 - depth, 11))
    assert synchronizer.counters.dropped == 10 - depth
    check_counters(synchronizer)


@pytest.mark.parametrize("image_at_hand", [False, True])
def test_a_cloud_ready_as_the_next_one_comes_yields_only_to_one_that_is_ready_too(image_at_hand):
    """A camera that is live but late, clouds ``wait`` apart, a consumer that just wakes up."""
    synchronizer, clock = make(["left"], depth=1)
    for number in range(1, 11):
        clock.now = number * WAIT
        synchronizer.add_image("left", (number - 2) * WAIT, number)
        if image_at_hand:
            synchronizer.add_image("left", number * WAIT, number)
        synchronizer.add_cloud(number * WAIT, number)
        frame = synchronizer.take()
        expected = number if image_at_hand else number - 1
        assert (frame.cloud if frame else 0) == expected
    assert synchronizer.counters.dropped == 0


def test_a_consumer_that_was_busy_drops_what_became_ready_before_the_newest():
    synchronizer, clock = make(["left"], depth=1)
    for number in (1, 2, 3):
        clock.now = number * WAIT
        add_images(synchronizer, clock, "left", (number - 2) * WAIT)
        synchronizer.add_cloud(clock.now, number)
    clock.now += WAIT
    synchronizer.drop_old()
    assert [frame.cloud for frame in drain(synchronizer)] == [3]
    assert synchronizer.counters.dropped == 2
    check_counters(synchronizer)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0, WAIT, 250 * MS]), st.integers(1, 3))
def test_busy_consumer_never_gets_a_frame_that_newer_ones_replaced(seed, wait, depth):
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.integers(MS, 2 * PERIOD, 40)).tolist()
    arrivals = [Arrival(time, time) for time in times]
    arrivals += images("left", 0, 30, latency=int(rng.integers(PERIOD)))
    synchronizer, clock = make(wait=wait, depth=depth)
    free_at = newest = 0
    for entry in sorted(arrivals, key=lambda entry: entry.time):
        clock.now = entry.time
        if entry.camera is None:
            synchronizer.add_cloud(entry.stamp, entry)
            newest = clock.now
        else:
            synchronizer.add_image(entry.camera, entry.stamp, entry)
        if clock.now >= free_at and (frame := synchronizer.take()) is not None:
            newer = [time for time in times if frame.stamp < time <= newest - wait]
            assert len(newer) < depth
            free_at = clock.now + int(rng.integers(4 * PERIOD))
        check_counters(synchronizer)


def test_clouds_that_one_image_makes_ready_are_all_taken():
    synchronizer, clock = make(["left"], wait=1000 * MS, depth=1)
    add_images(synchronizer, clock, "left", *range(1000 * MS, 2001 * MS, 200 * MS))
    for stamp in (2050, 2100, 2150, 2190):
        synchronizer.add_cloud(stamp * MS, stamp)
        assert synchronizer.take() is None
    add_images(synchronizer, clock, "left", 2200 * MS)
    assert len(drain(synchronizer)) == 4


def test_memory_is_bounded():
    class Payload:
        pass

    synchronizer, clock = make(wait=10**15)
    alive: weakref.WeakSet = weakref.WeakSet()
    rng = np.random.default_rng(0)
    most = 0
    for number in range(3000):
        payload = Payload()
        alive.add(payload)
        clock.now += int(rng.integers(0, 2))
        kind = rng.integers(3)
        if kind:
            synchronizer.add_image(("left", "right")[kind - 1], 10**12 - number, payload)
        else:
            synchronizer.add_cloud(10**12 + number, payload)
        most = max(most, len(alive))
    del payload
    assert most < 150
    assert synchronizer.waiting < 20
    check_counters(synchronizer)


@pytest.mark.parametrize(("wait", "count"), [(0, 3), (60 * MS, 4), (10_000 * MS, 6)])
def test_images_are_kept_as_long_as_a_cloud_may_need_them_and_half_a_second_at_most(wait, count):
    class Payload:
        pass

    synchronizer, _ = make(wait=wait)
    alive: weakref.WeakSet = weakref.WeakSet()
    for number in range(100):
        payload = Payload()
        alive.add(payload)
        synchronizer.add_image("left", number * PERIOD, payload)
    assert len(alive) == count


def random_traffic(rng):
    """Messages of a robot: periodic sensors with delays, gaps, deaths, duplicates and disorder."""
    arrivals = []
    for camera in (None, "left", "right"):
        period = PERIOD if camera is None else int(rng.choice([33, 66, 100, 250])) * MS
        stamps = 10_000 * MS + int(rng.integers(period)) + period * np.arange(int(rng.integers(25)))
        stamps = stamps + rng.integers(0, 1 + int(rng.choice([0, 8])) * MS, len(stamps))
        stamps = stamps[rng.random(len(stamps)) > rng.choice([0.0, 0.3])]
        latency = rng.integers(0, 100) * MS + rng.integers(
            0, 1 + rng.choice([0, 100]) * MS, len(stamps)
        )
        arrivals += [
            Arrival(int(stamp + late), int(stamp), camera)
            for stamp, late in zip(stamps, latency, strict=True)
        ]
    return arrivals


@given(st.integers(0, 2**32 - 1), st.sampled_from([0, 20 * MS, WAIT, 200 * MS]))
def test_consumer_that_keeps_up_gets_every_cloud_with_its_nearest_images(seed, wait):
    arrivals = random_traffic(np.random.default_rng(seed))
    clouds = [entry for entry in arrivals if entry.camera is None]
    synchronizer, clock = make(wait=wait, depth=1)
    taken = play(synchronizer, clock, arrivals)
    assert sorted(frame.stamp for _, frame in taken) == sorted(entry.stamp for entry in clouds)
    assert synchronizer.counters.dropped == 0
    for time, frame in taken:
        assert frame.cloud.stamp == frame.stamp
        assert frame.cloud.time <= time <= frame.cloud.time + wait
        assert set(frame.images) | set(frame.missing) == {"left", "right"}
        for camera in ("left", "right"):
            there = [e for e in arrivals if e.camera == camera and e.time <= time]
            nearest = min((abs(e.stamp - frame.stamp) for e in there), default=TOLERANCE + 1)
            assert (camera in frame.images) == (nearest <= TOLERANCE)
            if camera in frame.images:
                stamp, image = frame.images[camera]
                assert (image.camera, image.stamp) == (camera, stamp)
                assert abs(stamp - frame.stamp) == nearest


@given(st.integers(0, 2**32 - 1))
def test_images_that_come_in_time_are_never_missed(seed):
    """With a wait beyond all delays the images are those that a search of the whole log finds."""
    rng = np.random.default_rng(seed)
    latency = rng.integers(0, 40 * MS, 3)
    period = int(rng.choice([33, 66, 100])) * MS
    left = images("left", int(rng.integers(period)), 2000 * MS // period, period, int(latency[0]))
    right = images("right", int(rng.integers(PERIOD)), 20, PERIOD, int(latency[1]))
    stamps = range(500 * MS + int(rng.integers(PERIOD)), 1600 * MS, PERIOD)
    clouds = [Arrival(stamp + int(latency[2]), stamp) for stamp in stamps]
    synchronizer, clock = make(wait=200 * MS)
    for _, frame in play(synchronizer, clock, left + right + clouds):
        for camera, sent in (("left", left), ("right", right)):
            nearest = min(abs(entry.stamp - frame.stamp) for entry in sent)
            assert nearest == abs(frame.images[camera][0] - frame.stamp)


OPERATION = st.tuples(
    st.sampled_from(["cloud", "left", "right", "take", "pass"]),
    st.one_of(st.integers(0, 20), st.integers(-10, 3000), st.just(0)),
    st.integers(0, 300),
)


@given(st.lists(OPERATION, max_size=60), st.sampled_from([0, WAIT]), st.integers(1, 3))
def test_any_order_of_calls_keeps_the_rules(operations, wait, depth):
    synchronizer, clock = make(wait=wait, depth=depth)
    taken = []
    for number, (kind, stamp, time) in enumerate(operations):
        clock.now += time * MS
        if kind == "cloud":
            synchronizer.add_cloud(stamp * MS, number)
        elif kind == "take":
            due = synchronizer.next_deadline()
            frame = synchronizer.take()
            assert (frame is not None) == (due is not None and due <= clock.now)
            if frame is not None:
                taken.append(frame)
        elif kind != "pass":
            synchronizer.add_image(kind, stamp * MS, number)
        check_counters(synchronizer)
    clock.now += wait
    taken += drain(synchronizer)
    assert synchronizer.waiting == 0
    assert len({frame.cloud for frame in taken}) == len(taken) == synchronizer.counters.taken
    for frame in taken:
        assert operations[frame.cloud][1] * MS == frame.stamp
        for stamp, image in frame.images.values():
            assert operations[image][1] * MS == stamp
            assert abs(stamp - frame.stamp) <= TOLERANCE
