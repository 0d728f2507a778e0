"""The part of the training configuration that says what the network is and what it sees."""

from dataclasses import dataclass, field

from omegaconf import MISSING

from wsss_perception.features import CAMERAS, PAINTED


@dataclass
class FeatureConfig:
    """One input feature, see ``wsss_perception.features.Feature``."""

    name: str = MISSING
    scale: float = 1.0
    offset: float = 0.0
    fill: float | None = None


@dataclass
class ModelConfig:
    """What the network is and what it sees.

    Attributes:
        network: preset of ``networks.minkunet``.
        width: factor on its channels.
        voxel_size: metres.
        point_range: (x_min, y_min, z_min, x_max, y_max, z_max) in metres.
        features: input features.
        cameras: ``none``; or ``optional``: the colours that cameras see each point in are features
            too (point painting), which the model can do without. Adds the features PAINTED.
        start_from: a bundle whose weights training starts from; fine-tuning.
    """

    network: str = "small"
    width: float = 1.0
    voxel_size: float = 0.1
    point_range: list[float] = field(default_factory=list)
    features: list[FeatureConfig] = field(default_factory=list)
    cameras: str = "none"
    start_from: str | None = None


@dataclass
class AugmentConfig:
    """Augmentation of training sweeps; see the classes of ``augment`` for each.

    Attributes:
        sector_margin: context kept around the supervised sector, radians; None keeps all. See
            ``augment.sector`` for the sector of sweeps with labels all around.
        rotation: largest rotation about the vertical, radians.
        scale: largest relative change of size.
        height: largest change of the sensor's height, metres.
        tilt: largest roll and pitch, radians.
        drop_points: largest share of points dropped.
        drop_beams: probability of thinning the beams.
        crop_range: probability of shortening the range.
        crop_range_limits: shortest and longest range then, metres.
        jitter: standard deviation of noise on coordinates, metres.
        intensity_jitter: largest relative change of the intensity's gain and exponent.
        intensity_blank: probability of blanking the intensity.
        color_jitter: of the cameras' colours, see ``jitter_colors``; this and what follows is for
            ``cameras: optional`` alone.
        drop_cameras: probability of leaving out a camera, for each alone.
        drop_all_cameras: probability of leaving out all.
    """

    sector_margin: float | None = 0.175
    rotation: float = 3.1416
    scale: float = 0.05
    height: float = 0.2
    tilt: float = 0.02
    drop_points: float = 0.5
    drop_beams: float = 0.3
    crop_range: float = 0.2
    crop_range_limits: list[float] = field(default_factory=lambda: [20.0, 50.0])
    jitter: float = 0.01
    intensity_jitter: float = 0.2
    intensity_blank: float = 0.05
    color_jitter: float = 0.2
    drop_cameras: float = 0.3
    drop_all_cameras: float = 0.25


def wrong_model(model: ModelConfig, augment: AugmentConfig) -> list[str]:
    """Says which values of the right type make no sense."""
    shares = (augment.color_jitter, augment.drop_cameras, augment.drop_all_cameras)
    wrong = {
        "model.features: needs at least one": not model.features,
        f"model.features: {', '.join(PAINTED)} are added by 'model.cameras: optional'": any(
            feature.name in PAINTED for feature in model.features
        ),
        f"model.cameras: '{model.cameras}'; known are {', '.join(CAMERAS)}": (
            model.cameras not in CAMERAS
        ),
        "model.voxel_size: must be positive": not model.voxel_size > 0,
        "model.point_range: needs 6 numbers or none": len(model.point_range) not in (0, 6),
        "augment.crop_range_limits: needs 2 numbers": len(augment.crop_range_limits) != 2,
        "augment: color_jitter, drop_cameras and drop_all_cameras must lie in 0..1": not all(
            0 <= share <= 1 for share in shares
        ),
    }
    return [message for message, is_wrong in wrong.items() if is_wrong]
