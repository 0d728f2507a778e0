"""What a synthetic scene is made of: meshes with surfaces, standing or moving."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsss_perception.geometry import Matrix

Color = tuple[float, float, float]
"""Linear RGB, 0..1."""


@dataclass(frozen=True)
class Mesh:
    """Triangles.

    Attributes:
        vertices: float32 [V, 3], metres.
        triangles: int32 [T, 3], indices of vertices; seen from both sides.
    """

    vertices: NDArray[np.float32]
    triangles: NDArray[np.int32]


@dataclass(frozen=True)
class Surface:
    """What a mesh is made of, for eyes, lasers and annotators.

    Attributes:
        label: class of its points: SemanticKITTI's, ``other-object`` for what is not scored; in
            rooms NYU40's.
        teacher_class: Cityscapes class of its pixels; ``background`` for none of its classes.
        color: albedo.
        texture: pattern on it, a key of ``textures.TEXTURES``.
        reflectance: share of the laser's light that comes back at normal incidence, 0..1.
        lost: probability that a laser pulse comes back from nowhere: glass, black paint.
    """

    label: str
    teacher_class: str
    color: Color
    texture: str = "plain"
    reflectance: float = 0.3
    lost: float = 0.0


@dataclass(frozen=True)
class Part:
    """A mesh of one surface, in its object's frame."""

    mesh: Mesh
    surface: Surface


Pose = tuple[float, float, float, float]
"""(x, y, z, yaw) in the world, metres and radians."""


@dataclass(frozen=True)
class Actor:
    """An object in the world; parts in its own frame: x forward, z up, origin on the ground.

    Attributes:
        kind: what it is, a key of ``objects.BUILDERS``, or ``ground``.
        parts: what it is made of.
        pose: where it stands, or where it is at time 0.
        path: where it is at a time in seconds; None for what stands.
    """

    kind: str
    parts: tuple[Part, ...]
    pose: Pose
    path: Callable[[float], Pose] | None = None

    def pose_at(self, seconds: float) -> Pose:
        """Where it is at a time."""
        return self.pose if self.path is None else self.path(seconds)


@dataclass(frozen=True)
class Scene:
    """A stretch of street and the vehicle that records it.

    Attributes:
        seed: everything in it was drawn from.
        kind: of street.
        actors: all that is in it; the vehicle itself is not.
        vehicle: pose of the vehicle [4, 4] in the world at a time in seconds.
    """

    seed: int
    kind: str
    actors: tuple[Actor, ...]
    vehicle: Callable[[float], Matrix]
