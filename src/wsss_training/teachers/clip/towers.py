"""An embedding for each cell of a CLIP image tower's feature map, in the space of its texts.

A tower pools its feature map to one embedding. What is left out here is that pooling alone: every
cell goes through the rest of the head as if it were the only one.

- Vision transformer: attention of the last block mixes tokens for the pooled one. Each patch token
  takes its own value instead, through the block's output projection, the last normalisation and the
  projection; the block's residual and MLP are left out (MaskCLIP, Zhou et al. 2022). A tower that
  ends in an attentional pooler (CoCa) keeps its last block: there the pooler is what mixes.
- ResNet: value and output projection of the attention pool, without its position embeddings.
- ConvNeXt: each cell of the feature map goes through the pooling head alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from open_clip.modified_resnet import ModifiedResNet
from open_clip.timm_model import TimmModel
from open_clip.transformer import AttentionalPooler, ResidualAttentionBlock, VisionTransformer
from timm.models.convnext import ConvNeXt
from torch import nn
from torch.nn import functional

from wsss_perception.errors import ConfigError

SUPPORTED = (
    "open_clip's own vision transformers (ViT-..., CoCa), ResNets (RN50...) and ConvNeXts "
    "(convnext_...) are supported"
)


@dataclass(frozen=True)
class DenseTower:
    """An image tower that gives an embedding a cell.

    Attributes:
        features: from normalised pixels [B, 3, H, W], both sides multiples of ``stride``, to
            embeddings [B, H / stride, W / stride, D], of any length.
        stride: pixels that a cell is wide and high.
        window: width and height in pixels of the images that the tower was trained on.
    """

    features: Callable[[torch.Tensor], torch.Tensor]
    stride: int
    window: int


def dense_tower(tower: nn.Module) -> DenseTower:
    """Makes the image tower of an open_clip model give an embedding a cell.

    Raises:
        ConfigError: the tower is of another kind; the message says which are supported.
    """
    if isinstance(tower, VisionTransformer) and _is_plain(tower):
        stride = max(tower.patch_size)
        return DenseTower(lambda pixels: _of_transformer(tower, pixels), stride, _side(tower))
    if isinstance(tower, ModifiedResNet):
        return DenseTower(lambda pixels: _of_resnet(tower, pixels), 32, _side(tower))
    if isinstance(tower, TimmModel) and _pools_by_mean(tower):
        stride = tower.trunk.feature_info[-1]["reduction"]
        return DenseTower(lambda pixels: _of_convnext(tower, pixels), stride, _side(tower))
    kind = type(tower.trunk if isinstance(tower, TimmModel) else tower).__name__
    raise ConfigError(
        f"a model with an image tower '{kind}' of this kind has no dense embeddings "
        f"here; {SUPPORTED}"
    )


def _of_transformer(tower: VisionTransformer, pixels: torch.Tensor) -> torch.Tensor:
    rows, columns = (
        size // patch for size, patch in zip(pixels.shape[2:], tower.patch_size, strict=True)
    )
    tokens = tower.conv1(pixels).flatten(2).transpose(1, 2)
    first = tower.class_embedding.to(tokens.dtype).expand(len(tokens), 1, -1)
    positions = _positions(tower, rows, columns).to(tokens.dtype)
    tokens = tower.ln_pre(torch.cat([first, tokens], dim=1) + positions)
    *blocks, last = tower.transformer.resblocks
    for block in blocks:
        tokens = block(tokens)
    if tower.attn_pool is None:
        values = last.ls_1(_values(last.attn, last.ln_1(tokens[:, 1:])))
    else:
        values = _values(tower.attn_pool.attn, tower.attn_pool.ln_k(last(tokens)[:, 1:]))
    return (tower.ln_post(values) @ tower.proj).unflatten(1, (rows, columns))


def _values(attention: nn.MultiheadAttention, tokens: torch.Tensor) -> torch.Tensor:
    """What attention gives each token [B, N, W] that attends to itself alone."""
    width = attention.embed_dim
    together, bias = attention.in_proj_weight, attention.in_proj_bias  # of query, key, value
    weight = attention.v_proj_weight if together is None else together[-width:]
    values = functional.linear(tokens, weight, None if bias is None else bias[-width:])
    return attention.out_proj(values)


def _positions(tower: VisionTransformer, rows: int, columns: int) -> torch.Tensor:
    """The position embeddings [1 + rows * columns, W], interpolated to the grid."""
    positions = tower.positional_embedding
    if (rows, columns) == tuple(tower.grid_size):
        return positions
    grid = positions[1:].unflatten(0, tower.grid_size).permute(2, 0, 1)[None].float()
    resized = functional.interpolate(
        grid, (rows, columns), mode="bicubic", antialias=True, align_corners=False
    )
    return torch.cat([positions[:1], resized[0].flatten(1).T.to(positions.dtype)])


def _of_resnet(tower: ModifiedResNet, pixels: torch.Tensor) -> torch.Tensor:
    maps = tower.stem(pixels)
    for layer in (tower.layer1, tower.layer2, tower.layer3, tower.layer4):
        maps = layer(maps)
    return tower.attnpool.c_proj(tower.attnpool.v_proj(maps.permute(0, 2, 3, 1)))


def _of_convnext(tower: TimmModel, pixels: torch.Tensor) -> torch.Tensor:
    maps = tower.trunk.forward_features(pixels).permute(0, 2, 3, 1)
    cells = maps.flatten(0, 2)[:, :, None, None]
    return tower.head(tower.trunk.forward_head(cells)).unflatten(0, maps.shape[:3])


def _is_plain(tower: VisionTransformer) -> bool:
    """Whether attention of the tower's last block and of its pooler is what ``_values`` knows."""
    plain = isinstance(tower.transformer.resblocks[-1], ResidualAttentionBlock)
    pooler_is_known = tower.attn_pool is None or (
        isinstance(tower.attn_pool, AttentionalPooler) and tower.attn_pool_contrastive is None
    )
    return plain and pooler_is_known and len(set(tower.patch_size)) == 1


def _pools_by_mean(tower: TimmModel) -> bool:
    trunk = tower.trunk
    return (
        isinstance(trunk, ConvNeXt)
        and not hasattr(tower.head, "pool")
        and not trunk.head.global_pool.is_identity()
    )


def _side(tower: Any) -> int:
    size = tower.image_size
    return size if isinstance(size, int) else max(size)
