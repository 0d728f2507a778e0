from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from wsss_perception.bundle import ModelSpec, NetworkSpec
from wsss_perception.errors import DatasetError
from wsss_perception.features import Feature
from wsss_perception.frame import UNKNOWN, PointCloud
from wsss_perception.geometry import Camera
from wsss_perception.ontology import load_ontology
from wsss_training.augment import Compose, DropPoints, Rotate
from wsss_training.data.array_cache import ArrayCache
from wsss_training.data.draw_order import DrawGroup, DrawOrder
from wsss_training.data.sample import ImageSource, Sample
from wsss_training.data.scene_draws import INDEX
from wsss_training.data.supervised_sweeps import LabelSupervision, SupervisedSource
from wsss_training.data.transfer_draws import (
    TransferCollator,
    TransferDraws,
    favour_labelled,
)
from wsss_training.data.transfer_sweeps import (
    CONFIDENCE,
    PSEUDO_LABEL,
    TransferSettings,
    TransferSource,
    TransferSweeps,
    join_looks,
)

POINTS, CLASSES = 600, 19
SPEC = ModelSpec(
    load_ontology("semantic_kitti"),
    NetworkSpec("small", 0.25),
    (Feature("z"),),
    0.5,
    (-9.0, -9.0, -9.0, 9.0, 9.0, 9.0),
)
FORWARD = np.array([[0.0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
BACKWARD = FORWARD @ np.diag([-1.0, -1.0, 1.0, 1.0])
CAMERAS = [
    (Camera(60, 40, np.array([[30.0, 0, 30], [0, 30.0, 20], [0, 0, 1]])), FORWARD),
    (Camera(32, 40, np.array([[25.0, 0, 16], [0, 25.0, 20], [0, 0, 1]])), BACKWARD),
]


class Sweeps:
    """Three sweeps with images that are not there; channels remember where points were."""

    ontology = SPEC.ontology

    def __init__(self, tags: np.ndarray | None = None) -> None:
        rng = np.random.default_rng(0)
        self.sample_ids = [f"s/{number}" for number in range(3)]
        self.clouds = [rng.uniform(-10, 10, (POINTS, 3)).astype(np.float32) for _ in range(3)]
        self.labels = [np.full(POINTS, UNKNOWN, np.uint8) for _ in range(3)]
        for labels in self.labels:
            labels[:40] = rng.integers(0, CLASSES, 40)
        self.tags = tags

    def __getitem__(self, index: int) -> Sample:
        xyz = self.clouds[index]
        was = {f"was_{axis}": xyz[:, axis].copy() for axis in range(3)}
        images = tuple(
            ImageSource(str(k), Path(f"{index}_{k}.png"), camera, T_camera_lidar, 0)
            for k, (camera, T_camera_lidar) in enumerate(CAMERAS)
        )
        cloud, labels = PointCloud(xyz, was), self.labels[index]
        return Sample(self.sample_ids[index], "s", cloud, images, labels=labels, tags=self.tags)


class Teacher:
    """Point n is of class n mod 19, by a confidence of (n mod 7 + 1) / 10; maps tell the view."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.classes = 19
        self.teacher = SimpleNamespace(
            ontology=load_ontology("cityscapes"),
            probabilities=self.probabilities,
            probability_file=lambda path: path,
        )

    def __call__(self, sample: Sample) -> tuple[np.ndarray, np.ndarray]:
        (image,) = sample.images
        self.asked.append(image.path.stem)
        number = np.arange(POINTS)
        return (number % CLASSES).astype(np.uint8), ((number % 7 + 1) / 10).astype(np.float32)

    def probabilities(self, path: Path) -> np.ndarray:
        sweep, camera = map(int, path.stem.split("_"))
        width = CAMERAS[camera][0].width
        return np.full((self.classes, 5, width // 8), 10 * sweep + camera, np.float32)

    def files(self, _: Sample) -> list[Path]:
        return []


def make(teacher="own", tags=None, cache=None, weak="few", **settings) -> TransferSweeps:
    dataset = Sweeps(tags)
    if weak is None:
        dataset.labels = [np.full(POINTS, 4, np.uint8) for _ in range(3)]
    source = SupervisedSource(dataset, range(3), LabelSupervision(), False, weak_labels=weak)
    settings = {
        "views": 6,
        "reads_maps": True,
        "reads_labels": True,
        "sector_margin": None,
        **settings,
    }
    teacher = Teacher() if teacher == "own" else teacher
    return TransferSweeps([TransferSource(source, teacher, cache)], TransferSettings(**settings))


def draws_of(sweeps: TransferSweeps, most=10_000, seed=0, augment=None) -> TransferDraws:
    order = DrawOrder([DrawGroup(np.arange(3))], seed, 9)
    augment = augment or Compose([Rotate(3.0), DropPoints(0.5)])
    return TransferDraws(sweeps, order, augment, most, seed)


def was(cloud: PointCloud) -> np.ndarray:
    return np.column_stack([cloud.channels[f"was_{axis}"] for axis in range(3)])


def place_in(xyz: np.ndarray, camera: int) -> np.ndarray:
    """Where a point is in an image, as fractions, by the pinhole equation."""
    intrinsics, T_camera_lidar = CAMERAS[camera]
    x, y, z = T_camera_lidar[:3, :3] @ xyz
    matrix = intrinsics.matrix
    column = matrix[0, 0] * x / z + matrix[0, 2]
    row = matrix[1, 1] * y / z + matrix[1, 2]
    return np.array([(column + 0.5) / intrinsics.width, (row + 0.5) / intrinsics.height])


def test_augmented_points_keep_the_places_they_had_in_their_images():
    for number in range(3):
        draw = draws_of(make())[number]
        assert 40 < len(draw.pairs) < POINTS
        assert set(draw.pairs.view) == {0, 1}
        xyz = was(draw.points.cloud)
        assert not np.allclose(xyz, draw.points.cloud.xyz)
        for point, view, uv in zip(*vars(draw.pairs).values(), strict=True):
            np.testing.assert_allclose(uv, place_in(xyz[point].astype(float), view), atol=1e-5)
            assert ((uv >= 0) & (uv <= 1)).all()


def test_points_that_are_dropped_lose_their_pairs_alone():
    everything, some = draws_of(make(), augment=Compose([])), draws_of(make())
    (whole, part) = everything[1], some[1]
    assert len(part.points) < len(whole.points) == POINTS
    left = part.points.attributes[INDEX]
    kept = np.isin(whole.pairs.point, left)
    np.testing.assert_array_equal(left[part.pairs.point], whole.pairs.point[kept])
    np.testing.assert_array_equal(part.pairs.uv, whole.pairs.uv[kept])


def test_a_draw_depends_on_seed_and_number_alone():
    sweeps = make(views=1, sector_margin=0.2)
    once, again, other = (draws_of(sweeps, 50, seed)[4] for seed in (0, 0, 1))
    np.testing.assert_array_equal(once.points.cloud.xyz, again.points.cloud.xyz)
    np.testing.assert_array_equal(once.pairs.point, again.pairs.point)
    np.testing.assert_array_equal(once.maps[0], again.maps[0])
    assert not np.array_equal(once.points.cloud.xyz, other.points.cloud.xyz)


def test_pseudo_labels_are_of_seen_points_without_a_label():
    draw = draws_of(make())[0]
    index, pseudo = draw.points.attributes[INDEX], draw.points.attributes[PSEUDO_LABEL]
    known = pseudo != UNKNOWN
    assert known.any()
    np.testing.assert_array_equal(pseudo[known], index[known] % CLASSES)
    confidence = draw.points.attributes[CONFIDENCE][known]
    np.testing.assert_allclose(confidence, (index[known] % 7 + 1) / 10, rtol=1e-6)
    seen = np.isin(np.arange(len(index)), draw.pairs.point)
    np.testing.assert_array_equal(known, seen & (draw.points.labels == UNKNOWN))


def test_tags_rule_pseudo_labels_out():
    tags = np.zeros(CLASSES, dtype=bool)
    tags[[3, 5]] = True
    draw = draws_of(make(tags=tags))[0]
    pseudo = draw.points.attributes[PSEUDO_LABEL]
    assert set(np.unique(pseudo)) == {3, 5, UNKNOWN}
    np.testing.assert_array_equal(draw.tags, tags)


def test_few_points_are_taught_and_labelled_ones_first():
    whole = draws_of(make())[0]
    seen = np.unique(whole.pairs.point)
    labelled = seen[whole.points.labels[seen] != UNKNOWN]
    most = len(labelled) + 5
    draw = draws_of(make(), most)[0]
    taught = np.unique(draw.pairs.point)
    assert 5 < len(taught) == most < len(seen)
    assert np.isin(labelled, taught).all()
    pseudo = np.flatnonzero(draw.points.attributes[PSEUDO_LABEL] != UNKNOWN)
    np.testing.assert_array_equal(pseudo, np.setdiff1d(taught, labelled))


def test_one_view_of_many_brings_its_own_map():
    seen = set()
    for number in range(9):
        draw = draws_of(make(views=1))[number]
        (one,) = draw.maps
        view = int(one[0, 0, 0]) % 10
        seen.add(view)
        assert one.shape == (19, 5, CAMERAS[view][0].width // 8)
        assert (draw.pairs.view == 0).all()
        xyz = was(draw.points.cloud)[draw.pairs.point[0]].astype(float)
        np.testing.assert_allclose(draw.pairs.uv[0], place_in(xyz, view), atol=1e-5)
    assert seen == {0, 1}


def test_a_sector_keeps_all_of_a_few_labels_and_what_is_seen():
    sweeps = make(views=1, sector_margin=0.01)
    kept = 0
    for number in range(6):
        draw = draws_of(sweeps, augment=Compose([]))[number]
        assert (draw.points.labels != UNKNOWN).sum() == 40
        kept += len(draw.points)
        assert len(draw.pairs) == len(draws_of(make(views=1), augment=Compose([]))[number].pairs)
    assert kept < 6 * POINTS


def test_a_sector_of_many_labels_has_about_a_quarter_of_them():
    sweeps = make(weak=None, teacher=None, sector_margin=0.0)
    draw = draws_of(sweeps, augment=Compose([]))[0]
    assert (draw.points.labels == 4).all()
    assert 0.15 * POINTS < len(draw.points) < 0.35 * POINTS


def test_without_a_teacher_images_say_nothing():
    assert (make().map_size, make(teacher=None).map_size) == (19, 0)
    draw = draws_of(make(teacher=None))[0]
    assert (len(draw.pairs), draw.maps) == (0, ())
    assert (draw.points.attributes[PSEUDO_LABEL] == UNKNOWN).all()


def test_what_is_cached_is_the_same_and_not_computed_again(tmp_path):
    def drawn(teacher: Teacher):
        return draws_of(make(teacher, cache=ArrayCache(tmp_path, "v")))[0]

    first, expected = Teacher(), draws_of(make())[0]
    drawn(first)
    again, second = drawn(second := Teacher()), second
    sweep = first.asked[0][0]
    assert (first.asked, second.asked) == ([f"{sweep}_0", f"{sweep}_1"], [])
    for name, values in vars(expected.pairs).items():
        np.testing.assert_array_equal(getattr(again.pairs, name), values)
    for name, values in expected.points.attributes.items():
        np.testing.assert_array_equal(again.points.attributes[name], values)


def test_views_that_are_not_drawn_are_not_looked_at():
    teacher = Teacher()
    draw = draws_of(make(teacher, views=1))[0]
    assert len(teacher.asked) == len(draw.maps) == 1
    assert len(draw.pairs)
    nobody = draws_of(make(None))[0]
    assert (len(nobody.pairs), nobody.maps) == (0, ())


def test_a_point_takes_the_most_confident_label_of_its_views():
    looks = [
        {"point": [0, 2, 3], PSEUDO_LABEL: [5, 6, UNKNOWN], CONFIDENCE: [0.5, 0.9, 0.0]},
        {"point": [2, 0, 3], PSEUDO_LABEL: [7, 8, 9], CONFIDENCE: [0.2, 0.7, 0.1]},
    ]
    types = {"point": np.int32, PSEUDO_LABEL: np.uint8, CONFIDENCE: np.float32}
    arrays = [{key: np.array(values, types[key]) for key, values in look.items()} for look in looks]
    for look in arrays:
        look["uv"] = np.full((3, 2), 0.25, np.float32)
    pairs, labels, confidence = join_looks(arrays, 5)
    assert pairs.point.tolist() == [0, 2, 3, 2, 0, 3]
    assert pairs.view.tolist() == [0, 0, 0, 1, 1, 1]
    assert labels.tolist() == [8, UNKNOWN, 6, 9, UNKNOWN]
    np.testing.assert_allclose(confidence, [0.7, 0, 0.9, 0.1, 0])
    assert [len(part) for part in vars(join_looks([], 5)[0]).values()] == [0, 0, 0]


def test_maps_of_other_classes_are_refused():
    teacher = Teacher()
    teacher.classes = 2
    with pytest.raises(DatasetError, match="has 2 classes, the teacher's ontology 19"):
        draws_of(make(teacher))[0]


def test_a_batch_joins_points_voxels_views_and_pairs():
    tags = np.arange(CLASSES) < 4
    drawn = [draws_of(make())[0], draws_of(make(tags=tags))[1]]
    batch = TransferCollator(SPEC)(drawn)
    sizes = [len(draw.points) for draw in drawn]
    np.testing.assert_array_equal(batch.scene, np.repeat([0, 1], sizes))
    xyz = np.concatenate([draw.points.cloud.xyz for draw in drawn])
    inside = (np.abs(xyz) < 9).all(axis=1)
    np.testing.assert_array_equal(batch.of_point >= 0, inside)
    cells = np.column_stack([np.repeat([0, 1], sizes), np.floor(xyz / 0.5)])
    np.testing.assert_array_equal(batch.coords[batch.of_point[inside]], cells[inside])
    for name in (PSEUDO_LABEL, CONFIDENCE):
        found = batch.pseudo_labels if name == PSEUDO_LABEL else batch.confidence
        expected = np.concatenate([draw.points.attributes[name] for draw in drawn])
        np.testing.assert_array_equal(found, expected)
    assert [float(one[0, 0, 0]) % 10 for one in batch.maps] == [0, 1, 0, 1]
    lidar = np.concatenate([was(draw.points.cloud) for draw in drawn]).astype(float)
    pairs = zip(batch.pair_point, batch.pair_view, batch.pair_uv, strict=True)
    for point, view, uv in pairs:
        assert inside[point]
        assert view // 2 == batch.scene[point]
        np.testing.assert_allclose(uv, place_in(lidar[point], view % 2), atol=1e-5)
    assert len(batch.pair_point) < sum(len(draw.pairs) for draw in drawn)
    np.testing.assert_array_equal(batch.tags, [np.zeros(CLASSES), tags])
    assert batch.tagged.tolist() == [False, True]
    moved = batch.to(torch.device("meta"))
    assert all(one.device.type == "meta" for one in (moved.coords, *moved.maps))


def test_a_batch_of_clouds_out_of_range_has_placeholders():
    draw = draws_of(make())[0]
    far = draw.points.with_xyz(draw.points.cloud.xyz + 100)
    batch = TransferCollator(SPEC)([replace(draw, points=far)])
    assert len(batch.coords) == 2
    assert (batch.of_point == -1).all()
    assert len(batch.pair_point) == 0


def test_sweeps_with_labels_have_at_least_half_of_the_draws():
    labelled = np.array([True] + [False] * 9 + [True] * 6 + [False] * 4)
    groups = [DrawGroup(np.arange(10), 0.4, 3), DrawGroup(np.arange(10, 20), 0.6, 4)]
    rare, others, many = favour_labelled(groups, labelled)
    assert (rare.indices.tolist(), rare.share, rare.stream) == ([0], 0.2, 3)
    assert (others.indices.tolist(), others.share) == (list(range(1, 10)), 0.2)
    assert others.stream not in (1, 3, 4)
    assert many is groups[1]
    (none,) = favour_labelled([DrawGroup(np.arange(1, 10))], labelled)
    assert len(none.indices) == 9
