"""What a pseudo-label is made of, and how labels are kept."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from wsss_perception.bundle import ModelSpec, NetworkSpec
from wsss_perception.errors import DatasetError
from wsss_perception.features import Feature
from wsss_perception.frame import UNKNOWN, PointCloud
from wsss_perception.ontology import load_ontology
from wsss_training.config_wsegpc import PoolConfig
from wsss_training.data.sample import Sample
from wsss_training.data.weak_labels import read_chosen
from wsss_training.pseudo_labels import (
    PseudoLabeller,
    log_prior,
    pool_opinions,
    write_pseudo_labels,
)

SPEC = ModelSpec(load_ontology("semantic_kitti"), NetworkSpec("small", 0.5), (Feature("z"),), 0.2)
CLASSES = len(SPEC.ontology)
CAR, ROAD, BUILDING = (SPEC.ontology.index(name) for name in ("car", "road", "building"))


def literal_pool(network, prior, region, a, b, r):
    """The definition, point by point: own = network^a prior^b; own^(1 - r) mean_region(own)^r."""
    own = []
    for n in range(len(network)):
        product = [
            max(network[n][c], 1e-6) ** a * (1 if prior is None else prior[n][c] ** b)
            for c in range(network.shape[1])
        ]
        own.append([value / sum(product) for value in product])
    pooled = []
    for n in range(len(network)):
        members = [m for m in range(len(network)) if region[m] == region[n] and region[n] >= 0]
        row = []
        for c in range(network.shape[1]):
            voted = sum(own[m][c] for m in members) / len(members) if members else own[n][c]
            row.append(own[n][c] ** (1 - r) * voted**r)
        pooled.append(row)
    return np.array(pooled).reshape(network.shape)


@settings(max_examples=60)
@given(
    st.integers(0, 10**6),
    st.integers(0, 12),
    st.sampled_from([0.0, 0.3, 1.0, 2.0]),
    st.sampled_from([None, 0.5, 1.0]),
    st.sampled_from([0.0, 0.5, 1.0]),
)
def test_pooled_opinions_equal_their_definition(seed, count, a, b, r):
    rng = np.random.default_rng(seed)
    network = rng.dirichlet(np.full(4, 0.3), count)  # often close to 0 and 1
    prior = None if b is None else rng.dirichlet(np.ones(4), count)
    region = rng.choice([-1, 5, 7], count)
    pooled = pool_opinions(
        torch.from_numpy(network),
        None if prior is None else torch.from_numpy(prior),
        torch.from_numpy(region),
        PoolConfig(prior=b or 0.0, network=a, regions=r),
    )
    expected = literal_pool(network, prior, region, a, b or 0.0, r)
    np.testing.assert_allclose(pooled, expected, atol=1e-6)


def test_the_papers_pool_is_the_mean_of_the_region():
    network = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])
    pooled = pool_opinions(network, None, torch.tensor([0, 0, -1]), PoolConfig())
    torch.testing.assert_close(pooled, torch.tensor([[0.55, 0.45], [0.55, 0.45], [0.3, 0.7]]))


def test_a_network_that_is_certain_can_still_be_outvoted():
    network = torch.tensor([[1.0, 0.0]])
    prior = log_prior(torch.tensor([[0.0, 1.0]])).softmax(dim=1)
    pool = PoolConfig(prior=3.0, network=1.0, regions=0.0)
    assert pool_opinions(network, prior, torch.tensor([-1]), pool).argmax() == 1


def test_a_class_that_tags_rule_out_for_the_prior_is_never_the_label():
    network, prior = torch.tensor([[0.9, 0.1, 0.0]]), torch.tensor([[0.0, 0.5, 0.5]])
    pool = PoolConfig(prior=0.1, network=1.0, regions=0.5)
    pooled = pool_opinions(network, prior, torch.tensor([0]), pool)
    assert torch.isfinite(pooled).all()
    assert pooled.argmax() == 1


def test_log_prior_is_finite_and_silent_rows_say_nothing():
    logs = log_prior(torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.7, 0.2]]))
    assert torch.isfinite(logs).all()
    assert logs[0].softmax(dim=0).tolist() == pytest.approx([1 / 3] * 3)
    assert logs[1].softmax(dim=0).tolist() == pytest.approx([1 / 903, 701 / 903, 201 / 903])


class ByHeight(nn.Module):
    """Takes low points for road and high ones for buildings, each with probability 0.8 or so."""

    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(CLASSES))

    def forward(self, coords, features):
        logits = self.bias.repeat(len(features), 1)
        logits[:, ROAD] += torch.where(features[:, 0] < 0, 4.0, 0.0)
        logits[:, BUILDING] += torch.where(features[:, 0] < 0, 0.0, 4.0)
        return logits


XYZ = np.float32([[1, 0, -1], [2, 0, -1], [3, 0, -1], [1, 0, 1], [2, 0, 1], [np.nan, 0, 0]])
NO_REGION = np.full(len(XYZ), -1, dtype=np.int32)


def sample(tags=None, name="00/000000"):
    known = None if tags is None else np.isin(np.arange(CLASSES), tags)
    return Sample(name, "00", PointCloud(XYZ), tags=known)


def labels(pool, prior=None, region=NO_REGION, tags=None):
    return PseudoLabeller(ByHeight(), SPEC, pool)(sample(tags), region, prior).tolist()


def test_points_outside_all_voxels_get_no_label():
    assert labels(PoolConfig()) == [ROAD] * 3 + [BUILDING] * 2 + [UNKNOWN]


def test_tags_rule_classes_out():
    # with road ruled out, cars and buildings are the same to the network in low points
    assert labels(PoolConfig(), tags=[CAR, BUILDING]) == [CAR] * 3 + [BUILDING] * 2 + [UNKNOWN]
    assert labels(PoolConfig(), tags=[BUILDING]) == [BUILDING] * 5 + [UNKNOWN]


def test_a_regions_majority_outvotes_its_points():
    region = np.int32([0, 0, 0, 0, 1, -1])
    assert labels(PoolConfig(), region=region) == [ROAD] * 4 + [BUILDING, UNKNOWN]
    own = PoolConfig(regions=0.0)
    assert labels(own, region=region) == [ROAD] * 3 + [BUILDING] * 2 + [UNKNOWN]


def test_points_on_which_the_prior_is_silent_get_no_label():
    prior = np.zeros((len(XYZ), CLASSES), dtype=np.float32)
    prior[:, ROAD] = [0.06, 0.04, 0.0, 0.03, 1.0, 1.0]
    prior[:, CAR] = [0.0, 0.0, 0.0, 0.03, 0.0, 0.0]
    pool = PoolConfig(prior=0.01, network=1.0, regions=0.0)
    expected = [ROAD, UNKNOWN, UNKNOWN, BUILDING, BUILDING, UNKNOWN]
    assert labels(pool, prior) == expected


def test_a_sure_prior_outvotes_the_network_where_it_counts():
    prior = np.zeros((len(XYZ), CLASSES), dtype=np.float32)
    prior[:, CAR] = 1.0
    assert labels(PoolConfig(prior=1.0), prior)[:5] == [CAR] * 5
    assert labels(PoolConfig(prior=0.1), prior)[:5] == [ROAD] * 3 + [BUILDING] * 2


class Walls(nn.Module):
    """Sure of a building, as one is in each scene; of a road too in low points, but less so."""

    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(CLASSES))

    def forward(self, coords, features):
        logits = self.bias.repeat(len(features), 1)
        logits[:, BUILDING] += 9.0
        logits[:, ROAD] += torch.where(features[:, 0] < 0, 4.0, 0.0)
        return logits


def test_centered_labels_are_where_a_class_stands_out():
    def label(tags, prior=None):
        labeller = PseudoLabeller(Walls(), SPEC, PoolConfig(prior=0.01 if prior else 0), True)
        known = None if prior is None else np.full((len(XYZ), CLASSES), 1 / CLASSES, np.float32)
        return labeller(sample(tags), NO_REGION, known).tolist()

    assert label([ROAD, BUILDING]) == [ROAD] * 3 + [BUILDING] * 2 + [UNKNOWN]
    assert label(None) == [BUILDING] * 5 + [UNKNOWN]  # without tags
    assert label([ROAD, BUILDING], prior=True) == [BUILDING] * 5 + [UNKNOWN]


class Scenes:
    """Two scenes with a prior; the test counts how often they are labelled."""

    def __init__(self):
        self.asked = []

    def sample(self, index):
        return sample(name=f"00/00000{index}")

    def region_of(self, sample):
        self.asked.append(sample.sample_id)
        return NO_REGION

    def prior_of(self, index, sample, classes):
        return None


def test_files_that_are_whole_are_counted_and_left_and_others_written_anew(tmp_path):
    labeller = PseudoLabeller(ByHeight(), SPEC, PoolConfig())
    folder, info = tmp_path / "labels", {"ontology": "semantic_kitti", "checkpoint": "a"}
    scenes = Scenes()
    first = write_pseudo_labels(folder, scenes, [0], labeller, info)
    assert (first[ROAD], first[BUILDING], first[-1], first.sum()) == (3, 2, 1, 6)
    path = folder / "00" / "000000.npz"
    stamp = path.stat().st_mtime_ns
    both = write_pseudo_labels(folder, scenes, [0, 1], labeller, info)
    assert both.tolist() == (2 * first).tolist()
    assert scenes.asked == ["00/000000", "00/000001"]
    assert path.stat().st_mtime_ns == stamp

    path.write_bytes(path.read_bytes()[:40])  # a disk that was full
    assert write_pseudo_labels(folder, scenes, [0, 1], labeller, info).tolist() == both.tolist()
    chosen = read_chosen(path, "00/000000", CLASSES)
    assert chosen.labels.tolist() == [ROAD] * 3 + [BUILDING] * 2
    assert chosen.indices.tolist() == [0, 1, 2, 3, 4]
    assert sorted(p.name for p in (folder / "00").iterdir()) == ["000000.npz", "000001.npz"]

    with pytest.raises(DatasetError, match="labels of another network, or of other logs"):
        write_pseudo_labels(folder, scenes, [0], labeller, {**info, "checkpoint": "b"})


def test_points_on_which_the_prior_is_silent_have_no_say_in_their_region():
    """The network takes all low points for road; two silent high ones would make buildings."""
    region = np.int32([0, -1, -1, 0, 0, -1])
    prior = np.zeros((len(XYZ), CLASSES), dtype=np.float32)
    prior[:3, [ROAD, BUILDING]] = 0.5
    expected = [ROAD] * 3 + [UNKNOWN] * 3
    assert labels(PoolConfig(prior=1.0), prior, region) == expected
    prior[3:5, [ROAD, BUILDING]] = 0.5
    assert labels(PoolConfig(prior=1.0), prior, region)[:2] == [BUILDING, ROAD]
