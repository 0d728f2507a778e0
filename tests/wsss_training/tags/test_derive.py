import numpy as np

from wsss_perception.frame import UNKNOWN
from wsss_training.tags.derive import count_labels, derive_tags, map_counts


def test_labels_are_counted_over_all_sweeps_of_a_scene(make_sample):
    samples = [
        make_sample("a", 0, [0] * 12 + [1] * 19 + [UNKNOWN] * 29),
        make_sample("b", 0, [2] * 60),
        make_sample("a", 1, [0] * 8 + [1] * 0 + [UNKNOWN] * 52),
        make_sample("c", 0),
    ]
    counts = count_labels(iter(samples))
    assert list(counts) == ["a", "b", "c"]
    assert counts["a"][[0, 1, 2, UNKNOWN]].tolist() == [20, 19, 0, 81]
    assert not counts["c"].any()


def test_points_of_joined_sweeps_are_counted_once(make_sample):
    time = np.repeat(np.float32([0, -0.1]), [40, 20])
    sample = make_sample("a", 1, [0] * 40 + [1] * 20, channels={"time": time})
    assert count_labels([sample])["a"][:2].tolist() == [40, 0]


def test_class_is_tagged_from_the_least_number_of_points_on(things):
    counts = {"a": np.zeros(256, np.int64)}
    counts["a"][[0, 1, 3]] = [20, 19, 21]
    assert derive_tags(counts, things).classes == {"a": {"floor", "table"}}
    assert derive_tags(counts, things, 19).classes == {"a": {"floor", "wall", "table"}}
    assert derive_tags(counts, things, 22).classes == {"a": frozenset()}


def test_scene_without_a_known_point_stays_untagged(things):
    unlabelled, only_unknown = np.zeros((2, 256), np.int64)
    only_unknown[UNKNOWN] = 1000
    tags = derive_tags({"a": unlabelled, "b": only_unknown}, things)
    assert tags.classes == {}


def test_counts_of_classes_that_mean_the_same_are_added():
    counts = np.zeros(256, np.int64)
    counts[[0, 1, 2, UNKNOWN]] = [12, 9, 5, 7]
    table = np.full(256, UNKNOWN, np.uint8)
    table[[0, 1]] = 3
    mapped = map_counts(counts, table)
    assert mapped[3] == 21
    assert mapped[UNKNOWN] == 12
    assert mapped.sum() == counts.sum()
