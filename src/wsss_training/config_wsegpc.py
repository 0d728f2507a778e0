"""The part of the training configuration that WSegPC adds."""

from dataclasses import dataclass, field

GUIDANCES = ("contrastive", "affinity", "mse", "none")
CONSISTENCIES = ("region", "point", "none")
THRESHOLDS = ("adaptive", "fixed")
OPTIMIZERS = ("adamw", "sgd")


@dataclass
class StageConfig:
    """Schedule of one of the two stages that lead to pseudo-labels.

    Attributes:
        steps: optimizer steps; 0 leaves the stage out.
        learning_rate: the highest.
        batch_size: draws a step and process, of two scenes each with ``mix``; that of
            ``optimization`` if None.
    """

    steps: int = 1000
    learning_rate: float = 0.01
    batch_size: int | None = None


@dataclass
class PoolConfig:
    """How much each opinion counts in a pseudo-label: exponents of probabilities.

    The defaults are the paper's: the network's, with the mean of its region for each point.

    Attributes:
        prior: of the 2D teacher at the point's pixels. Above 0, points of which it says nothing
            get no label.
        network: of the averaged 3D network.
        regions: of the region's mean against the point's own probabilities, 0 to 1; without
            region votes (``consistency``) it is 0.
    """

    prior: float = 0.0
    network: float = 1.0
    regions: float = 1.0


@dataclass
class WSegPCConfig:
    """Networks, losses and stages of WSegPC.

    Losses, their weights and thresholds, views and the pool are by default the paper's, without its
    mixing and removal. The schedule is not: its 60000 and 30000 steps with SGD take days.

    Attributes:
        image_network: ``resnet18``, 34, 50 or 101; None for points alone.
        image_weights: file of its initial weights, such as ImageNet's; None for random ones.
        image_size: height and width to which images are resized.
        views: most views of a scene in a draw; where there are more, one is drawn from each of
            so many equal parts of the video.
        image_share: share of the draws that bring views, the others points alone: images cost most
            of a step on a CPU.
        guidance: how features guide each other (CMG): ``contrastive``, ``affinity``, ``mse`` or
            ``none``.
        guide_images: whether points guide images too, and not only images points.
        consistency: whose votes the second stage learns from (RPC): ``region``, ``point`` or
            ``none``.
        consistent_images: whether images learn from votes too, and not only points.
        regions: kind of regions, see ``wsss_training.regions``.
        center: in scenes with tags alone, each class's logits are compared less their mean in the
            scene, see ``losses.tag_mask.center``; in votes and pseudo-labels (ours).
        threshold: of votes: ``adaptive`` to the class, or ``fixed``.
        tau: the threshold.
        momentum: of the averaged teacher.
        mix: mix two scenes in a draw (Mix3D).
        remove: drop floor, ceiling or walls with their tags, indoors; images keep theirs.
        color_jitter: largest relative change of the images' brightness, contrast and saturation.
        tag_weight: of the tag losses.
        prior_weight: of the losses against a 2D teacher's projected labels.
        guidance_weight: of each direction of guidance.
        consistency_weight: of the consistency losses.
        warm_up: steps over which weights grow: in the first stage those of all losses, in the
            second one those of consistency. Fewer than a stage has; the paper takes 2400.
        teacher_rotation: largest rotation of what the teacher sees, radians.
        pool: what a pseudo-label is made of.
        optimizer: of both stages: ``sgd`` with the paper's momentum, weight decay (1e-4) and
            polynomial schedule, or ``adamw`` with ``optimization.weight_decay`` and a cycle. The
            segmenter that learns from the pseudo-labels always has the latter.
        guidance_stage: schedule of the first stage, with tags or prior, and guidance.
        consistency_stage: schedule of the second stage, which adds consistency.
    """

    image_network: str | None = "resnet34"
    image_weights: str | None = None
    image_size: list[int] = field(default_factory=lambda: [240, 320])
    views: int = 6
    image_share: float = 1.0
    guidance: str = "contrastive"
    guide_images: bool = True
    consistency: str = "region"
    consistent_images: bool = True
    regions: str = "planes"
    center: bool = False
    threshold: str = "adaptive"
    tau: float = 0.8
    momentum: float = 0.999
    mix: bool = False
    remove: bool = False
    color_jitter: float = 0.4
    tag_weight: float = 1.0
    prior_weight: float = 1.0
    guidance_weight: float = 0.05
    consistency_weight: float = 1.0
    warm_up: int = 50
    teacher_rotation: float = 0.0873
    pool: PoolConfig = field(default_factory=PoolConfig)
    optimizer: str = "adamw"
    guidance_stage: StageConfig = field(default_factory=StageConfig)
    consistency_stage: StageConfig = field(
        default_factory=lambda: StageConfig(steps=500, learning_rate=0.005)
    )


def wrong_values(config: WSegPCConfig) -> list[str]:
    """Says which values make no sense."""
    choices = {
        "guidance": GUIDANCES,
        "consistency": CONSISTENCIES,
        "threshold": THRESHOLDS,
        "optimizer": OPTIMIZERS,
    }
    first, second = config.guidance_stage.steps, config.consistency_stage.steps
    shortest = min(first, second or first)
    messages = [
        f"wsegpc.{name}: '{getattr(config, name)}'; known are {', '.join(known)}"
        for name, known in choices.items()
        if getattr(config, name) not in known
    ]
    sizes = (config.guidance_stage.batch_size, config.consistency_stage.batch_size)
    wrong = {
        "a stage's batch_size: must be positive": any(s is not None and s < 1 for s in sizes),
        "image_size: needs a positive height and width": len(config.image_size) != 2
        or min(config.image_size) < 1,
        "color_jitter: must lie in 0..1": not 0 <= config.color_jitter <= 1,
        "views: must not be negative": config.views < 0,
        "image_share: must lie in 0..1": not 0 <= config.image_share <= 1,
        "tau: must lie in 0..1": not 0 <= config.tau <= 1,
        "momentum: must lie in 0..1": not 0 <= config.momentum <= 1,
        "pool: prior and network must not be negative, one must be above 0": min(
            config.pool.prior, config.pool.network
        )
        < 0
        or config.pool.prior + config.pool.network <= 0,
        "pool.regions: must lie in 0..1": not 0 <= config.pool.regions <= 1,
        "warm_up: must not be negative": config.warm_up < 0,
        f"warm_up: {config.warm_up} steps; must be fewer than the shorter stage's {shortest}": (
            config.warm_up >= shortest >= 1
        ),
        "guidance_stage.steps: must be positive": config.guidance_stage.steps < 1,
        "consistency_stage.steps: must not be negative": config.consistency_stage.steps < 0,
    }
    return messages + [f"wsegpc.{message}" for message, is_wrong in wrong.items() if is_wrong]
