"""Cells' embeddings against what the towers themselves pool."""

import pytest
import torch

pytest.importorskip("open_clip", reason="open_clip is not installed (extra 'training')")

from small_clip import CONVNEXT, DIMENSIONS, RESNET, VIT, small_clip

from wsss_perception.errors import ConfigError
from wsss_training.teachers.clip.towers import dense_tower

TOWERS = {"vit": VIT, "resnet": RESNET, "convnext": CONVNEXT}


def pictures(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def tower_of(vision, seed=0):
    return small_clip(vision, seed).visual


@pytest.mark.parametrize(("kind", "stride", "window"), [("vit", 8, 32), ("resnet", 32, 64)])
@torch.inference_mode()
def test_a_tower_has_a_cell_per_stride_in_any_window(kind, stride, window):
    dense = dense_tower(tower_of(TOWERS[kind]))
    assert (dense.stride, dense.window) == (stride, window)
    found = dense.features(pictures(2, 3, 2 * stride, 5 * stride))
    assert found.shape == (2, 2, 5, DIMENSIONS)
    assert found.std(dim=(1, 2)).min() > 1e-3


@torch.inference_mode()
def test_vit_patches_that_attend_to_themselves_are_what_the_tower_averages():
    """Attention of the last block is made to see the token itself, and its residual negligible."""
    tower = tower_of({**VIT, "layers": 1, "head_width": 32, "pool_type": "avg"})
    block = tower.transformer.resblocks[-1]
    width = VIT["width"]
    tower.ln_pre.weight.fill_(0.05)
    tower.ln_pre.bias.zero_()
    block.attn.in_proj_weight[: 2 * width] = 30 * torch.eye(width).repeat(2, 1)
    block.attn.in_proj_bias[: 2 * width] = 0
    block.ln_1.bias.zero_()
    block.attn.in_proj_weight[2 * width :] *= 1e4
    torch.nn.init.zeros_(block.mlp.c_proj.weight)
    torch.nn.init.zeros_(block.mlp.c_proj.bias)
    images = pictures(2, 3, 32, 32)
    cells = dense_tower(tower).features(images)
    assert cells.std(dim=(1, 2)).min() > 1e-3
    torch.testing.assert_close(cells.mean(dim=(1, 2)), tower(images), atol=2e-3, rtol=1e-3)


@torch.inference_mode()
def test_vit_takes_values_of_the_last_block_in_its_own_order():
    """Against the block's own attention, masked so that each token sees itself."""
    tower = tower_of({**VIT, "ls_init_value": 0.7})
    images = pictures(2, 3, 32, 32)
    tokens = tower._embeds(images)
    for block in tower.transformer.resblocks[:-1]:
        tokens = block(tokens)
    last = tower.transformer.resblocks[-1]
    mask = torch.full((17, 17), -torch.inf).fill_diagonal_(0)
    values = last.ls_1(last.attention(last.ln_1(tokens), attn_mask=mask))
    expected = tower.ln_post(values[:, 1:]) @ tower.proj
    found = dense_tower(tower).features(images)
    torch.testing.assert_close(found, expected.reshape(2, 4, 4, -1), atol=1e-5, rtol=1e-4)


@torch.inference_mode()
def test_vit_positions_follow_the_grid_of_the_window():
    tower = tower_of(VIT)
    ramp = torch.linspace(-1, 1, 4)
    tower.positional_embedding.zero_()
    grid = tower.positional_embedding[1:].reshape(4, 4, -1)
    grid[:, :, 0], grid[:, :, 1] = ramp, 0.5  # along a row
    found = dense_tower(tower).features(torch.zeros(1, 3, 16, 64))[0]
    torch.testing.assert_close(found[0], found[1], atol=1e-4, rtol=1e-3)  # rows are alike
    steps = (found[0, 1:] - found[0, :-1]).norm(dim=-1)
    assert steps.min() > 1e-3  # columns are not


@torch.inference_mode()
def test_vit_with_a_pooler_gives_what_the_pooler_makes_of_one_token():
    tower = tower_of({**VIT, "attentional_pool": True, "attn_pooler_queries": 3})
    images = pictures(2, 3, 32, 32)
    tokens = tower.transformer(tower._embeds(images))[:, 1:].reshape(32, 1, -1)
    expected = (tower.ln_post(tower.attn_pool(tokens)) @ tower.proj)[:, 1]  # queries are alike
    found = dense_tower(tower).features(images)
    torch.testing.assert_close(found.flatten(0, 2), expected, atol=1e-5, rtol=1e-4)


@torch.inference_mode()
def test_resnet_cells_are_what_uniform_attention_averages():
    tower = tower_of(RESNET)
    tower.attnpool.positional_embedding.zero_()
    tower.attnpool.q_proj.weight.zero_()
    tower.attnpool.q_proj.bias.zero_()
    images = pictures(2, 3, 64, 64)
    cells = dense_tower(tower).features(images)
    assert cells.std(dim=(1, 2)).min() > 1e-3
    torch.testing.assert_close(cells.mean(dim=(1, 2)), tower(images), atol=1e-4, rtol=1e-3)


@torch.inference_mode()
def test_convnext_of_one_cell_is_what_the_tower_pools():
    tower = tower_of(CONVNEXT)
    dense = dense_tower(tower)
    assert dense.stride == 32
    images = pictures(2, 3, 32, 32)
    torch.testing.assert_close(dense.features(images)[:, 0, 0], tower(images))


@torch.inference_mode()
def test_convnext_cells_stay_at_their_places():
    tower = tower_of(CONVNEXT)
    images = pictures(2, 3, 64, 96)
    found = dense_tower(tower).features(images)
    maps = tower.trunk.forward_features(images)
    alone = tower.head(tower.trunk.forward_head(maps[:, :, 1:2, 2:3]))
    assert found.shape == (2, 2, 3, DIMENSIONS)
    torch.testing.assert_close(found[:, 1, 2], alone)


@pytest.mark.parametrize(
    "vision",
    [
        {**CONVNEXT, "timm_pool": "rot_attn", "timm_proj": ""},
        {**VIT, "timm_model_name": "vit_tiny_patch16_224", "image_size": 224},
        {**VIT, "attentional_pool": "parallel"},
        {**VIT, "block_type": "custom"},
    ],
)
def test_towers_of_other_kinds_are_refused_with_those_that_are_not(vision):
    with pytest.raises(ConfigError, match=r"no dense embeddings here.*ViT.*RN50.*convnext"):
        dense_tower(tower_of(vision))
