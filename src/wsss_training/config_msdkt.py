"""The part of the training configuration that MSDKT adds."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsss_training.config import SourceConfig, TeacherConfig

LEVELS = 4
"""Decoder levels of ``MinkUNet``."""


@dataclass
class MSDKTConfig:
    """What MSDKT learns beside the labels of a few points; all values are ours, not the paper's.

    Attributes:
        scales: how many scales of the images' maps teach, at as many decoder levels.
        deformable: whether a guide looks at many places around a point's pixel; False for that one.
        samples: how many then.
        hidden: channels of the guides; without ``texts`` also of the space of the contrast.
        transfer_weight: of the guides' knowledge in the network's loss; 0 leaves out the guides,
            and with them the losses of the coarser levels.
        contrast_weight: of the semantic contrast; 0 leaves it out.
        temperature: of the contrast.
        texts: file of the classes' text embeddings, see ``wsss_perception.texts``, which the
            contrast has as anchors; None for prototypes of the labelled points.
        prototype_momentum: of those.
        tag_weight: of the tag loss in scenes that have tags.
        views: most views of a draw; where there are more, one is drawn from each of so many equal
            parts of them.
        points: most points of a draw that images teach, of those in its views; labelled ones come
            first, the others are drawn.
    """

    scales: int = 3
    deformable: bool = True
    samples: int = 8
    hidden: int = 64
    transfer_weight: float = 1.0
    contrast_weight: float = 0.1
    temperature: float = 0.1
    texts: str | None = None
    prototype_momentum: float = 0.99
    tag_weight: float = 0.1
    views: int = 6
    points: int = 8192

    @property
    def takes_images(self) -> bool:
        """Whether a 2D teacher's maps have a part."""
        return self.transfer_weight > 0 or self.contrast_weight > 0


def wrong_msdkt(
    config: MSDKTConfig, sources: "list[SourceConfig]", teacher: "TeacherConfig | None"
) -> list[str]:
    """Says which values make no sense, and which sources lack or have a teacher for nothing."""
    weights = (config.transfer_weight, config.contrast_weight, config.tag_weight)
    wrong = {
        f"scales: must lie in 1..{LEVELS}": not 1 <= config.scales <= LEVELS,
        "samples, hidden, views and points: must be positive": (
            min(config.samples, config.hidden, config.views, config.points) < 1
        ),
        "transfer_weight, contrast_weight and tag_weight: must not be negative": not all(
            weight >= 0 for weight in weights
        ),
        "temperature: must be positive": not config.temperature > 0,
        "prototype_momentum: must lie in 0..1": not 0 <= config.prototype_momentum <= 1,
        "texts: have no part, as contrast_weight is 0": (
            config.texts is not None and config.contrast_weight == 0
        ),
    }
    messages = [f"msdkt.{message}" for message, is_wrong in wrong.items() if is_wrong]
    for number, source in enumerate(sources):
        has_teacher = (source.teacher or teacher) is not None
        if config.takes_images and not has_teacher:
            messages.append(
                f"sources[{number}]: 'method: msdkt' needs a teacher, the source's own or the "
                "config's; without any set msdkt.transfer_weight=0 msdkt.contrast_weight=0"
            )
        if not config.takes_images and has_teacher:
            key = "teacher" if source.teacher is None else f"sources.{number}.teacher"
            messages.append(
                f"sources[{number}]: has a teacher, which 'method: msdkt' makes no use of while "
                f"msdkt.transfer_weight and msdkt.contrast_weight are 0; say {key}=null"
            )
    return messages
