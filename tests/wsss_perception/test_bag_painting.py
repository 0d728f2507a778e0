"""Bags segmented by a model that takes images."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
from made_bags import TYPES, write_bag

from wsss_perception.bag import cameras, open_bag, segment_bag
from wsss_perception.bundle import ModelSpec, NetworkSpec
from wsss_perception.features import PAINTED, Feature
from wsss_perception.messages import image
from wsss_perception.messages.point_cloud2 import decode as decode_cloud
from wsss_perception.ontology import Ontology
from wsss_perception.segmenter import Segmenter

ONTOLOGY = Ontology("t", ("low", "high"), ((255, 0, 0), (0, 0, 255)), ((1,), (2,)))
FEATURES = (Feature("z"), *(Feature(name, fill=0.0) for name in PAINTED))
SPEC = ModelSpec(ONTOLOGY, NetworkSpec("none"), FEATURES, 0.5, cameras="optional")
COLOR = (200, 100, 50)


class Recorder:
    """An engine that keeps the painted part of its inputs."""

    name = "recorder"

    def __init__(self):
        self.painted = []

    def __call__(self, coords, features):
        self.painted.append(features[:, 1:])
        return np.zeros((len(coords), 2), dtype=np.float32)


def solid(stamp):
    pixels = np.full((12, 16, 3), COLOR, np.uint8)
    return image.encode_rgb8(pixels, stamp, "front_optical", TYPES)


def painted_of(tmp_path, **bag):
    """What the network gets of each cloud of a bag, and the counts ``seen`` of its points."""
    engine, seen = Recorder(), []
    path = write_bag(tmp_path / "in", encode=solid, points=300, **bag)
    counts = segment_bag(
        path,
        tmp_path / "out",
        Segmenter(SPEC, engine),
        observer=lambda _number, _frame, semantic: seen.append(semantic.seen),
    )
    assert (counts.clouds, counts.failed) == (5, 0)
    return engine.painted, seen


def test_segment_bag_paints_its_clouds_with_their_images(tmp_path):
    painted, seen = painted_of(tmp_path)
    for voxels, count in zip(painted, seen, strict=True):
        wholly = voxels[:, 3] == 1  # voxels of which every point is seen
        assert 0 < wholly.sum() < len(voxels)
        np.testing.assert_allclose(voxels[wholly, :3], np.float32([COLOR] * wholly.sum()) / 255)
        assert not voxels[voxels[:, 3] == 0].any()
        assert 0 < count.sum() < len(count)


def test_images_are_decoded_only_where_somebody_needs_their_pixels(tmp_path, monkeypatch):
    decoded = []

    def decode(message):
        decoded.append(message)
        return image.decode(message)

    monkeypatch.setattr(cameras, "image", SimpleNamespace(decode=decode))
    blind = replace(SPEC, features=SPEC.features[:1], cameras="none")
    path = write_bag(tmp_path / "in", encode=solid, points=300)
    segment_bag(path, tmp_path / "blind", Segmenter(blind, Recorder()))
    assert decoded == []
    segment_bag(path, tmp_path / "painted", Segmenter(SPEC, Recorder()))
    assert len(decoded) == 5
    counts = []
    for name in ("blind", "painted"):
        with open_bag(tmp_path / name) as bag:
            clouds = [c for c in bag.connections if c.topic.endswith("semantic_points")]
            messages = [decode_cloud(bag.deserialize(m)) for m in bag.messages(clouds)]
        counts.append(np.concatenate([cloud.channels["seen"] for cloud in messages]))
    np.testing.assert_array_equal(*counts)
    assert counts[0].any()


def test_a_missing_and_a_damaged_image_leave_their_clouds_unpainted(tmp_path):
    def damage(topic, stamp, message):
        if topic == "/rig/front/image" and stamp == 210:
            return replace(message, data=message.data[:-9])
        return message

    painted, seen = painted_of(tmp_path, images=[110, 210, 410, 510], change=damage)
    assert [bool(voxels.any()) for voxels in painted] == [True, False, False, True, True]
    # a camera sees whatever becomes of its image, as the node has it
    assert [bool(count.any()) for count in seen] == [True, True, False, True, True]
