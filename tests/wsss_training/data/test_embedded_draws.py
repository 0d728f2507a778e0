from types import SimpleNamespace

import numpy as np
import pytest

from wsss_perception.bundle import ModelSpec, NetworkSpec
from wsss_perception.features import Feature
from wsss_perception.frame import UNKNOWN, PointCloud
from wsss_perception.ontology import load_ontology
from wsss_training.augment import Compose, DropPoints, Rotate
from wsss_training.data.draw_order import DrawGroup, DrawOrder
from wsss_training.data.embedded_draws import ROW, EmbeddedCollator, EmbeddedDraws, EmbeddedSweeps
from wsss_training.data.fused_store import FusedStore
from wsss_training.data.labelled_points import LabelledPoints
from wsss_training.data.labelled_rows import LabelledRows, collate_rows
from wsss_training.data.weak_labels import ChosenPoints, write_chosen
from wsss_training.regions import cached
from wsss_training.regions.cached import CachedRegions

SIZE, POINTS, SEEN = 4, 400, 300
SPEC = ModelSpec(
    load_ontology("semantic_kitti"),
    NetworkSpec("small", 0.25),
    (Feature("z"),),
    0.5,
    (-5.0, -5.0, -5.0, 5.0, 5.0, 5.0),
)


def embedding_of(xyz: np.ndarray) -> np.ndarray:
    """Unit vectors that tell where a point was."""
    rows = np.column_stack([xyz, np.ones(len(xyz))])
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class Source:
    """Two sweeps whose first 300 points are seen; a channel remembers where they were."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.dataset = SimpleNamespace(sample_ids=["s/0", "s/1"])
        self.indices, self.has_teacher = (0, 1), False
        self.clouds = [rng.uniform(-6, 6, (POINTS, 3)).astype(np.float32) for _ in range(2)]

    def read(self, index):
        xyz = self.clouds[index]
        was = {f"was_{axis}": xyz[:, axis].copy() for axis in range(3)}
        labels = np.where(np.arange(POINTS) < SEEN, xyz[:, 0] > 0, UNKNOWN).astype(np.uint8)
        return LabelledPoints(PointCloud(xyz, was), labels, np.ones(POINTS, np.float32))


@pytest.fixture
def sweeps(tmp_path) -> EmbeddedSweeps:
    source, store = Source(), FusedStore(tmp_path / "fused", None, SIZE, {})
    for number, xyz in enumerate(source.clouds):
        embeddings = embedding_of(xyz).astype(np.float32)
        embeddings[SEEN:] = 0
        store.write(f"s/{number}", embeddings, "g")
    return EmbeddedSweeps([source], [store])


def draws_of(sweeps, most=50, seed=0, margin=None) -> EmbeddedDraws:
    order = DrawOrder([DrawGroup(np.arange(2))], seed, 6)
    augmentation = Compose([Rotate(3.0), DropPoints(0.3)])
    return EmbeddedDraws(sweeps, order, augmentation, margin, most, seed)


def was(cloud: PointCloud) -> np.ndarray:
    return np.column_stack([cloud.channels[f"was_{axis}"] for axis in range(3)])


def test_points_know_their_rows(sweeps):
    rows = sweeps[1].attributes[ROW]
    np.testing.assert_array_equal(rows, [*range(SEEN), *[-1] * (POINTS - SEEN)])


@pytest.mark.parametrize("margin", [None, 0.2])
def test_a_draw_has_the_embeddings_of_its_own_points(sweeps, margin):
    for draw in range(4):
        drawn = draws_of(sweeps, margin=margin)[draw]
        assert len(drawn.chosen) == len(drawn.embeddings) == 50
        places = was(drawn.points.cloud)[drawn.chosen]
        np.testing.assert_allclose(drawn.embeddings, embedding_of(places), atol=2e-3)


def test_a_draw_depends_on_seed_and_number_alone(sweeps):
    once, again, other = draws_of(sweeps)[3], draws_of(sweeps)[3], draws_of(sweeps, seed=1)[3]
    np.testing.assert_array_equal(once.chosen, again.chosen)
    np.testing.assert_array_equal(once.points.cloud.xyz, again.points.cloud.xyz)
    assert not np.array_equal(once.chosen, other.chosen)


def test_a_batch_pairs_each_embedding_with_the_voxel_of_its_point(sweeps):
    drawn = [draws_of(sweeps)[0], draws_of(sweeps)[1]]
    batch = EmbeddedCollator(SPEC)(drawn)
    expected_cells, expected, labels = [], [], []
    for number, cloud in enumerate(drawn):
        for point, embedding in zip(cloud.chosen, cloud.embeddings, strict=True):
            xyz = cloud.points.cloud.xyz[point]
            if (np.abs(xyz) < 5).all():
                expected_cells.append([number, *np.floor(xyz / 0.5)])
                expected.append(embedding)
                labels.append(was(cloud.points.cloud)[point, 0] > 0)
    assert 0 < len(expected) < 100, "some points are out of range"
    np.testing.assert_array_equal(batch.coords[batch.voxels], expected_cells)
    np.testing.assert_array_equal(batch.embeddings, expected)
    np.testing.assert_array_equal(batch.labels, labels)
    assert batch.embeddings.dtype == batch.features.dtype


def test_a_batch_numbers_the_regions_of_its_clouds_through(sweeps, tmp_path, monkeypatch):
    monkeypatch.setitem(cached.REGIONS, "five", lambda cloud: np.arange(len(cloud)) % 6 - 1)
    regions = CachedRegions("five", tmp_path / "regions")
    known = EmbeddedSweeps(sweeps.sources, sweeps._stores, regions)
    drawn = [draws_of(known)[0], draws_of(known)[1]]
    expected = []
    for number, cloud in enumerate(drawn):
        for point, region in zip(cloud.chosen, cloud.region, strict=True):
            place = was(cloud.points.cloud)[point]
            xyz = known.sources[0].clouds[draws_of(known)._order[number]]
            assert region == np.flatnonzero((xyz == place).all(axis=1))[0] % 6 - 1
            if (np.abs(cloud.points.cloud.xyz[point]) < 5).all():
                first = number * (drawn[0].region.max() + 1)
                expected.append(-1 if region < 0 else region + first)
    np.testing.assert_array_equal(EmbeddedCollator(SPEC)(drawn).region, expected)
    assert (drawn[0].region == -1).any()
    assert (EmbeddedCollator(SPEC)([draws_of(sweeps)[0]]).region == -1).all()


def test_rows_are_drawn_with_their_labels(sweeps, tmp_path):
    labelled = np.arange(0, SEEN, 2, dtype=np.uint32)
    for number in range(2):
        labels = (labelled % 19).astype(np.uint8)
        path = tmp_path / "labels" / f"s/{number}.npz"
        write_chosen(path, ChosenPoints(f"s/{number}", labelled, labels, POINTS))
    rows = LabelledRows(sweeps, [tmp_path / "labels"], 19, [0, 1, None], 40, 0)
    assert len(rows) == 3
    for number in range(2):
        embeddings, labels = rows[number]
        xyz = sweeps.sources[0].clouds[number]
        for embedding, label in zip(embeddings, labels, strict=True):
            (point,) = np.flatnonzero(
                np.abs(embedding_of(xyz)[:SEEN] - embedding).max(axis=1) < 1e-3
            )
            assert point % 2 == 0
            assert label == point % 19
        assert len(np.unique(embeddings, axis=0)) == 40
    assert rows[2][0].shape == (0, SIZE)
    embeddings, labels = collate_rows([rows[0], rows[2]])
    assert (tuple(embeddings.shape), tuple(labels.shape)) == ((40, SIZE), (40,))
