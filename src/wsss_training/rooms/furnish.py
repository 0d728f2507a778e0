"""Furnishes a space: what stands where, from a kind's settings."""

from dataclasses import dataclass

import numpy as np

from wsss_training.rooms.furniture import BUILDERS
from wsss_training.rooms.placement import Occupancy, Wall, box_at
from wsss_training.rooms.scene import Space, Thing
from wsss_training.rooms.settings import KindSettings
from wsss_training.world.scene import Actor, Pose

Generator = np.random.Generator

_DESIGNS, _TRIALS = 3, 25


@dataclass(frozen=True)
class Rule:
    """How a thing is placed.

    Attributes:
        where: ``wall``, ``corner`` (at a wall, mostly at one of its ends), ``free``, ``any``
            (one or the other of ``wall`` and ``free``), ``beside`` (the latest bed, at its wall),
            ``before`` (the latest sofa), ``hung`` (on a wall), ``flat`` (on the floor, under
            furniture).
        front: metres before it that stay free of furniture.
        up: bounds of the height of its middle, of what is hung.
        around: chairs around it: least and most.
    """

    where: str
    front: float = 0.0
    up: tuple[float, float] = (1.4, 1.7)
    around: tuple[int, int] | None = None


_WALL, _HUNG, _ANY = Rule("wall", 0.45), Rule("hung"), Rule("any")
RULES: dict[str, Rule] = {
    **dict.fromkeys(("sideboard", "wardrobe", "file_cabinet", "dresser", "bookshelf"), _WALL),
    **dict.fromkeys(("refrigerator", "washbasin", "washing_machine"), _WALL),
    **dict.fromkeys(("kitchen_unit", "vanity"), Rule("corner", 0.6)),
    **dict.fromkeys(("bathtub", "shower"), Rule("corner", 0.4)),
    **dict.fromkeys(("picture", "clock"), _HUNG),
    "toilet": Rule("wall", 0.35),
    "bed": Rule("corner", 0.3),
    "sofa": Rule("wall", 0.4),
    "desk": Rule("wall", 0.75, around=(1, 1)),
    "night_stand": Rule("beside"),
    "side_table": _ANY,
    "ladder_rack": Rule("wall", 0.4),
    "dining_table": Rule("any", around=(1, 6)),
    "meeting_table": Rule("free", around=(4, 10)),
    "coffee_table": Rule("before"),
    "counter_bar": _ANY,
    "mirror": Rule("hung", up=(1.4, 1.6)),
    "whiteboard": Rule("hung", up=(1.35, 1.55)),
    "television": Rule("hung", up=(1.2, 1.7)),
    "towel": Rule("hung", up=(1.0, 1.3)),
    "wall_cabinet": Rule("hung", up=(1.6, 1.8)),
    "radiator": Rule("hung", up=(0.35, 0.42)),
    "rug": Rule("flat"),
    "armchair": _ANY,
    "office_chair": Rule("free"),
    "chair": _ANY,
    "stool": _ANY,
    "floor_lamp": Rule("corner"),
    "coat_rack": Rule("corner"),
}
"""Rules by kind of thing; others stand anywhere."""


class Furnisher:
    """Puts things into one space.

    Args:
        space: the room.
        walls: of it.
        occupancy: what is there; it grows.
        generator: of all that is random.
    """

    def __init__(
        self, space: Space, walls: list[Wall], occupancy: Occupancy, generator: Generator
    ) -> None:
        self._space, self._walls = space, walls
        self._occupancy, self._generator = occupancy, generator
        self.actors: list[Actor] = []

    def furnish(self, kind: KindSettings) -> None:
        """Places what the kind's settings draw, and small things on it."""
        for name, (probability, least, most) in kind.furniture.items():
            if self._generator.random() >= probability:
                continue
            for _ in range(int(self._generator.integers(int(least), int(most) + 1))):
                self._add(name, kind.small)

    def _add(self, name: str, small: dict[str, float]) -> None:
        rule = RULES.get(name, _ANY)
        for trial in range(_DESIGNS * _TRIALS):
            if trial % _TRIALS == 0:  # another may be smaller
                thing = BUILDERS[name](self._generator)
            pose = self._propose(rule, thing)
            if pose is None or not self._try(name, thing, pose, rule):
                continue
            self._crown(thing, pose, small)
            if rule.around is not None:
                self._seat(name, thing, pose, rule.around)
            return

    def _propose(self, rule: Rule, thing: Thing) -> Pose | None:
        where = rule.where
        if where == "any":
            where = "wall" if self._generator.random() < 0.5 else "free"
        if where in ("free", "flat"):
            return self._somewhere()
        if where == "before":
            return self._before_sofa(thing)
        low, high = thing.bounds()
        wall = self._walls[self._generator.integers(4)]
        room = wall.length - (high[1] - low[1]) - 0.04
        if room < 0:
            return None
        share = self._generator.random()
        if where == "corner" and self._generator.random() < 0.7:
            share = float(self._generator.integers(2))
        along = 0.02 + share * room - low[1]
        if where == "beside":
            wall, along = self._beside(low[1], high[1], wall, along)
        if where == "hung":
            return wall.pose(0.002, along, self._generator.uniform(*rule.up))
        return wall.pose(0.02 - low[0], along)

    def _somewhere(self) -> Pose:
        x, y = self._generator.uniform(self._space.low, self._space.high)
        turn = self._generator.integers(4) * np.pi / 2
        loose = self._generator.normal(0, 0.3) if self._generator.random() < 0.4 else 0.0
        return float(x), float(y), 0.0, float(turn + loose)

    def _latest(self, kind: str) -> Actor | None:
        return next((a for a in reversed(self.actors) if a.kind == kind), None)

    def _before_sofa(self, thing: Thing) -> Pose | None:
        sofa = self._latest("sofa")
        if sofa is None:
            return self._somewhere()
        x, y, _, yaw = sofa.pose
        out = self._generator.uniform(0.85, 1.25)
        return x + out * np.cos(yaw), y + out * np.sin(yaw), 0.0, yaw

    def _beside(self, low: float, high: float, wall: Wall, along: float) -> tuple[Wall, float]:
        """Moves a place to one side of the bed, at the bed's wall."""
        bed = self._latest("bed")
        if bed is None:
            return wall, along
        vertices = np.concatenate([part.mesh.vertices for part in bed.parts])
        wall = min(self._walls, key=lambda w: abs(np.angle(np.exp(1j * (w.yaw - bed.pose[3])))))
        middle = (np.array(bed.pose[:2]) - wall.origin) @ wall.along
        gap = self._generator.uniform(0.02, 0.12)
        if self._generator.random() < 0.5:
            return wall, float(middle + vertices[:, 1].max() + gap - low)
        return wall, float(middle + vertices[:, 1].min() - gap - high)

    def _try(self, name: str, thing: Thing, pose: Pose, rule: Rule) -> bool:
        box = box_at(thing, pose)
        flat = rule.where == "flat"
        if flat:
            low, high = self._space.low, self._space.high
            if (box[0, :2] < low).any() or (box[1, :2] > high).any() or self._latest(name):
                return False
            self.actors.append(Actor(name, thing.parts, pose))
            return True
        box[0, 2] = max(box[0, 2], 0.02)  # rugs are no obstacle
        if not self._occupancy.is_free(box, self._space, rule.where == "hung" and pose[2] < 0.6):
            return False
        if rule.front:
            front = self._front(box, pose[3], rule.front)
            if self._occupancy.overlaps_thing(front):
                return False
            self._occupancy.zones.append(front)
        self._occupancy.boxes.append(box)
        self.actors.append(Actor(name, thing.parts, pose))
        return True

    def _front(self, box: np.ndarray, yaw: float, reach: float) -> np.ndarray:
        """The box before a thing that stands along the axes."""
        direction = np.round([np.cos(yaw), np.sin(yaw)])
        front = box.copy()
        for axis, sign in enumerate(direction):
            if sign > 0:
                front[:, axis] = box[1, axis] + 0.01, box[1, axis] + reach
            elif sign < 0:
                front[:, axis] = box[0, axis] - reach, box[0, axis] - 0.01
        return front

    def _crown(self, thing: Thing, pose: Pose, small: dict[str, float]) -> None:
        """Puts small things on a thing's tops."""
        x, y, z, yaw = pose
        cosine, sine = np.cos(yaw), np.sin(yaw)
        for x0, y0, x1, y1, top in thing.tops:
            taken: list[np.ndarray] = []
            names = [n for n, mean in small.items() for _ in range(self._generator.poisson(mean))]
            for name in names[:6]:
                item = BUILDERS[name](self._generator)
                low, high = item.bounds()
                room = np.array([x1 - x0, y1 - y0]) - (high - low)[:2]
                if (room < 0).any():
                    continue
                a, b = np.array([x0, y0]) - low[:2] + self._generator.uniform(0, 1, 2) * room
                spot = np.array([[a + low[0], b + low[1]], [a + high[0], b + high[1]]])
                if any(((s[1] > spot[0]) & (s[0] < spot[1])).all() for s in taken):
                    continue
                taken.append(spot)
                place = (x + cosine * a - sine * b, y + sine * a + cosine * b, z + top, yaw)
                self.actors.append(Actor(name, item.parts, place))

    def _seat(self, name: str, thing: Thing, pose: Pose, around: tuple[int, int]) -> None:
        """Puts chairs before a desk, or around a table."""
        low, high = thing.bounds()
        x, y, _, yaw = pose
        cosine, sine = np.cos(yaw), np.sin(yaw)
        swivel = name == "desk" or (name == "meeting_table" and self._generator.random() < 0.5)
        kind = "office_chair" if swivel and self._generator.random() < 0.75 else "chair"
        design = int(self._generator.integers(2**31))  # the chairs are of one kind
        spots = [(1, 0)] if name == "desk" else [(1, k) for k in (-1, 0, 1)]
        if name != "desk":
            spots += [(-1, k) for k in (-1, 0, 1)] + [(0, -1), (0, 1)]
        count = int(self._generator.integers(around[0], around[1] + 1))
        for k in self._generator.permutation(len(spots))[:count]:
            side, place = spots[k]
            seat = BUILDERS[kind](np.random.default_rng(design))
            out = self._generator.uniform(0.04, 0.3) - seat.bounds()[0][0]
            aside = 0.3 * (high[1] - low[1]) * place
            if side:
                a, b = (high[0] + out) if side > 0 else (low[0] - out), aside
                turn = np.pi if side > 0 else 0.0
            else:
                a, b = 0.0, (high[1] + out) if place > 0 else (low[1] - out)
                turn = -np.pi / 2 if place > 0 else np.pi / 2
            turn += self._generator.normal(0, 0.4 if kind == "office_chair" else 0.12)
            at = (x + cosine * a - sine * b, y + sine * a + cosine * b, 0.0, float(yaw + turn))
            box = box_at(seat, at)
            if self._occupancy.is_free(box, self._space, ignore_zones=True):
                self._occupancy.boxes.append(box)
                self.actors.append(Actor(kind, seat.parts, at))
