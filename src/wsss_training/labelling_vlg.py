"""Labels points by what their fused embeddings have in common with the classes' texts."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from wsss_perception.errors import ConfigError
from wsss_perception.frame import UNKNOWN
from wsss_perception.ontology import Ontology
from wsss_training.config import TrainConfig
from wsss_training.config_vlg import VLGConfig
from wsss_training.config_wsegpc import PoolConfig
from wsss_training.data.fused_store import FusedStore
from wsss_training.data.sample import Dataset, Sample
from wsss_training.data.supervised_sweeps import SupervisedSource
from wsss_training.files import digest_files
from wsss_training.losses.tag_mask import tag_probabilities
from wsss_training.networks.text_logits import TextLogits
from wsss_training.processes import place, sum_over_all, wait_for_all
from wsss_training.pseudo_labels import pool_opinions, write_labels
from wsss_training.regions import REGION_VERSION
from wsss_training.regions.cached import CachedRegions
from wsss_training.teachers.fused_embeddings import geometry_of

_PART = 1 << 16
"""Points that are compared with the texts at once: a scene's embeddings are not held twice."""


@torch.inference_mode()
def label_embeddings(
    embeddings: NDArray[np.float32],
    texts: TextLogits,
    tags: NDArray[np.bool_] | None,
    region: NDArray[np.int64] | None,
    share: float,
) -> NDArray[np.uint8]:
    """Labels embeddings: text logits, absent tags masked, argmax (3DSS-VLG's pseudo-labels).

    Args:
        embeddings: fused ones of the points that are seen [M, D].
        texts: of the classes, and of the background, which no tag rules out.
        tags: bool [C], classes that the scene has; None for an untagged one.
        region: int64 [M], regions that vote, -1 for none; None without votes.
        share: how much a region's mean counts against the point's own probabilities.

    Returns:
        uint8 [M]; UNKNOWN for points that are most like the background, and for all points of a
        scene whose tags leave no class.
    """
    parts = torch.from_numpy(embeddings).split(_PART)
    logits = torch.cat([texts.with_background(part) for part in parts])
    classes = logits.shape[1] - 1
    possible = np.ones(classes + 1, dtype=bool)
    if tags is not None:
        possible[:classes] = tags
    rows = torch.zeros(len(logits), dtype=torch.int64)
    mask = torch.from_numpy(possible)[None]
    opinion = tag_probabilities(logits, mask, rows, torch.tensor([tags is not None]))
    if region is not None:
        pool = PoolConfig(prior=0.0, network=1.0, regions=share)
        opinion = pool_opinions(opinion, None, torch.from_numpy(region), pool)
    labels = opinion.argmax(dim=1).numpy()
    possible[classes] = False
    return np.where(possible[labels], labels, UNKNOWN).astype(np.uint8)


class EmbeddingLabeller:
    """Labels whole samples; points that no image shows get no label.

    Args:
        store: of the samples' fused embeddings.
        texts: of the classes.
        config: how much regions count.
        regions: that vote; None for none.
    """

    def __init__(
        self,
        store: FusedStore,
        texts: TextLogits,
        config: VLGConfig,
        regions: CachedRegions | None,
    ) -> None:
        self._store, self._texts, self._share = store, texts, config.region_share
        self._regions = regions

    def made_from(self, sample_ids: Sequence[str]) -> dict[str, Any]:
        """What the fused embeddings of some samples are of."""
        return {**self._store.info, "geometry": self._store.digest(sample_ids)}

    def read(self, dataset: Dataset, index: int) -> Sample:
        """Reads a sample.

        Raises:
            DatasetError: it cannot be read, or has changed since it was fused.
        """
        sample = dataset[index]
        self._store.check_geometry(sample.sample_id, geometry_of(sample))
        return sample

    def __call__(self, _: int, sample: Sample) -> NDArray[np.uint8]:
        """Returns a label for each point, uint8 [N].

        Raises:
            DatasetError: the embeddings are missing or damaged.
        """
        seen = self._store.seen(sample.sample_id)
        labels = np.full(len(seen), UNKNOWN, dtype=np.uint8)
        labels[seen] = label_embeddings(
            self._store.read(sample.sample_id),
            self._texts,
            sample.tags,
            self._region(sample, seen),
            self._share,
        )
        return labels

    def _region(self, sample: Sample, seen: NDArray[np.bool_]) -> NDArray[np.int64] | None:
        if self._regions is None:
            return None
        return self._regions(sample.sample_id, sample.cloud)[seen].astype(np.int64)


def label_fused(
    sources: Sequence[SupervisedSource],
    labellers: Sequence[EmbeddingLabeller],
    ontology: Ontology,
    config: TrainConfig,
    folder: Path,
) -> NDArray[np.int64]:
    """Labels all samples of some sources, each process its share; those that are there stay.

    Args:
        sources: to label.
        labellers: of each of them.
        ontology: of the labels.
        config: what they are made of: texts, tags and regions.
        folder: gets a folder of weak labels ``<number>`` for each source.

    Returns:
        int64 [C + 1], labelled points of each class, and at last points without a label.

    Raises:
        ConfigError: no point at all got a label.
        DatasetError: a sample cannot be read, or a folder has labels of something else.
    """
    here, classes = place(), len(ontology)
    counts = np.zeros(classes + 1, dtype=np.int64)
    for number, (source, labeller) in enumerate(zip(sources, labellers, strict=True)):
        mine = here.share(source.indices)
        shown = here.tracked(mine, "pseudo-labels", len(mine))
        counts += write_labels(
            folder / str(number),
            partial(labeller.read, source.dataset),
            shown,
            labeller,
            classes,
            _describe(ontology, config, number, labeller, source),
        )
    counts = sum_over_all(counts)
    wait_for_all()
    if not counts[:-1].any():
        raise ConfigError(
            f"none of {counts[-1]:,d} points got a pseudo-label; do the images show any of them, "
            "and have the texts more than background?"
        )
    return counts


def _describe(
    ontology: Ontology,
    config: TrainConfig,
    number: int,
    labeller: EmbeddingLabeller,
    source: SupervisedSource,
) -> dict[str, Any]:
    """What tells a source's pseudo-labels from others: classes, texts, tags, maps and regions."""
    settings, tags = config.vlg, config.sources[number].tags
    sample_ids = [source.dataset.sample_ids[index] for index in source.indices]
    return {
        "ontology": ontology.name,
        "definition": ontology.to_dict(),
        "texts": digest_files([Path(str(settings.texts))]),
        "tags": None if tags is None else digest_files([Path(tags)]),
        "embeddings": labeller.made_from(sample_ids),
        "regions": None if settings.regions is None else f"{settings.regions} {REGION_VERSION}",
        "region_share": settings.region_share,
    }
