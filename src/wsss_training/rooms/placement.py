"""Where there is room: walls, boxes around what stands, and what must stay free."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from wsss_training.rooms.scene import Space, Thing
from wsss_training.world.scene import Pose

Box = NDArray[np.float64]
"""Lowest and highest corner [2, 3] of a box along the axes."""

_GAP = 0.004  # metres between neighbours


@dataclass(frozen=True)
class Wall:
    """The inner face of a wall of a space.

    Attributes:
        origin: its end (x, y) at the right hand of who stands with the back to it.
        inwards: unit vector into the room [2].
        length: metres.
    """

    origin: NDArray[np.float64]
    inwards: NDArray[np.float64]
    length: float

    @property
    def along(self) -> NDArray[np.float64]:
        """Unit vector [2] along the wall, to the left of ``inwards``."""
        return np.array([-self.inwards[1], self.inwards[0]])

    @property
    def yaw(self) -> float:
        """Of a thing with its back to the wall."""
        return float(np.arctan2(self.inwards[1], self.inwards[0]))

    def pose(self, out: float, along: float, z: float = 0.0) -> Pose:
        """The pose of a thing with its back to the wall, its origin at a place on it."""
        x, y = self.origin + out * self.inwards + along * self.along
        return float(x), float(y), z, self.yaw

    def box(
        self, out: tuple[float, float], along: tuple[float, float], z: tuple[float, float]
    ) -> Box:
        """The box between bounds out of the wall, along it, and up."""
        corners = [self.origin + o * self.inwards + a * self.along for o in out for a in along]
        return np.array([[*np.min(corners, axis=0), z[0]], [*np.max(corners, axis=0), z[1]]])


def walls_of(space: Space) -> list[Wall]:
    """Returns the four walls of a space: at low x, high x, low y, high y."""
    (x0, y0), (x1, y1) = space.low, space.high
    rows = (
        ((x0, y0), (1.0, 0.0), y1 - y0),
        ((x1, y1), (-1.0, 0.0), y1 - y0),
        ((x1, y0), (0.0, 1.0), x1 - x0),
        ((x0, y1), (0.0, -1.0), x1 - x0),
    )
    return [Wall(np.array(o), np.array(n), length) for o, n, length in rows]


def box_at(thing: Thing, pose: Pose) -> Box:
    """Returns the box along the axes around a thing at a pose."""
    (low, high), (x, y, z, yaw) = thing.bounds(), pose
    cosine, sine = np.cos(yaw), np.sin(yaw)
    xs, ys = np.array([low[0], low[0], high[0], high[0]]), np.array([low[1], high[1]] * 2)
    px, py = cosine * xs - sine * ys + x, sine * xs + cosine * ys + y
    return np.array([[px.min(), py.min(), low[2] + z], [px.max(), py.max(), high[2] + z]])


@dataclass
class Occupancy:
    """What stands in the rooms of a scene.

    Attributes:
        boxes: around things.
        zones: where no furniture may stand but what is asked to ignore them: before doors,
            windows and cabinets.
        doorways: where nothing at all may stand.
    """

    boxes: list[Box] = field(default_factory=list)
    zones: list[Box] = field(default_factory=list)
    doorways: list[Box] = field(default_factory=list)

    def is_free(self, box: Box, space: Space, ignore_zones: bool = False) -> bool:
        """Tells whether a box is in a space and touches nothing that is there."""
        low, high = np.array([*space.low, -1]), np.array([*space.high, space.height])
        if (box[0] < low - 1e-6).any() or (box[1] > high + 1e-6).any():
            return False
        others = self.boxes + self.doorways + ([] if ignore_zones else self.zones)
        if not others:
            return True
        there = np.stack(others)
        apart = (there[:, 1] < box[0] - _GAP) | (there[:, 0] > box[1] + _GAP)
        return bool(apart.any(axis=1).all())

    def overlaps_thing(self, box: Box) -> bool:
        """Tells whether a box touches a thing."""
        there = np.stack(self.boxes) if self.boxes else np.zeros((0, 2, 3))
        apart = (there[:, 1] < box[0] - _GAP) | (there[:, 0] > box[1] + _GAP)
        return not bool(apart.any(axis=1).all())
