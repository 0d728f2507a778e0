"""What pseudo-labels of fused embeddings are made of."""

import numpy as np
import pytest
import torch

from wsss_perception.frame import UNKNOWN, PointCloud
from wsss_perception.texts import TextEmbeddings
from wsss_training.config_vlg import VLGConfig
from wsss_training.data.fused_store import FusedStore
from wsss_training.data.sample import Sample
from wsss_training.labelling_vlg import EmbeddingLabeller, label_embeddings
from wsss_training.networks.text_logits import TextLogits
from wsss_training.regions.cached import CachedRegions

SIZE, CLASSES = 5, ("a", "b", "c")
NAMES = ("a", "b", "c", "b", "background: none")


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def texts() -> TextLogits:
    vectors = unit(np.random.default_rng(3).standard_normal((5, SIZE)))
    return TextLogits(TextEmbeddings(NAMES, vectors, "some"), CLASSES, 10.0)


def literal(embeddings, texts, tags, region, share):
    """The definition, point by point."""
    vectors = texts.vectors.numpy()
    opinions = []
    for f in embeddings:
        z = [10.0 * float(f @ t) for t in vectors]
        z = [z[0], max(z[1], z[3]), z[2], z[4]]
        p = [np.exp(v) if k == 3 or tags is None or tags[k] else 0.0 for k, v in enumerate(z)]
        opinions.append([max(value / sum(p), 1e-6) for value in p])
    labels = []
    for n, own in enumerate(opinions):
        mine = [n] if region is None or region[n] < 0 else np.flatnonzero(region == region[n])
        normal = [[v / sum(opinions[m]) for v in opinions[m]] for m in mine]
        mean = np.mean(normal, axis=0)
        pooled = [o ** (1 - share) * v**share for o, v in zip(own, mean, strict=True)]
        best = int(np.argmax(pooled))
        labels.append(UNKNOWN if best == 3 else best)
    return labels


@pytest.mark.parametrize("tags", [None, [True, False, True], [False, True, False]])
@pytest.mark.parametrize("share", [None, 0.0, 0.5, 1.0])
def test_labels_are_those_of_the_definition(texts, tags, share):
    rng = np.random.default_rng(0)
    embeddings = unit(rng.standard_normal((80, SIZE)))
    region = None if share is None else rng.integers(-1, 12, 80)
    tags = None if tags is None else np.array(tags)
    found = label_embeddings(embeddings, texts, tags, region, share or 0.0)
    expected = literal(embeddings, texts, tags, region, share or 0.0)
    assert found.tolist() == expected
    assert found.dtype == np.uint8
    assert UNKNOWN in expected
    if tags is not None:
        assert set(np.unique(found)) <= {*np.flatnonzero(tags), UNKNOWN}


@pytest.mark.parametrize("names", [NAMES[:4], NAMES])
def test_a_scene_whose_tags_leave_no_class_gets_no_label(names):
    vectors = unit(np.random.default_rng(3).standard_normal((len(names), SIZE)))
    texts = TextLogits(TextEmbeddings(names, vectors, "some"), CLASSES, 10.0)
    for region in (None, np.zeros(4, np.int64)):
        found = label_embeddings(vectors[:4], texts, np.zeros(3, bool), region, 0.5)
        assert (found == UNKNOWN).all()


def test_votes_change_labels(texts):
    rng = np.random.default_rng(0)
    embeddings, region = unit(rng.standard_normal((80, SIZE))), rng.integers(0, 8, 80)
    alone = label_embeddings(embeddings, texts, None, None, 1.0)
    voted = label_embeddings(embeddings, texts, None, region, 1.0)
    assert (alone != voted).any()
    for each in range(8):
        assert len(np.unique(voted[region == each])) == 1


def test_points_that_no_image_shows_get_no_label(texts, tmp_path):
    store = FusedStore(tmp_path / "fused", None, SIZE, {})
    embeddings = texts.vectors.numpy()[[0, 1, 2, 3]].copy()
    embeddings[2] = 0
    store.write("s/0", embeddings, "g")
    labeller = EmbeddingLabeller(store, texts, VLGConfig(), None)
    cloud = PointCloud(np.zeros((4, 3), np.float32))
    assert labeller(0, Sample("s/0", "s", cloud)).tolist() == [0, 1, UNKNOWN, 1]
    tagged = Sample("s/0", "s", cloud, tags=np.array([False, True, True]))
    assert 0 not in labeller(0, tagged)


def test_regions_vote_among_the_points_that_are_seen(texts, tmp_path):
    store = FusedStore(tmp_path / "fused", None, SIZE, {})
    rng = np.random.default_rng(0)
    plane = np.column_stack([rng.uniform(0, 2, (300, 2)), np.zeros(300)]).astype(np.float32)
    embeddings = texts.vectors.numpy()[np.where(np.arange(300) < 200, 0, 2)].copy()
    embeddings[::3] = 0
    store.write("s/0", embeddings, "g")
    config = VLGConfig(regions="supervoxels", region_share=1.0)
    regions = CachedRegions("supervoxels", tmp_path)
    labels = EmbeddingLabeller(store, texts, config, regions)(
        0, Sample("s/0", "s", PointCloud(plane))
    )
    assert (labels[::3] == UNKNOWN).all()
    seen = np.arange(300) % 3 != 0
    alone = label_embeddings(embeddings[seen], texts, None, None, 1.0)
    assert (labels[seen] != UNKNOWN).all()
    assert (labels[seen] != alone).any()


def test_labels_do_not_need_a_gradient(texts):
    label_embeddings(np.zeros((2, SIZE), np.float32), texts, None, None, 1.0)
    assert torch.is_grad_enabled()
