"""A vision-language teacher for the mini log."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from wsss_perception.frame import UNKNOWN
from wsss_perception.ontology import load_mapping, load_ontology
from wsss_perception.texts import write_texts
from wsss_training.teachers.embedding_maps import EmbeddingWriter, claim_folder
from wsss_training.teachers.imitated_clip import (
    ImitatedClip,
    imitated_texts,
    imitation_info,
    load_imitation,
)

SIZE = 24


def write_vision_language(maps_2d: Path, folder: Path) -> tuple[str, ...]:
    """Writes embeddings and texts by a 2D teacher's labels; returns the overrides to use them."""
    source, target = load_ontology("cityscapes"), load_ontology("semantic_kitti")
    mapping = load_mapping("cityscapes_to_semantic_kitti", source, target)
    quiet = {"patch_errors": 0.0, "image_errors": 0.0, "noise": 0.3, "common": 0.3}
    settings = replace(load_imitation(), size=SIZE, missing={}, **quiet)
    names = (*target.classes, "sky")
    claim_folder(folder / "embeddings", imitation_info(settings), None)
    writer, teacher = EmbeddingWriter(folder / "embeddings"), ImitatedClip(names, settings)
    for number, path in enumerate(sorted(maps_2d.rglob("*.label.png"))):
        labels = mapping[np.asarray(Image.open(path))[4::8, 4::8]]
        shown = np.where(labels == UNKNOWN, len(target), labels)
        shares = (shown == np.arange(len(names))[:, None, None]).astype(np.float32)
        vectors = teacher(shares, np.full(shown.shape, -1), 0, number)
        image = path.relative_to(maps_2d)
        writer.write(image.with_name(image.name.replace(".label", "")), vectors)
    texts = folder / "texts.safetensors"
    write_texts(texts, imitated_texts(target.classes, ["sky"], settings))
    return ("method=vlg", "teacher=null", "sources.0.supervision=texts", f"vlg.texts={texts}")


def embeddings_of(folder: Path, images_root: Path) -> str:
    """The override that names the maps of a folder."""
    return f"vlg.embeddings={{root: {folder / 'embeddings'}, images_root: {images_root}}}"
