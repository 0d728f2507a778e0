"""Small open_clip models with random weights."""

import json
from pathlib import Path
from typing import Any

import open_clip
import torch
from safetensors.torch import save_file

TEXT = {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
VIT = {"image_size": 32, "patch_size": 8, "width": 32, "head_width": 8, "layers": 3}
RESNET = {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "head_width": 32}
CONVNEXT = {"timm_model_name": "convnext_atto", "timm_model_pretrained": False, "image_size": 64}
DIMENSIONS = 24


def small_clip(vision: dict[str, Any], seed: int = 0) -> torch.nn.Module:
    """Makes a model; its texts need open_clip's own tokenizer."""
    torch.manual_seed(seed)
    model = open_clip.CLIP(DIMENSIONS, dict(vision), dict(TEXT)).eval()
    for name, values in model.visual.named_parameters():  # some are 0 before training
        if "bias" in name or "bn3.weight" in name or "gamma" in name:
            torch.nn.init.normal_(values, std=0.5)
    return model


def write_small_clip(folder: Path, vision: dict[str, Any], seed: int = 0) -> str:
    """Writes a model and returns the name by which open_clip opens it."""
    folder.mkdir()
    preprocessing = {"mean": [0.5, 0.5, 0.4], "std": [0.3, 0.2, 0.25]}
    model = {"embed_dim": DIMENSIONS, "vision_cfg": vision, "text_cfg": TEXT}
    config = {"model_cfg": model, "preprocess_cfg": preprocessing}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    weights = {k: v.contiguous() for k, v in small_clip(vision, seed).state_dict().items()}
    save_file(weights, folder / "open_clip_model.safetensors")
    return f"local-dir:{folder}"
