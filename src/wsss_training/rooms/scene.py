"""What a synthetic room is made of, in metres, z up, the floor at z = 0."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsss_perception.geometry import Matrix
from wsss_training.world.scene import Actor, Color, Part

Corner = tuple[float, float, float]


@dataclass(frozen=True)
class Thing:
    """A piece of furniture in its own frame: its front to +x, the floor at z = 0.

    Attributes:
        parts: what it is made of.
        tops: surfaces that small things can stand on: (low x, low y, high x, high y, z).
    """

    parts: tuple[Part, ...]
    tops: tuple[tuple[float, float, float, float, float], ...] = ()

    def bounds(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Returns the lowest and the highest corner [3] of the box around it."""
        vertices = np.concatenate([part.mesh.vertices for part in self.parts])
        return vertices.min(axis=0).astype(float), vertices.max(axis=0).astype(float)


@dataclass(frozen=True)
class Emitter:
    """A rectangle that gives light: a lamp, or a window by day.

    Attributes:
        center: of the rectangle [3].
        sides: half its sides, two vectors [2, 3].
        normal: where it shines [3]; 0 for a lamp that shines everywhere.
        power: RGB [3], of the light at a distance of one metre.
    """

    center: NDArray[np.float32]
    sides: NDArray[np.float32]
    normal: NDArray[np.float32]
    power: NDArray[np.float32]


@dataclass(frozen=True)
class Space:
    """The inside of one room: a box from (x, y, 0).

    Attributes:
        kind: of room, a key of ``rooms.yaml``.
        low: its corner (x, y).
        high: the opposite corner (x, y).
        height: of the ceiling.
    """

    kind: str
    low: tuple[float, float]
    high: tuple[float, float]
    height: float

    def area(self) -> float:
        """Of the floor, square metres."""
        return (self.high[0] - self.low[0]) * (self.high[1] - self.low[1])


@dataclass(frozen=True)
class RoomScene:
    """A furnished room, or two that a doorway joins.

    Attributes:
        seed: everything in it was drawn from.
        spaces: one or two.
        actors: walls, floor, ceiling and all that stands and hangs there.
        boxes: around what a camera must keep out of [B, 2, 3]: lowest and highest corner.
        emitters: its light.
        ambient: RGB [3] of the light from everywhere.
        T_world_room: [4, 4], from the room's axes to those of the recording.
    """

    seed: int
    spaces: tuple[Space, ...]
    actors: tuple[Actor, ...]
    boxes: NDArray[np.float64]
    emitters: tuple[Emitter, ...]
    ambient: Color
    T_world_room: Matrix

    def classes(self) -> set[str]:
        """Returns the NYU40 classes of all that is in it, seen or not."""
        return {part.surface.label for actor in self.actors for part in actor.parts}
