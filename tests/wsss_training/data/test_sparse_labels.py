"""Draws of few labelled points, from datasets in memory."""

import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsss_perception.errors import DatasetError
from wsss_perception.frame import UNKNOWN, PointCloud
from wsss_perception.ontology import load_ontology
from wsss_training.data.sample import Sample, scene_of
from wsss_training.data.sparse_labels import (
    STROKE_LENGTH,
    STROKE_RADIUS,
    draw_per_class,
    draw_scribbles,
    draw_share,
    on_stroke,
)


class MemorySet:
    """Samples in memory; the labels of each are given by its id."""

    ontology = load_ontology("semantic_kitti")

    def __init__(self, labels, channels=None, xyz=None):
        self.labels, self.sample_ids = labels, list(labels)
        self.channels, self.xyz = channels or {}, xyz or {}
        self.reads = []

    def __len__(self):
        return len(self.sample_ids)

    def __getitem__(self, index):
        name = self.sample_ids[index]
        self.reads.append(name)
        labels = self.labels[name]
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        points = rng.uniform(-5, 5, (len(labels), 3)).astype(np.float32)
        cloud = PointCloud(self.xyz.get(name, points), self.channels.get(name, {}), 0, "lidar")
        return Sample(name, scene_of(name), cloud, labels=labels)


some_labels = st.lists(st.sampled_from([0, 3, 18, UNKNOWN]), max_size=30).map(np.uint8)
names = st.builds("{}/{:06d}".format, st.sampled_from(["a", "b", "b_1"]), st.integers(0, 9))
sets = st.dictionaries(names, some_labels, min_size=1, max_size=6)


def as_dict(choices):
    return {
        choice.sample_id: dict(zip(choice.indices.tolist(), choice.labels.tolist(), strict=True))
        for choice in choices
    }


def check_subset(labels, choices):
    """Each sample has a choice, of distinct points in order, with their true labels."""
    assert [choice.sample_id for choice in choices] == list(labels)
    for choice in choices:
        true = labels[choice.sample_id]
        assert choice.points == len(true)
        assert (choice.indices.dtype, choice.labels.dtype) == (np.uint32, np.uint8)
        assert (np.diff(choice.indices.astype(int)) > 0).all()
        np.testing.assert_array_equal(choice.labels, true[choice.indices])
        assert (choice.labels != UNKNOWN).all()


def count_in_scene(labels, scene, label):
    return sum((labels[name] == label).sum() for name in labels if scene_of(name) == scene)


@settings(max_examples=50)
@given(sets, st.integers(1, 8), st.integers(0, 2**63))
def test_each_class_of_each_scene_gets_its_points(labels, count, seed):
    choices = list(draw_per_class(MemorySet(labels), count, seed))
    check_subset(labels, choices)
    chosen = {choice.sample_id: choice.labels for choice in choices}
    for scene in {scene_of(name) for name in labels}:
        for label in (0, 3, 18):
            there = count_in_scene(labels, scene, label)
            assert count_in_scene(chosen, scene, label) == min(count, there)


@settings(max_examples=50)
@given(sets, st.floats(0.001, 1), st.integers(0, 2**63))
def test_each_sweep_gets_its_share(labels, share, seed):
    choices = list(draw_share(MemorySet(labels), share, seed))
    check_subset(labels, choices)
    for choice in choices:
        labelled = (labels[choice.sample_id] != UNKNOWN).sum()
        assert abs(len(choice.indices) - share * labelled) <= 0.5


@settings(max_examples=50)
@given(sets, st.integers(1, 3), st.integers(0, 100))
def test_scribbles_start_where_points_are_drawn_and_keep_to_their_class(labels, strokes, seed):
    dataset = MemorySet(labels)
    choices = list(draw_scribbles(dataset, strokes, seed))
    check_subset(labels, choices)
    drawn = as_dict(choices)
    for name, starts in as_dict(draw_per_class(dataset, strokes, seed)).items():
        assert starts.items() <= drawn[name].items()


DRAWS = {
    "per_class": (draw_per_class, 4),
    "share": (draw_share, 0.3),
    "strokes": (draw_scribbles, 2),
}


@pytest.mark.parametrize("draw", DRAWS)
@settings(max_examples=25)
@given(labels=sets, seed=st.integers(0, 100))
def test_a_draw_follows_from_seed_and_sample_not_from_order(draw, labels, seed):
    function, amount = DRAWS[draw]
    first = as_dict(function(MemorySet(labels), amount, seed))
    turned = dict(reversed(labels.items()))
    assert as_dict(function(MemorySet(turned), amount, seed)) == first
    one = next(iter(labels))
    kept = [name for name in labels if scene_of(name) == scene_of(one)]
    kept = [one] if draw == "share" else kept
    alone = as_dict(function(MemorySet({name: labels[name] for name in kept}), amount, seed))
    assert alone == {name: first[name] for name in kept}


@pytest.mark.parametrize("draw", DRAWS)
def test_another_seed_or_sample_draws_other_points(draw):
    function, amount = DRAWS[draw]
    labels = {name: np.repeat(np.uint8([0, 18]), 500) for name in ("a/0", "b/0")}
    draws = [as_dict(function(MemorySet(labels), amount, seed)) for seed in (0, 1)]
    assert draws[0]["a/0"] != draws[1]["a/0"]
    assert draws[0]["a/0"] != draws[0]["b/0"]


def test_draws_are_fair():
    """Each of 30 points of a class, in two sweeps of a scene, is drawn about as often."""
    labels = {"a/0": np.zeros(10, np.uint8), "a/1": np.zeros(20, np.uint8)}
    hits = np.zeros(30)
    for seed in range(600):
        first, second = draw_per_class(MemorySet(labels), 3, seed)
        hits[first.indices.astype(int)] += 1
        hits[10 + second.indices.astype(int)] += 1
    assert hits.sum() == 1800
    assert (np.abs(hits - 60) < 5 * np.sqrt(60 * 0.9)).all()


def test_points_of_joined_sweeps_and_invalid_ones_are_not_drawn():
    labels = {"a/0": np.zeros(6, np.uint8)}
    xyz = np.zeros((6, 3), np.float32)
    xyz[1] = np.nan
    time = np.float32([0, 0, 0, -0.1, -0.1, -0.1])
    dataset = MemorySet(labels, {"a/0": {"time": time}}, {"a/0": xyz})
    for function, amount in DRAWS.values():
        (choice,) = function(dataset, amount if amount >= 1 else 1.0, 0)
        assert set(choice.indices.tolist()) <= {0, 2}
        assert choice.points == 6


def test_samples_without_labels_are_named():
    class Bare(MemorySet):
        def __getitem__(self, index):
            return replace(super().__getitem__(index), labels=None)

    dataset = Bare({"a/0": np.zeros(2, np.uint8)})
    for function, amount in DRAWS.values():
        with pytest.raises(DatasetError, match="a/0: no labels to draw from"):
            list(function(dataset, amount, 0))


@settings(max_examples=30)
@given(st.integers(0, 1000))
def test_strokes_are_narrow_level_and_short(seed):
    rng = np.random.default_rng(seed)
    cloud = rng.uniform(-5, 5, (4000, 3)).astype(np.float32) * [1, 1, 0.1]
    start = cloud[0].astype(np.float32)
    is_on = on_stroke(cloud, start, np.random.default_rng(seed))
    offset = cloud[is_on] - start
    assert is_on[0]
    assert (np.abs(offset[:, 2]) <= STROKE_RADIUS + 1e-6).all()
    assert (np.linalg.norm(offset, axis=1) <= np.hypot(STROKE_LENGTH, STROKE_RADIUS) + 1e-6).all()
    angle = np.random.default_rng(seed).uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    along, across = (offset[:, :2] @ turn.T).T
    assert (along >= -1e-6).all()
    assert (np.abs(across) <= STROKE_RADIUS + 1e-6).all()


def test_a_stroke_takes_all_points_along_it():
    angle = np.random.default_rng(4).uniform(0, 2 * np.pi)
    line = np.outer(np.linspace(-1, 4, 51), [np.cos(angle), np.sin(angle), 0]).astype(np.float32)
    is_on = on_stroke(line, np.zeros(3, np.float32), np.random.default_rng(4))
    assert is_on[11:40].all()  # 0.1 m apart, from 0 to 3 m
    assert not is_on[:9].any()
    assert not is_on[42:].any()


def test_scribbles_read_again_only_the_sweeps_they_are_drawn_on():
    labels = {f"a/{k}": np.zeros(5, np.uint8) for k in range(10)}
    dataset = MemorySet(labels)
    choices = list(draw_scribbles(dataset, 1, 0))
    assert len(dataset.reads) == 11
    assert sum(len(choice.indices) > 0 for choice in choices) == 1
