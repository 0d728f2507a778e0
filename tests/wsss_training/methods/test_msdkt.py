import numpy as np
import pytest
import torch
from torch.nn import functional

from wsss_perception.bundle import NetworkSpec
from wsss_perception.frame import UNKNOWN
from wsss_perception.networks.minkunet import MinkUNet
from wsss_perception.texts import TextEmbeddings
from wsss_training.config import OptimizationConfig
from wsss_training.config_msdkt import MSDKTConfig
from wsss_training.data.placeholder import fill_empty
from wsss_training.data.training_set import Batch
from wsss_training.data.transfer_draws import TransferBatch
from wsss_training.losses.lovasz import lovasz_softmax
from wsss_training.losses.tag_loss import tag_loss
from wsss_training.methods.msdkt import MSDKT, TextAnchors
from wsss_training.networks.deformable_transfer import pyramid

CLASSES, MAP, POINTS = 4, 5, 90
NAMES = ("a", "b", "c", "d")
CLASS_WEIGHTS = np.array([1.0, 2.0, 0.5, 3.0], np.float32)


@pytest.fixture
def build(monkeypatch):
    def made(anchors=None, varying=(True,) * CLASSES, **changes) -> MSDKT:
        torch.manual_seed(0)
        network = MinkUNet(NetworkSpec("small", 0.25), 1, CLASSES)
        values = {"scales": 2, "samples": 3, "hidden": 8, "tag_weight": 0.5, **changes}
        config = MSDKTConfig(**values)
        varying = np.array(varying)
        module = MSDKT(network, config, OptimizationConfig(), CLASS_WEIGHTS, MAP, anchors, varying)
        logged: dict[str, torch.Tensor] = {}
        monkeypatch.setattr(module, "log", lambda name, loss, **_: logged.update({name: loss}))
        module.logged = logged
        return module.eval()  # BatchNorm of its running means: rows can be compared one by one

    return made


def batch_of(seed=0) -> TransferBatch:
    """Two clouds; of the second one's views one is smaller, its scene has tags."""
    rng = np.random.default_rng(seed)
    cells = np.unique(rng.integers(0, 12, (POINTS, 3)), axis=0)
    half = len(cells) // 2
    batch = (np.arange(len(cells)) >= half).astype(np.int64)
    coords = np.column_stack([batch, cells]).astype(np.int32)
    of_point = rng.integers(-1, len(cells), POINTS)
    of_point[:3] = -1
    scene = np.where(of_point < 0, 0, batch[of_point])
    labels = np.where(rng.random(POINTS) < 0.3, rng.integers(0, CLASSES, POINTS), UNKNOWN)
    pseudo = np.where(labels == UNKNOWN, rng.integers(0, CLASSES, POINTS), UNKNOWN)
    inside = np.flatnonzero(of_point >= 0)
    pairs = rng.choice(inside, 50)
    numbers = torch.from_numpy
    return TransferBatch(
        coords=numbers(coords),
        features=numbers(rng.standard_normal((len(cells), 1)).astype(np.float32)),
        of_point=numbers(of_point),
        scene=numbers(scene),
        labels=numbers(labels.astype(np.int64)),
        pseudo_labels=numbers(pseudo.astype(np.int64)),
        confidence=numbers(rng.random(POINTS).astype(np.float32)),
        maps=tuple(
            numbers(rng.random((MAP, *size)).astype(np.float32)) for size in ((6, 9), (3, 4))
        ),
        pair_point=numbers(pairs),
        pair_view=numbers(rng.integers(0, 2, 50)),
        pair_uv=numbers(rng.random((50, 2)).astype(np.float32)),
        tags=torch.tensor([[False] * CLASSES, [True, False, True, False]]),
        tagged=torch.tensor([False, True]),
    )


def cross_entropy(rows: list[torch.Tensor], labels: list[int]) -> torch.Tensor:
    """Mean over points, weighted by their classes, one by one."""
    total, weight = torch.tensor(0.0), 0.0
    for row, label in zip(rows, labels, strict=True):
        total = total - float(CLASS_WEIGHTS[label]) * row.log_softmax(dim=0)[label]
        weight += float(CLASS_WEIGHTS[label])
    return total / weight


def labelled(batch: TransferBatch) -> list[int]:
    pairs = zip(batch.labels.tolist(), batch.of_point.tolist(), strict=True)
    return [n for n, (label, voxel) in enumerate(pairs) if label != UNKNOWN and voxel >= 0]


def features_of(module: MSDKT, batch: TransferBatch, level: int) -> dict[int, torch.Tensor]:
    """The feature at a decoder level of each point in a voxel, by its cell."""
    found = module.network.levels(batch.coords, batch.features)[level]
    rows = zip(found.indices.tolist(), found.features, strict=True)
    cells = {tuple(cell): row for cell, row in rows}
    low = batch.coords[:, 1:].amin(dim=0) // 16 * 16
    features = {}
    for point, voxel in enumerate(batch.of_point.tolist()):
        if voxel >= 0:
            number, *place = batch.coords[voxel].tolist()
            moved = [int(x - o) >> level for x, o in zip(place, low, strict=True)]
            features[point] = cells[(number, *moved)]
    return features


def test_labelled_points_teach_the_network_as_they_do_alone(build):
    module, batch = build(), batch_of()
    module.training_step(batch, 0)
    chosen = labelled(batch)
    logits = module.network(batch.coords, batch.features)[batch.of_point[chosen]]
    labels = batch.labels[chosen]
    expected = cross_entropy(list(logits), labels.tolist())
    torch.testing.assert_close(module.logged["train/cross_entropy"], expected)
    expected = lovasz_softmax(logits.softmax(dim=1), labels)
    torch.testing.assert_close(module.logged["train/lovasz"], expected)


@pytest.mark.parametrize("scale", [0, 1])
def test_each_scale_teaches_guide_and_network(build, scale):
    """By the equations, point by point; guides and coarser maps are tested where they are."""
    module, batch = build(), batch_of()
    for guide in module.guides:
        torch.nn.init.normal_(guide.offsets.weight)
    module.training_step(batch, 0)
    features, maps = features_of(module, batch, scale), pyramid(batch.maps, scale)
    head = module.network.head if scale == 0 else module.heads[scale - 1]
    losses, guided, known = [], [], []
    for number, point in enumerate(batch.pair_point.tolist()):
        view, uv = batch.pair_view[number][None], batch.pair_uv[number][None]
        row = module.guides[scale](features[point][None], maps, view, uv)[0]
        guide, student = row.softmax(dim=0), head(features[point]).softmax(dim=0)
        losses.append((guide * (guide / student).log()).sum())
        if batch.labels[point] != UNKNOWN:
            guided.append(row)
            known.append(int(batch.labels[point]))
    logged = module.logged
    torch.testing.assert_close(logged[f"train/transfer_{scale}"], torch.stack(losses).mean())
    torch.testing.assert_close(logged[f"train/guide_{scale}"], cross_entropy(guided, known))
    if scale:
        chosen = labelled(batch)
        rows = [head(features[point]) for point in chosen]
        expected = cross_entropy(rows, batch.labels[chosen].tolist())
        torch.testing.assert_close(logged[f"train/cross_entropy_{scale}"], expected)


def test_the_total_has_each_loss_with_its_weight(build):
    module, batch = build(transfer_weight=2.0, contrast_weight=0.3), batch_of()
    total = module.training_step(batch, 0)
    weights = {"transfer_0": 2.0, "transfer_1": 2.0, "contrast": 0.3, "tags": 0.5}
    losses = {name.removeprefix("train/"): loss for name, loss in module.logged.items()}
    assert losses.pop("total") == total
    assert losses.keys() == {
        *weights,
        *("cross_entropy", "lovasz", "guide_0", "guide_1", "cross_entropy_1"),
    }
    expected = sum(weights.get(name, 1.0) * loss for name, loss in losses.items())
    torch.testing.assert_close(total, expected)


def test_guides_learn_from_labels_alone(build):
    module, batch = build(), batch_of()
    batch.labels.fill_(UNKNOWN)
    module.training_step(batch, 0).backward()
    assert all((weight.grad == 0).all() for weight in module.guides.parameters())
    assert module.logged["train/transfer_1"] > 0
    assert all(weight.grad.any() for weight in module.heads.parameters())
    assert all(weight.grad is not None for weight in module.network.parameters())


def test_pseudo_labelled_points_come_near_the_prototypes_of_labelled_ones(build):
    module, batch = build(temperature=0.2), batch_of()
    module.training_step(batch, 0)
    features = features_of(module, batch, 0)
    units = {n: functional.normalize(module.embed(row), dim=0) for n, row in features.items()}
    chosen = labelled(batch)
    means = [
        torch.stack([units[n] for n in chosen if batch.labels[n] == label]).mean(dim=0)
        for label in range(CLASSES)
    ]
    torch.testing.assert_close(module.anchors.vectors, torch.stack(means))
    means = [functional.normalize(mean, dim=0) for mean in means]
    total, weight = torch.tensor(0.0), 0.0
    for n, unit in units.items():
        if batch.pseudo_labels[n] != UNKNOWN:
            cosine = torch.stack([unit @ mean for mean in means])
            loss = -(cosine / 0.2).log_softmax(dim=0)[batch.pseudo_labels[n]]
            total, weight = total + batch.confidence[n] * loss, weight + batch.confidence[n]
    torch.testing.assert_close(module.logged["train/contrast"], total / weight)


def test_pseudo_labelled_points_come_near_the_nearest_text_of_their_class(build):
    names, vectors = ("b", "a", "c", "d", "b", "e"), np.eye(6, dtype=np.float32)
    module, batch = build(TextAnchors(TextEmbeddings(names, vectors, "some"), NAMES)), batch_of()
    module.training_step(batch, 0)
    total, weight = torch.tensor(0.0), 0.0
    for n, row in features_of(module, batch, 0).items():
        if batch.pseudo_labels[n] != UNKNOWN:
            a = functional.normalize(module.embed(row), dim=0)
            cosine = torch.stack([a[1], torch.maximum(a[0], a[4]), a[2], a[3]])
            loss = -(cosine / 0.1).log_softmax(dim=0)[batch.pseudo_labels[n]]
            total, weight = total + batch.confidence[n] * loss, weight + batch.confidence[n]
    torch.testing.assert_close(module.logged["train/contrast"], total / weight)
    assert not any(name.startswith("anchors.") for name in module.state_dict())


def test_tags_teach_the_means_of_scenes_that_have_them(build):
    varying = (True, False, True, True)
    module, batch = build(varying=varying), batch_of()
    module.training_step(batch, 0)
    logits = module.network(batch.coords, batch.features)
    mine = (batch.scene == 1) & (batch.of_point >= 0)
    mean = logits[batch.of_point[mine]].mean(dim=0, keepdim=True)
    expected = tag_loss(mean, batch.tags[1:], torch.tensor(varying))
    torch.testing.assert_close(module.logged["train/tags"], expected)


@pytest.mark.parametrize(
    ("change", "left_out", "stays"),
    [
        ({"transfer_weight": 0.0}, ("guides.", "heads."), "train/contrast"),
        ({"contrast_weight": 0.0}, ("embed.", "anchors."), "train/guide_0"),
        ({"tag_weight": 0.0}, ("train/tags",), "train/guide_0"),
    ],
)
def test_a_weight_of_0_leaves_a_loss_out(build, change, left_out, stays):
    module, batch = build(**change), batch_of()
    module.training_step(batch, 0)
    assert stays in module.logged
    names = (*module.state_dict(), *module.logged)
    assert not [name for name in names if name.startswith(left_out)]


def test_all_that_learns_is_given_to_the_optimizer(build):
    module = build()
    module.training_step(batch_of(), 0).backward()
    assert all(weight.grad is not None for weight in module.parameters())
    groups = module.configure_optimizers()["optimizer"].param_groups
    assert sum(len(group["params"]) for group in groups) == len(list(module.parameters()))


def test_a_batch_without_points_teaches_nothing(build):
    module = build().train()
    statistics = module.network.stem[1].norm.running_var.clone()
    coords, features = fill_empty(np.zeros((0, 4), np.int32), np.zeros((0, 1), np.float32))
    nobody = torch.zeros(0, dtype=torch.int64)
    whole = batch_of()
    empty = TransferBatch(
        *(torch.from_numpy(coords), torch.from_numpy(features)),
        *(nobody, nobody, nobody, nobody, torch.zeros(0), whole.maps),
        *(nobody, nobody, torch.zeros(0, 2), torch.zeros_like(whole.tags)),
        torch.zeros(2, dtype=torch.bool),
    )
    loss = module.training_step(empty, 0)
    loss.backward()
    assert loss.item() == 0
    assert all((weight.grad == 0).all() for weight in module.parameters())
    torch.testing.assert_close(module.network.stem[1].norm.running_var, statistics)


def test_a_batch_without_images_still_learns_its_labels(build):
    module, batch = build(), batch_of()
    nobody = torch.zeros(0, dtype=torch.int64)
    unseen = {"maps": (), "pair_point": nobody, "pair_view": nobody, "pair_uv": torch.zeros(0, 2)}
    blind = TransferBatch(**{**vars(batch), **unseen})
    blind.pseudo_labels.fill_(UNKNOWN)
    module.training_step(blind, 0).backward()
    assert module.logged["train/cross_entropy_1"] > 0
    assert module.logged["train/transfer_0"] == module.logged["train/contrast"] == 0
    assert all(weight.grad is not None for weight in module.parameters())


def test_held_back_points_are_compared_with_the_networks_own_classes(build):
    module, batch = build(), batch_of()
    voxels = batch.of_point[batch.of_point >= 0][:40]
    with torch.no_grad():
        labels = module.network(batch.coords, batch.features)[voxels].argmax(dim=1)
    labels[:10] = (labels[:10] + 1) % CLASSES
    module.validation_step(Batch(batch.coords, batch.features, voxels, labels, torch.ones(40)), 0)
    assert (module._agreeing, module._compared) == (30, 40)
