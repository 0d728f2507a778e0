import numpy as np
import pytest
import torch

from wsss_perception.bundle import NetworkSpec
from wsss_perception.errors import ConfigError
from wsss_perception.networks.minkunet import MinkUNet
from wsss_perception.networks.presets import PRESETS
from wsss_perception.networks.sparse import sparse_tensor, to_grid


def random_scene(seed, count=400, extent=40):
    generator = np.random.default_rng(seed)
    coords = np.unique(generator.integers(-extent, extent, (count, 3)), axis=0)
    features = generator.standard_normal((len(coords), 2)).astype(np.float32)
    batched = np.pad(coords, ((0, 0), (1, 0))).astype(np.int32)
    return torch.from_numpy(batched), torch.from_numpy(features)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return MinkUNet(NetworkSpec("small"), inputs=2, classes=5).eval()


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_minkunet_presets_give_logits_for_every_voxel(name):
    coords, features = random_scene(0)
    network = MinkUNet(NetworkSpec(name, width=0.25), inputs=2, classes=5)
    logits = network(coords, features)
    assert logits.shape == (len(coords), 5)
    logits.sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_minkunet_18a_has_the_published_number_of_parameters():
    network = MinkUNet(NetworkSpec("minkunet18a"), inputs=3, classes=20)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    assert parameters == pytest.approx(15.5e6, rel=0.01)


@torch.no_grad()
def test_minkunet_scenes_of_a_batch_do_not_mix(network):
    scenes = [random_scene(seed) for seed in (1, 2)]
    alone = torch.cat([network(*scene) for scene in scenes])
    coords = torch.cat([scene[0] for scene in scenes])
    coords[len(scenes[0][0]) :, 0] = 1
    together = network(coords, torch.cat([scene[1] for scene in scenes]))
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_minkunet_follows_the_order_of_its_voxels(network):
    coords, features = random_scene(3)
    order = torch.randperm(len(coords), generator=torch.Generator().manual_seed(0))
    shuffled = network(coords[order], features[order])
    torch.testing.assert_close(shuffled, network(coords, features)[order], atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_minkunet_is_unchanged_by_shifts_of_its_stride(network):
    coords, features = random_scene(4)
    shifted = coords + torch.tensor([0, 16, -32, 48], dtype=torch.int32)
    torch.testing.assert_close(network(shifted, features), network(coords, features))


@torch.no_grad()
def test_minkunet_takes_a_single_voxel(network):
    logits = network(torch.zeros(1, 4, dtype=torch.int32), torch.ones(1, 2))
    assert logits.shape == (1, 5)
    assert torch.isfinite(logits).all()


@torch.no_grad()
def test_minkunet_backbone_is_the_last_of_its_levels_to_the_bit(network):
    coords, features = random_scene(6)
    levels = network.levels(coords, features)
    x, skips, expected = network.stem(sparse_tensor(coords, features)), [], []
    for down, encode in zip(network.down, network.encoder, strict=True):
        skips.append(x)
        x = encode(down(x))
    for up, decode in zip(network.up, network.decoder, strict=True):
        x = up(x)
        x = decode(x.replace_feature(torch.cat([x.features, skips.pop().features], dim=1)))
        expected.insert(0, x)
    assert all(map(torch.equal, (x.features for x in levels), (x.features for x in expected)))
    assert [x.features.shape[1] for x in levels] == list(network.level_sizes)
    assert torch.equal(network.backbone(coords, features), levels[0].features)
    assert torch.equal(network(coords, features), network.head(levels[0].features))


@torch.no_grad()
def test_minkunet_levels_hold_the_voxels_halved_once_more_each(network):
    coords, features = random_scene(7)
    levels = network.levels(coords, features)
    grid = to_grid(coords)
    assert torch.equal(levels[0].indices, grid)
    assert len(levels) == 4
    for level, x in enumerate(levels):
        halved = grid.clone()
        halved[:, 1:] = torch.div(grid[:, 1:], 2**level, rounding_mode="floor")
        assert torch.equal(x.indices.unique(dim=0), halved.unique(dim=0))
        assert len(x.indices) == len(x.features) == len(halved.unique(dim=0))


def test_minkunet_refuses_an_unknown_preset_naming_the_known():
    with pytest.raises(ConfigError, match=r"minkunet99.*minkunet18a"):
        MinkUNet(NetworkSpec("minkunet99"), inputs=2, classes=5)


@pytest.mark.gpu
@torch.no_grad()
def test_minkunet_gives_the_same_logits_on_cpu_and_gpu(network):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA GPU")
    coords, features = random_scene(5)
    expected = network(coords, features)
    network.cuda()
    got = network(coords.cuda(), features.cuda()).cpu()
    torch.testing.assert_close(got, expected, atol=1e-3, rtol=1e-3)
