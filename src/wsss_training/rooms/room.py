"""Draws a scene: a room of some kind, or two with a doorway between them, furnished and lit."""

import numpy as np

from wsss_perception.geometry import make_transform
from wsss_training.rooms.furnish import Furnisher
from wsss_training.rooms.materials import PAINTS, WHITES, WOODS, Generator, pick
from wsss_training.rooms.placement import Box, Occupancy, Wall, walls_of
from wsss_training.rooms.scene import Emitter, RoomScene, Space
from wsss_training.rooms.settings import KindSettings, RoomSettings
from wsss_training.rooms.shell import (
    THICKNESS,
    Opening,
    Paint,
    curtain_actor,
    door_actor,
    floor_and_ceiling,
    lamp_actor,
    wall_actor,
    window_actor,
)
from wsss_training.world.objects.meshes import rotation
from wsss_training.world.scene import Actor

_ROOMS = 7  # keeps the draws of rooms apart from those of other worlds
_DOOR = (0.78, 0.98)  # width of doors
_WARM, _COLD = np.array([1.0, 0.86, 0.66]), np.array([0.94, 0.98, 1.0])


def draw_room(seed: int, settings: RoomSettings) -> RoomScene:
    """Draws the scene of a seed."""
    generator = np.random.default_rng([_ROOMS, seed])
    spaces = _draw_spaces(generator, settings)
    draw = _Draw(generator, settings)
    joint = generator.uniform(0.15, 0.85), generator.uniform(0.85, 1.8)
    for number, space in enumerate(spaces):
        draw.add_space(space, number, spaces, joint)
    daylight = generator.random() < 0.75
    emitters, ambient = draw.light(daylight)
    shift = [*generator.uniform(0.2, 3.0, 2), generator.uniform(-0.1, 0.1)]
    T_world_room = make_transform(rotation(yaw=generator.uniform(-np.pi, np.pi)), shift)
    boxes = np.array(draw.occupancy.boxes + draw.open_doors).reshape(-1, 2, 3)
    return RoomScene(
        seed, tuple(spaces), tuple(draw.actors), boxes, emitters, ambient, T_world_room
    )


def _draw_spaces(generator: Generator, settings: RoomSettings) -> list[Space]:
    names = list(settings.kinds)
    weights = np.array([settings.kinds[name].weight for name in names])
    kind = names[generator.choice(len(names), p=weights / weights.sum())]
    height = generator.uniform(*settings.height)

    def space(kind: str, x: float) -> Space:
        sizes = settings.kinds[kind]
        width, length = generator.uniform(*sizes.width), generator.uniform(*sizes.length)
        if generator.random() < 0.5:
            width, length = length, width
        low = (x, 0.0 if x == 0 else float(generator.uniform(-0.3, 0.3)))
        return Space(kind, low, (x + width, low[1] + length), height)

    spaces = [space(kind, 0.0)]
    if generator.random() < settings.joined:
        others = settings.companions[kind]
        other = others[generator.integers(len(others))]
        spaces.append(space(other, spaces[0].high[0] + 2 * THICKNESS))
    return spaces


class _Draw:
    """A scene that is being drawn."""

    def __init__(self, generator: Generator, settings: RoomSettings) -> None:
        self._generator, self._settings = generator, settings
        self.actors: list[Actor] = []
        self.occupancy = Occupancy()
        self.open_doors: list[Box] = []
        self._lamps: list[tuple[np.ndarray, bool]] = []
        self._windows: list[tuple[Wall, Opening]] = []

    def add_space(
        self, space: Space, number: int, spaces: list[Space], joint: tuple[float, float]
    ) -> None:
        """Builds a space, its doors and windows, and furnishes it."""
        generator, kind = self._generator, self._settings.kinds[space.kind]
        walls = walls_of(space)
        paint, accent, floor = self._paints(kind)
        base = pick(generator, (*WHITES, *WOODS[:2])) if generator.random() < 0.7 else None
        openings: list[list[Opening]] = [[], [], [], []]
        if len(spaces) == 2:
            side = 1 - number  # the wall at high x of the first, at low x of the second
            openings[side].append(_doorway(walls[side], spaces, joint))
        free = [k for k in range(4) if not openings[k]]  # no door leads into the other room
        self._draw_openings(kind, walls, openings, free, space.height)
        for wall, holes in zip(walls, openings, strict=True):
            color = accent if wall is walls[2] else paint
            self.actors.append(wall_actor(wall, space.height, holes, color, base))
            for hole in holes:
                self._fit(kind, wall, hole, paint, floor, space.height)
        ceiling: Paint = (
            pick(generator, WHITES, 0.05),
            "panels" if generator.random() < kind.panel_lamps else "plaster",
        )
        self.actors.append(floor_and_ceiling(space, floor, ceiling))
        self._hang_lamps(kind, space)
        furnisher = Furnisher(space, walls, self.occupancy, generator)
        furnisher.furnish(kind)
        self.actors += furnisher.actors

    def _paints(self, kind: KindSettings) -> tuple[Paint, Paint, Paint]:
        generator = self._generator
        texture = _choose(generator, kind.walls)
        color = pick(generator, PAINTS)
        if texture == "brick":
            color = pick(generator, ((0.35, 0.16, 0.10), (0.5, 0.42, 0.35), WHITES[1]))
        accent = pick(generator, PAINTS, 0.25) if generator.random() < 0.25 else color
        material = _choose(generator, kind.floors)
        grounds = {
            "carpet": (
                (0.22, 0.21, 0.20),
                (0.36, 0.31, 0.25),
                (0.10, 0.13, 0.20),
                (0.25, 0.10, 0.09),
            ),
            "tiles": ((0.55, 0.52, 0.47), (0.35, 0.32, 0.3), (0.68, 0.67, 0.65), (0.42, 0.3, 0.22)),
        }
        grounds["small_tiles"] = grounds["tiles"]
        floor = pick(generator, grounds.get(material, WOODS[:5]), 0.2)
        return (color, texture), (accent, texture), (floor, material)

    def _draw_openings(
        self,
        kind: KindSettings,
        walls: list[Wall],
        openings: list[list[Opening]],
        free: list[int],
        height: float,
    ) -> None:
        generator = self._generator
        wanted = [name for name, p in kind.doors.items() if generator.random() < p]
        wanted += ["window"] * int(generator.choice(len(kind.windows), p=kind.windows))
        for name in wanted:
            for _ in range(12):
                side = free[generator.integers(len(free))]
                if name == "window" and openings[side] and generator.random() < 0.5:
                    continue
                if name == "window":
                    low = 0.05 if generator.random() < 0.08 else generator.uniform(0.7, 1.15)
                    up = (low, min(generator.uniform(1.9, 2.3), height - 0.12))
                    width = generator.uniform(0.6, 2.2)
                else:
                    up, width = (0.0, generator.uniform(1.96, 2.1)), generator.uniform(*_DOOR)
                room = walls[side].length - width - 0.4
                if room < 0:
                    continue
                start = 0.2 + generator.random() * room
                hole = Opening(name, (start, start + width), up)
                if all(_apart(hole, other) for other in openings[side]):
                    openings[side].append(hole)
                    break

    def _fit(
        self,
        kind: KindSettings,
        wall: Wall,
        hole: Opening,
        paint: Paint,
        floor: Paint,
        height: float,
    ) -> None:
        """Fills an opening, and keeps the place before it free."""
        generator, (a, b), (low, high) = self._generator, hole.along, hole.up
        if hole.kind == "window":
            lost = generator.uniform(0.35, 0.75)
            blinds = generator.random() < kind.blinds
            self.actors.append(window_actor(wall, hole, generator, lost, blinds))
            self._windows.append((wall, hole))
            self.occupancy.doorways.append(
                wall.box((0, 0.12), (a - 0.1, b + 0.1), (max(low - 0.05, 0.1), high + 0.1))
            )
            if generator.random() < kind.curtain:
                self.actors.append(curtain_actor(wall, hole, generator, height))
                self.occupancy.doorways.append(
                    wall.box((0, 0.16), (a - 0.25, b + 0.25), (0.5, height))
                )
            return
        self.actors.append(door_actor(wall, hole, generator, paint, floor))
        reach = {"door": 0.75, "open_door": b - a + 0.05, "doorway": 0.9}[hole.kind]
        wide = 0.08 if hole.kind != "open_door" else 0.25
        self.occupancy.doorways.append(wall.box((0, reach), (a - wide, b + wide), (0, high)))
        if hole.kind == "open_door":
            self.open_doors.append(self.occupancy.doorways[-1])

    def _hang_lamps(self, kind: KindSettings, space: Space) -> None:
        generator = self._generator
        panel = generator.random() < kind.panel_lamps
        low, high = np.array(space.low), np.array(space.high)
        long = int((high - low).argmax())
        count = 2 if (high - low)[long] > 4.2 and (panel or generator.random() < 0.4) else 1
        for share in [0.5] if count == 1 else [0.27, 0.73]:
            place = (low + high) / 2 + generator.normal(0, 0.1, 2)
            place[long] = low[long] + share * (high - low)[long]
            x, y = (float(value) for value in place)
            lamp = lamp_actor((x, y), space.height, panel, generator)
            self.actors.append(lamp)
            low_end = min(float(part.mesh.vertices[:, 2].min()) for part in lamp.parts)
            self._lamps.append((np.array([x, y, low_end - 0.03]), panel))

    def light(self, daylight: bool) -> tuple[tuple[Emitter, ...], tuple[float, float, float]]:
        """Draws the light of lamps and windows, and what comes from everywhere."""
        generator = self._generator
        warm = generator.random()
        tint = warm * _WARM + (1 - warm) * _COLD
        on = generator.random() < (0.65 if daylight and self._windows else 1.0)
        emitters, total = [], np.full(3, 0.1)
        for place, panel in self._lamps if on else []:
            power = tint * generator.uniform(2.0, 3.5)
            normal = np.array([0, 0, -1.0 if panel else 0.0])
            sides = np.array([[0.25, 0, 0], [0, 0.5, 0]]) * (1 if panel else 0.15)
            emitters.append(_emitter(place, sides, normal, power))
            total += 0.1 * power
        for wall, hole in self._windows if daylight else []:
            (a, b), (low, high) = hole.along, hole.up
            middle = wall.origin + 0.02 * wall.inwards + (a + b) / 2 * wall.along
            sides = np.array([[*(wall.along * (b - a) / 2), 0], [0, 0, (high - low) / 2]])
            sky = (
                np.array([0.86, 0.94, 1.05]) * generator.uniform(1.2, 3.0) * (b - a) * (high - low)
            )
            place = np.array([*middle, (low + high) / 2])
            emitters.append(_emitter(place, sides, np.array([*wall.inwards, 0]), sky))
            total += 0.07 * sky
        red, green, blue = total
        return tuple(emitters), (float(red), float(green), float(blue))


def _emitter(
    place: np.ndarray, sides: np.ndarray, normal: np.ndarray, power: np.ndarray
) -> Emitter:
    return Emitter(*(np.asarray(a, np.float32) for a in (place, sides, normal, power)))


def _choose(generator: Generator, weights: dict[str, float]) -> str:
    names, values = list(weights), np.array(list(weights.values()))
    return names[generator.choice(len(names), p=values / values.sum())]


def _apart(a: Opening, b: Opening) -> bool:
    return a.along[1] + 0.25 < b.along[0] or b.along[1] + 0.25 < a.along[0]


def _doorway(wall: Wall, spaces: list[Space], joint: tuple[float, float]) -> Opening:
    """The hole that two spaces share, where both have wall."""
    low = max(space.low[1] for space in spaces) + 0.1
    high = min(space.high[1] for space in spaces) - 0.1
    width = min(joint[1], high - low)
    start = low + joint[0] * (high - low - width)
    ends = sorted(
        (np.array([wall.origin[0], y]) - wall.origin) @ wall.along for y in (start, start + width)
    )
    return Opening("doorway", (float(ends[0]), float(ends[1])), (0.0, 2.05))
