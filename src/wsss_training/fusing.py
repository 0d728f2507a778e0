"""Fuses the embeddings of all images of a 3DSS-VLG run onto the points, once and on disk."""

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsss_perception.errors import ConfigError, DatasetError
from wsss_perception.texts import TextEmbeddings, read_texts
from wsss_training.config import TrainConfig
from wsss_training.data.fused_store import FusedStore
from wsss_training.data.supervised_sweeps import SupervisedSource
from wsss_training.data.training_set import evenly
from wsss_training.processes import place, wait_for_all
from wsss_training.teachers.embedding_info import read_info
from wsss_training.teachers.embedding_maps import EmbeddingMaps
from wsss_training.teachers.fused_embeddings import fuse_embeddings, geometry_of, span_of

_MEASURED = 8
"""Samples of a source whose visible points are counted to foretell the size of all."""
_GIGABYTE = 1e9


@dataclass(frozen=True)
class VisionLanguage:
    """A vision-language teacher: what it says of the images, and of the classes' names.

    Attributes:
        maps: of the images of each source.
        spans: of each source's embeddings, see ``span_of``.
        texts: of the classes.
    """

    maps: Sequence[EmbeddingMaps]
    spans: Sequence[NDArray[np.float32] | None]
    texts: TextEmbeddings

    @property
    def size(self) -> int:
        """Size D of the space."""
        return self.texts.size

    @property
    def logit_scale(self) -> float:
        """What cosines are multiplied by to be logits."""
        return self.maps[0].logit_scale


def open_vision_language(config: TrainConfig) -> VisionLanguage:
    """Opens the maps and the texts of a configuration.

    Raises:
        ConfigError: they are not all of one space.
        WsssError: one cannot be opened.
    """
    chosen = [source.embeddings or config.vlg.embeddings for source in config.sources]
    folders = [embeddings for embeddings in chosen if embeddings is not None]
    maps = [EmbeddingMaps(each.root, each.images_root) for each in folders]
    texts = read_texts(str(config.vlg.texts))
    for folder, each in zip(folders, maps, strict=True):
        theirs = (each.teacher.get("model"), each.size, each.logit_scale)
        if theirs != (texts.teacher, texts.size, maps[0].logit_scale):
            raise ConfigError(
                f"{folder.root}: maps of '{theirs[0]}', {theirs[1]} numbers, logit_scale "
                f"{theirs[2]:g}; the texts of {config.vlg.texts} are of '{texts.teacher}', "
                f"{texts.size} numbers, and all maps need the logit_scale of the first, "
                f"{maps[0].logit_scale:g}"
            )
    spans = [span_of(read_info(Path(folder.root))[1]) for folder in folders]
    return VisionLanguage(maps, spans, texts)


def fuse_sources(
    sources: Sequence[SupervisedSource], language: VisionLanguage, folder: Path
) -> list[FusedStore]:
    """Fuses all samples of some sources, each process its share; those that are there stay.

    Says beforehand how much that will take on disk.

    Args:
        sources: to fuse.
        language: the teacher, with maps for each of them.
        folder: gets a folder ``<number>`` for each source.

    Returns:
        The stores of the sources, complete.

    Raises:
        ConfigError: the disk lacks space, or the folder has embeddings of something else.
        DatasetError: an image's map is missing or damaged, or a sample cannot be read.
    """
    here = place()
    stores = [
        FusedStore(folder / str(number), span, language.size, _info(maps, span))
        for number, (maps, span) in enumerate(zip(language.maps, language.spans, strict=True))
    ]
    missing = [
        np.array([k for k in source.indices if not store.has(source.dataset.sample_ids[k])], int)
        for source, store in zip(sources, stores, strict=True)
    ]
    _foretell_size(sources, stores, missing, folder)
    wait_for_all()  # before the first of them writes: all have counted the same
    jobs = [(number, k) for number, indices in enumerate(missing) for k in indices.tolist()]
    mine = here.share(jobs)
    for number, k in here.tracked(mine, "samples fused", len(mine)):
        sample = sources[number].dataset[k]
        fused = fuse_embeddings(sample, language.maps[number], language.spans[number])
        stores[number].write(sample.sample_id, fused, geometry_of(sample))
    wait_for_all()
    for number, k in jobs:
        if not stores[number].has(sources[number].dataset.sample_ids[k]):
            raise DatasetError(
                f"{folder}: what another process has written is not there; the folder must be one "
                "that all machines share"
            )
    return stores


def _foretell_size(
    sources: Sequence[SupervisedSource],
    stores: Sequence[FusedStore],
    missing: Sequence[NDArray[np.int64]],
    folder: Path,
) -> None:
    """Says how much the missing samples will take; raises ConfigError where there is no space."""
    count = sum(map(len, missing))
    if not count:
        return
    needed = sum(
        len(indices) * _mean_bytes(source, store, evenly(indices, _MEASURED))
        for source, store, indices in zip(sources, stores, missing, strict=True)
        if len(indices)
    )
    free = shutil.disk_usage(folder).free
    told = (
        f"fused embeddings of {count} samples: about {needed / _GIGABYTE:.2f} GB in {folder}, "
        f"{free / _GIGABYTE:.2f} GB are free"
    )
    if needed > free:
        raise ConfigError(
            f"{told}; take fewer samples (sources: every), maps of fewer numbers (embed-images "
            "--pca), or an 'output' on another disk"
        )
    place().say(told)


def _info(maps: EmbeddingMaps, span: NDArray[np.float32] | None) -> dict[str, Any]:
    """What tells fused embeddings from those of other maps."""
    digest = None if span is None else hashlib.sha256(span.tobytes()).hexdigest()
    return {"teacher": maps.teacher, "span": digest}


def _mean_bytes(source: SupervisedSource, store: FusedStore, indices: NDArray[np.int64]) -> float:
    """Bytes on disk that a sample takes, mean over some of them."""
    sizes = []
    for index in indices.tolist():
        sample = source.dataset[index]
        seen = np.zeros(len(sample.cloud), dtype=bool)
        for image in sample.images:
            seen[image.visible_points(sample.cloud.xyz)[0]] = True
        sizes.append(store.bytes_for(len(seen), int(seen.sum())))
    return float(np.mean(sizes))
