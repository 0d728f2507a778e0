"""Network input of each point, computed alike in training and at run time."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsss_perception.errors import MessageError
from wsss_perception.frame import PointCloud

GEOMETRIC = ("x", "y", "z", "range")
"""Features computed from the coordinates; every other name is a channel of the cloud."""

PAINTED = ("image_red", "image_green", "image_blue", "image_seen")
"""Channels that ``painting.paint`` adds: the colour that cameras see a point in, 0..1, and whether
any sees it, 1 or 0; all are 0 where none does."""

CAMERAS = ("none", "optional")
"""What a model may do with images: nothing; or take the painted channels, which may be 0."""


@dataclass(frozen=True)
class Feature:
    """One input feature: ``(value - offset) * scale``.

    Attributes:
        name: ``x``, ``y``, ``z``, ``range`` (metres) or a channel of the cloud.
        scale: factor that brings the feature to about -1..1.
        offset: value that becomes 0.
        fill: value to assume where a cloud lacks the channel; None makes that an error.
    """

    name: str
    scale: float = 1.0
    offset: float = 0.0
    fill: float | None = None


def check_painted(features: tuple[Feature, ...], cameras: str) -> None:
    """Checks that features are what a model's ``cameras`` says.

    Raises:
        ValueError: ``cameras`` is not one of CAMERAS; an ``optional`` model lacks one of the
            painted channels, or fills it with something else than 0; or a ``none`` model has one.
    """
    if cameras not in CAMERAS:
        raise ValueError(f"cameras '{cameras}' is not supported; known: {', '.join(CAMERAS)}")
    painted = {feature.name: feature.fill for feature in features if feature.name in PAINTED}
    if cameras == "none" and painted:
        raise ValueError(f"cameras 'none', but features that images give: {', '.join(painted)}")
    if cameras == "optional" and painted != dict.fromkeys(PAINTED, 0.0):
        raise ValueError(
            f"cameras 'optional' needs the features {', '.join(PAINTED)}, each with fill 0"
        )


def point_features(cloud: PointCloud, features: tuple[Feature, ...]) -> NDArray[np.float32]:
    """Computes the input features of all points -> float32 [N, F].

    Raises:
        MessageError: the cloud lacks a channel that has no fill value, or one holds vectors.
    """
    result = np.empty((len(cloud), len(features)), dtype=np.float32)
    for column, feature in enumerate(features):
        values = _values(cloud, feature)
        np.subtract(values, np.float32(feature.offset), out=result[:, column])
        result[:, column] *= np.float32(feature.scale)
    return result


def _values(cloud: PointCloud, feature: Feature) -> NDArray[np.float32] | np.float32:
    if feature.name == "range":
        # not np.linalg.norm: that is several times slower on [N, 3]
        return np.sqrt(np.einsum("ij,ij->i", cloud.xyz, cloud.xyz))
    if feature.name in GEOMETRIC:
        return cloud.xyz[:, GEOMETRIC.index(feature.name)]
    if feature.name in cloud.channels:
        values = cloud.channels[feature.name]
        if values.ndim != 1:
            raise MessageError(
                f"the model needs one number a point as channel '{feature.name}'; the cloud's has "
                f"the shape {list(values.shape)}"
            )
        return values
    if feature.fill is not None:
        return np.float32(feature.fill)
    raise MessageError(
        f"the model needs the channel '{feature.name}'; the cloud has "
        f"{sorted(cloud.channels) or 'no channels'}: publish it, name the field that holds it, "
        "or use a model whose bundle declares a fill value"
    )
