import pytest
from simulated_streams import (
    MS,
    PERIOD,
    WAIT,
    Arrival,
    add_images,
    check_counters,
    drain,
    images,
    make,
    play,
)


def test_waiting_clouds_leave_in_the_order_of_their_stamps():
    synchronizer, clock = make(["left"])
    add_images(synchronizer, clock, "left", 900 * MS)
    for stamp in (1020, 1000, 1010):
        synchronizer.add_cloud(stamp * MS, stamp)
    clock.now += WAIT
    assert [frame.cloud for frame in drain(synchronizer)] == [1000, 1010, 1020]


def test_cloud_that_comes_late_is_taken_late():
    synchronizer, clock = make(wait=0)
    taken = []
    for stamp in (1000, 1200, 1100, 1300):
        clock.now = stamp * MS
        synchronizer.add_cloud(stamp * MS, stamp)
        taken += [frame.cloud for frame in drain(synchronizer)]
    assert taken == [1000, 1200, 1100, 1300]
    assert synchronizer.counters.jumps == 0


@pytest.mark.parametrize("is_taken", [True, False])
def test_duplicates_are_refused_and_counted(is_taken):
    synchronizer, clock = make(wait=0)
    synchronizer.add_cloud(1000 * MS, "first")
    frames = drain(synchronizer) if is_taken else []
    clock.now += 400 * MS
    synchronizer.add_cloud(1000 * MS, "again")
    frames += drain(synchronizer)
    assert [frame.cloud for frame in frames] == ["first"]
    assert synchronizer.counters.duplicates == 1
    check_counters(synchronizer)


def test_clouds_of_two_sensors_with_one_stamp_are_both_taken():
    synchronizer, clock = make(wait=0)
    taken = []
    for number, kind in enumerate([("front", 800), ("rear", 800), ("rear", 816), ("rear", 816)]):
        clock.now += 10 * MS
        synchronizer.add_cloud(1000 * MS, number, kind=kind)
        taken += [frame.cloud for frame in drain(synchronizer)]
    assert taken == [0, 1, 2]
    assert synchronizer.counters.duplicates == 1
    check_counters(synchronizer)


def test_looping_bag_of_a_few_clouds_has_no_duplicates():
    synchronizer, clock = make(wait=0)
    stamps = [1000 * MS + number % 4 * PERIOD for number in range(40)]
    arrivals = [Arrival(number * PERIOD, stamp) for number, stamp in enumerate(stamps)]
    assert len(play(synchronizer, clock, arrivals)) == 40
    assert synchronizer.counters.duplicates == synchronizer.counters.jumps == 0


def test_clouds_without_a_stamp_are_all_taken():
    synchronizer, clock = make(wait=0)
    arrivals = [Arrival(n * MS, stamp * MS) for n, stamp in enumerate((7000, 0, 0, 0, 7100))]
    assert len(play(synchronizer, clock, arrivals)) == 5
    assert synchronizer.counters.duplicates == synchronizer.counters.jumps == 0


def test_looping_bag_of_less_than_a_second_loses_no_cloud():
    synchronizer, clock = make(["left"], wait=0)
    one_pass = [(stamp, None) for stamp in range(PERIOD, 10 * PERIOD, PERIOD)]
    one_pass += [(stamp - 5 * MS, "left") for stamp, _ in one_pass]
    arrivals = [
        Arrival(loop * 1000 * MS + stamp, stamp, camera)
        for loop in range(5)
        for stamp, camera in one_pass
    ]
    taken = play(synchronizer, clock, arrivals)
    assert len(taken) == 5 * 9
    for time, frame in taken:
        image_stamp, image = frame.images["left"]
        assert (image_stamp, image.time) == (frame.stamp - 5 * MS, time - 5 * MS)


@pytest.mark.parametrize("cloud_delay", [4 * MS, 7 * MS])
def test_jump_back_mixes_no_times_and_loses_nothing(cloud_delay):
    """A bag of 5 s plays twice; on the second pass a cloud comes first, or an image."""
    delays = {None: cloud_delay, "left": 5 * MS, "right": 9 * MS}
    arrivals = [
        Arrival(start + stamp + delay, stamp, camera)
        for start in (0, 5000 * MS)
        for stamp in range(PERIOD, 5000 * MS, PERIOD)
        for camera, delay in delays.items()
    ]
    synchronizer, clock = make()
    taken = play(synchronizer, clock, arrivals)
    assert len(taken) == 2 * 49
    assert synchronizer.counters.jumps == 1
    for time, frame in taken:
        assert frame.missing == () or time < 2 * PERIOD  # cameras are not known from the start
        for image_stamp, image in frame.images.values():
            assert image_stamp == frame.stamp
            assert abs(image.time - time) < 10 * MS, "an image of the other pass"


def test_jump_back_releases_waiting_clouds_as_they_are():
    synchronizer, clock = make(["left"], depth=1)
    add_images(synchronizer, clock, "left", 4900 * MS)
    for stamp in (4920, 4940):
        synchronizer.add_cloud(stamp * MS, stamp)
    synchronizer.add_cloud(100 * MS, 100)
    assert [frame.cloud for frame in drain(synchronizer)] == [4920, 4940]
    add_images(synchronizer, clock, "left", 101 * MS)
    frame = synchronizer.take()
    assert (frame.cloud, frame.images["left"][0]) == (100, 101 * MS)
    assert synchronizer.counters.dropped == 0


def test_clouds_from_before_a_jump_leave_first():
    synchronizer, _ = make(wait=0)
    for stamp in (5000, 100):
        synchronizer.add_cloud(stamp * MS, stamp)
    assert [frame.cloud for frame in drain(synchronizer)] == [5000, 100]


def test_camera_whose_time_jumps_back_spoils_itself_only():
    synchronizer, clock = make(wait=0)
    add_images(synchronizer, clock, "left", 1000 * MS)
    add_images(synchronizer, clock, "right", 1000 * MS, 300 * MS)
    synchronizer.add_cloud(1010 * MS, "new")
    synchronizer.add_cloud(310 * MS, "old")
    found = {frame.cloud: set(frame.images) for frame in drain(synchronizer)}
    assert found == {"old": {"right"}, "new": {"left"}}
    assert synchronizer.counters.jumps == 0


def test_cloud_of_the_far_future_costs_no_other_cloud():
    synchronizer, clock = make(["left"])
    arrivals = images("left", 0, 30) + [Arrival(t, t) for t in range(PERIOD, 2500 * MS, PERIOD)]
    arrivals.append(Arrival(1250 * MS, 10**18))
    taken = play(synchronizer, clock, arrivals)
    assert len(taken) == 25
    assert synchronizer.counters.jumps == 1
    assert sum(frame.missing == () for _, frame in taken) >= 23
