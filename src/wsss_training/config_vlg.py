"""The part of the training configuration that 3DSS-VLG adds."""

from dataclasses import dataclass, field

from omegaconf import MISSING

_REGIONS = ("planes", "supervoxels", "ground_clusters")
"""Keys of ``wsss_training.regions.REGIONS``, which takes a second to import."""


@dataclass
class EmbeddingsConfig:
    """A vision-language teacher's maps on disk, see ``teachers.embedding_maps``.

    Attributes:
        root: the folder of the maps.
        images_root: the folder that the images' paths are relative to.
    """

    root: str = MISSING
    images_root: str = MISSING


@dataclass
class AdapterConfig:
    """The adapter and its training (ESS); the paper's values but for the steps.

    Attributes:
        steps: optimizer steps.
        learning_rate: of Adam.
        weight_decay: of Adam.
        alpha: share of the teacher's own embedding in what the adapter gives.
        reduction: how many times narrower the adapter is in its middle.
        points: most points of a scene in a step.
    """

    steps: int = 500
    learning_rate: float = 3e-3
    weight_decay: float = 4e-4
    alpha: float = 0.05
    reduction: int = 4
    points: int = 4096


@dataclass
class VLGConfig:
    """What 3DSS-VLG learns from; ``optimization`` is the schedule of its 3D network (ESG).

    Attributes:
        texts: file of the classes' text embeddings, see ``wsss_perception.texts``.
        embeddings: the teacher's maps of the sources that name none of their own.
        adapter: the adapter and its training.
        points: most points of a scene in a step of the 3D network, of those that cameras see.
        regions: kind of regions, see ``wsss_training.regions``, that vote on pseudo-labels; None
            for none. Ours, not the paper's.
        region_share: how much the region's mean counts against the point's own probabilities.
        region_guidance: how much, in what the 3D network learns, the mean of its region's
            embeddings counts against the point's own; 0 not at all, as the paper.
        center: the 3D network's embeddings and those it learns are compared less the mean of the
            latter, see ``losses.embedding.centered``; ours.
    """

    texts: str | None = None
    embeddings: EmbeddingsConfig | None = None
    adapter: AdapterConfig = field(default_factory=AdapterConfig)
    points: int = 4096
    regions: str | None = None
    region_share: float = 1.0
    region_guidance: float = 0.0
    center: bool = False


def wrong_vlg(config: VLGConfig) -> list[str]:
    """Says which values make no sense."""
    adapter = config.adapter
    wrong = {
        "texts: needs a file of the classes' text embeddings": config.texts is None,
        "points and adapter.points: must be positive": min(config.points, adapter.points) < 1,
        "adapter.steps: must be positive": adapter.steps < 1,
        "adapter.reduction: must be positive": adapter.reduction < 1,
        "adapter.learning_rate: must be positive": not adapter.learning_rate > 0,
        "adapter.weight_decay: must not be negative": not adapter.weight_decay >= 0,
        "adapter.alpha: must lie in 0..1": not 0 <= adapter.alpha <= 1,
        f"regions: '{config.regions}'; known are {', '.join(_REGIONS)}": (
            config.regions is not None and config.regions not in _REGIONS
        ),
        "region_share: must lie in 0..1": not 0 <= config.region_share <= 1,
        "region_guidance: must lie in 0..1": not 0 <= config.region_guidance <= 1,
        "region_guidance: needs a kind of regions": config.region_guidance > 0
        and config.regions is None,
    }
    return [f"vlg.{message}" for message, is_wrong in wrong.items() if is_wrong]
