"""Draws a street scene from a seed: plan, ground, buildings, things beside the road, traffic."""

import numpy as np

from wsss_perception.geometry import Matrix
from wsss_training.world.layout import Layout, Lot, Side, draw_layout, pick
from wsss_training.world.objects import BUILDERS, fence, hedge
from wsss_training.world.objects.buildings import building
from wsss_training.world.road import Road, build_ground
from wsss_training.world.scene import Actor, Part, Pose, Scene
from wsss_training.world.settings import StreetSettings, WorldSettings

_PARKED = {"car": 0.84, "van": 0.1, "truck": 0.03, "trailer": 0.03}
_CLEARANCE = 0.3  # metres between things
_LOW = 2.0  # metres above the ground up to which things are in each other's way
_JOINED = -0.2  # between the pieces of one fence
_LANE_GAP = 9.0  # metres between the centres of vehicles in a lane, beside their length
_PLANTS = 6  # individuals of a kind on one side of a street; a copy is turned anyhow
_PIECE = 4.0  # longest straight piece of a fence or hedge


class _Ground:
    """Where things stand already: circles on the ground."""

    def __init__(self) -> None:
        self._circles = np.zeros((0, 3))

    def take(self, parts: tuple[Part, ...], pose: Pose, clearance: float) -> bool:
        """Takes the ground below an object, unless something stands nearer than a clearance."""
        circles = _footprint(parts, pose)
        dx, dy, _ = np.moveaxis(self._circles[:, None] - circles, -1, 0)
        limit = self._circles[:, None, 2] + circles[:, 2] + clearance
        if (dx * dx + dy * dy < np.maximum(limit, 0) ** 2).any():
            return False
        self._circles = np.concatenate([self._circles, circles])
        return True


def _footprint(parts: tuple[Part, ...], pose: Pose) -> np.ndarray:
    """Circles [K, 3] of (x, y, radius) along an object's lower part."""
    x, y, z = np.concatenate([part.mesh.vertices for part in parts]).T
    x, y = x[z < _LOW], y[z < _LOW]
    start, end = np.array([x.min(), y.min()]), np.array([x.max(), y.max()])
    middle, half = (start + end) / 2, (end - start) / 2
    radius = max(float(half.min()), 0.05)
    count = int(np.ceil(half.max() / radius))
    offsets = np.linspace(-1, 1, count) * (half.max() - radius) if count > 1 else np.zeros(1)
    axis = np.array([1.0, 0.0]) if half[0] >= half[1] else np.array([0.0, 1.0])
    points = middle + offsets[:, None] * axis
    cosine, sine = np.cos(pose[3]), np.sin(pose[3])
    x = pose[0] + cosine * points[:, 0] - sine * points[:, 1]
    y = pose[1] + sine * points[:, 0] + cosine * points[:, 1]
    return np.column_stack([x, y, np.full(count, radius)])


class _Draft:
    """A scene being drawn."""

    def __init__(self, layout: Layout, street: StreetSettings, generator: np.random.Generator):
        self.layout, self.street, self.generator = layout, street, generator
        self.road: Road = layout.road
        self.actors: list[Actor] = []
        self._ground = _Ground()

    def stand(
        self,
        kind: str,
        parts: tuple[Part, ...],
        s: float,
        d: float,
        turn: float,
        clearance: float = _CLEARANCE,
    ) -> bool:
        """Puts something at (s, d), turned against the street's heading; False where taken."""
        x, y, z = self.road.place(s, d)
        pose = (x, y, z, float(self.road.line.heading(s)) + turn)
        if not self._ground.take(parts, pose, clearance):
            return False
        self.actors.append(Actor(kind, parts, pose))
        return True

    def move(self, kind: str, s: float, d: float, speed: float) -> None:
        """Lets something drive or walk along the street; the other way with a negative speed."""
        parts = BUILDERS[kind](self.generator)
        road = self.road

        def path(seconds: float) -> Pose:
            now = s + speed * seconds
            x, y, z = road.place(now, d)
            return x, y, z, float(road.line.heading(now)) + (np.pi if speed < 0 else 0.0)

        self.actors.append(Actor(kind, parts, path(0.0), path))

    def along(self, rate: float) -> np.ndarray:
        """Draws positions s along the street for a rate per 100 m."""
        line = self.road.line
        count = self.generator.poisson(rate * (line.end - line.start) / 100)
        return self.generator.uniform(line.start, line.end, count)

    def crosses(self, s: float, margin: float) -> bool:
        """Whether s lies on the crossing road."""
        crossing = self.layout.crossing
        return crossing is not None and crossing[0] - margin < s < crossing[1] + margin


def draw_scene(seed: int, world: WorldSettings, duration: float) -> Scene:
    """Draws a scene.

    Args:
        seed: of everything in it.
        world: the world's settings.
        duration: how long the vehicle will drive, seconds; it drives slower where the path
            would be too short, and what would come too near to it on its way is left out.
    """
    generator = np.random.default_rng([world.version, seed])
    kind = pick({name: s.weight for name, s in world.streets.items()}, generator)
    street = _vary(world.streets[kind], world, generator)
    speed = min(generator.uniform(*street.speed), world.path / duration)
    layout = draw_layout(street, world, generator)
    draft = _Draft(layout, street, generator)
    for lot in layout.lots:
        _build(draft, lot)
    for side in layout.sides:
        _park(draft, side)
        _enclose(draft, side)
        _furnish(draft, side)
        _plant(draft, side)
        _walk(draft, side)
    lane = 0.4 - (layout.road.lanes - 0.5) * layout.road.lane_width
    _drive(draft, lane, speed, duration)
    if layout.crossing is not None:
        _occupy_crossing(draft, layout.crossing)
    ground = build_ground(layout.road, generator)
    road = layout.road
    return Scene(
        seed, kind, (*ground, *draft.actors), lambda seconds: _vehicle(road, speed, lane, seconds)
    )


def _vary(
    street: StreetSettings, world: WorldSettings, generator: np.random.Generator
) -> StreetSettings:
    """Draws a scene's own rates."""

    def vary(rates: dict[str, float]) -> dict[str, float]:
        factors = np.exp(generator.normal(0, world.variety, len(rates)))
        present = generator.random(len(rates)) >= world.absent
        return {
            name: rate * factor * there
            for (name, rate), factor, there in zip(rates.items(), factors, present, strict=True)
        }

    return StreetSettings(
        **{
            **vars(street),
            "parked": float(np.clip(street.parked * np.exp(generator.normal(0, 0.4)), 0, 0.95)),
            "traffic": vary(street.traffic),
            "walkers": vary(street.walkers),
            "kerbside": vary(street.kerbside),
            "greenery": vary(street.greenery),
        }
    )


def _build(draft: _Draft, lot: Lot) -> None:
    if lot.building is None:
        return
    generator, side = draft.generator, lot.side
    parts = building(lot.end - lot.start, generator, lot.building)
    setback = generator.uniform(0, 3) if lot.building in ("house", "garage") else 0.0
    middle = (lot.start + lot.end) / 2
    distance = side.facade + setback + 0.3
    draft.stand(lot.building, parts, middle, side.sign * distance, -side.sign * np.pi / 2)


def _park(draft: _Draft, side: Side) -> None:
    """Parks cars along the kerb, and across where the yard is a parking lot."""
    generator, road = draft.generator, draft.road
    middle = side.sign * (side.parking[0] + side.parking[1]) / 2
    s = road.line.start + 4.0
    while s < road.line.end - 4.0:
        kind = pick(_PARKED, generator)
        parts = BUILDERS[kind](generator)
        length = float(np.ptp(np.concatenate([part.mesh.vertices[:, 0] for part in parts])))
        if generator.random() < draft.street.parked and not draft.crosses(s, 5.0):
            turn = 0.0 if side.sign < 0 else np.pi
            d = middle + generator.normal(0, 0.1)
            draft.stand(kind, parts, s + length / 2, d, turn + generator.normal(0, 0.03))
        s += length + generator.uniform(0.6, 2.0)
    if side.yard == "parking" and side.facade - side.border > 6.0:
        _park_across(draft, side)


def _park_across(draft: _Draft, side: Side) -> None:
    generator, line = draft.generator, draft.road.line
    taken = np.clip(draft.street.parked + 0.2, 0, 0.85)
    for distance in np.arange(side.border + 3.0, side.facade - 2.0, 6.5):
        for s in np.arange(line.start + 3, line.end - 3, 2.7):
            if generator.random() < taken and not draft.crosses(s, 3.0):
                kind = "car" if generator.random() < 0.93 else "van"
                turn = generator.choice([-1, 1]) * np.pi / 2 + generator.normal(0, 0.04)
                parts = BUILDERS[kind](generator)
                draft.stand(kind, parts, s, side.sign * (distance + generator.normal(0, 0.2)), turn)


def _enclose(draft: _Draft, side: Side) -> None:
    """Sets hedges and fences along the border, open at driveways and the crossing."""
    generator, road = draft.generator, draft.road
    s = road.line.start
    while s < road.line.end - _PIECE:
        kind = pick(draft.street.border, generator)
        end = min(s + generator.uniform(6, 30), road.line.end)
        builder = {"hedge": hedge, "fence": fence}.get(kind)
        if builder is not None:
            _enclose_stretch(draft, side, kind, s, end)
        s = end + generator.uniform(0, 4)


def _enclose_stretch(draft: _Draft, side: Side, kind: str, start: float, end: float) -> None:
    generator, road = draft.generator, draft.road
    builder = hedge if kind == "hedge" else fence
    seed = int(generator.integers(2**32))  # pieces of one stretch look alike
    count = int(np.ceil((end - start) / _PIECE))
    length = (end - start) / count
    d = side.sign * (side.border + 0.5)
    for s in start + length * np.arange(count):
        driveway = any(b.side == side.sign and b.start - length < s < b.end for b in road.bands)
        if not driveway and not draft.crosses(s + length / 2, 2.0 + length / 2):
            stretched = length * (1 - float(road.line.heading(s + 1) - road.line.heading(s)) * d)
            parts = builder(stretched, np.random.default_rng(seed))
            draft.stand(kind, parts, s, d, 0.0, _JOINED)


def _furnish(draft: _Draft, side: Side) -> None:
    """Sets poles, signs, bins and parked two-wheelers beside the kerb."""
    generator = draft.generator
    for kind, rate in draft.street.kerbside.items():
        for s in draft.along(rate / 2):
            outward = generator.uniform(0.4, 0.9)
            if generator.random() < 0.35:
                outward = max(side.border - side.kerb - generator.uniform(0.2, 0.5), 0.4)
            turn = np.pi if side.sign < 0 else 0.0  # signs face those who come
            if kind in ("bicycle", "motorcycle", "bench"):
                turn += generator.uniform(-np.pi, np.pi)
            if not draft.crosses(s, 0.5):
                parts = BUILDERS[kind](generator)
                d = side.sign * (side.kerb + outward)
                draft.stand(kind, parts, s, d, turn + generator.normal(0, 0.08))


def _plant(draft: _Draft, side: Side) -> None:
    """Plants trees and bushes where there is soil, in the yard and behind the buildings."""
    generator, road = draft.generator, draft.road
    for kind, rate in draft.street.greenery.items():
        plants = [BUILDERS[kind](generator) for _ in range(_PLANTS)]
        for s in draft.along(2 * rate):
            d = side.sign * (side.kerb + 1.0 + generator.gamma(1.5, 7.0))
            clump = 1 + int(generator.geometric(0.35)) if kind == "bush" else 1
            for along, across in generator.normal(0, 1.2, (clump, 2)):
                at = (s + along, d + across)
                fits = abs(at[1]) < side.facade + 25 and not draft.crosses(at[0], 1.5)
                if fits and road.kind_at(*at) == "terrain":
                    parts = plants[int(generator.integers(_PLANTS))]
                    draft.stand(kind, parts, *at, generator.uniform(0, 2 * np.pi))


def _walk(draft: _Draft, side: Side) -> None:
    """Lets people walk, and some stand, on the sidewalk or at the road's edge."""
    generator = draft.generator
    inner, outer = side.sidewalk or (side.kerb - 0.2, side.kerb + 1.2)
    for kind, rate in draft.street.walkers.items():
        for s in draft.along(rate / 2):
            d = side.sign * generator.uniform(inner + 0.3, outer - 0.3)
            if generator.random() < 0.3:
                turn = generator.uniform(0, 2 * np.pi)
                draft.stand(kind, BUILDERS[kind](generator), s, d, turn)
            else:
                speed = generator.choice([-1.0, 1.0]) * generator.uniform(0.7, 1.7)
                draft.move(kind, s, d, speed)


def _drive(draft: _Draft, vehicle_lane: float, vehicle_speed: float, duration: float) -> None:
    """Lets traffic drive; all in a lane at one speed, with gaps; the vehicle's stays free."""
    generator, road = draft.generator, draft.road
    slow = {kind: draft.street.traffic.get(kind, 0.0) for kind in ("cyclist", "motorcyclist")}
    fast = {kind: rate for kind, rate in draft.street.traffic.items() if kind not in slow}
    for sign in (-1, 1):
        for lane in range(road.lanes):
            d = sign * (lane + 0.5) * road.lane_width
            own = abs(d - vehicle_lane) < 1.0
            speed = vehicle_speed if own else -sign * generator.uniform(0.6, 1.4) * vehicle_speed
            for kind, s in _spaced(draft, fast, 1 / (2 * road.lanes)):
                if not own or abs(s) > 14.0:
                    draft.move(kind, s, d + generator.normal(0, 0.15), speed)
        for kind, rate in slow.items():
            for s in draft.along(rate / 2):
                pace = generator.uniform(3.0, 7.0) if kind == "cyclist" else vehicle_speed
                if sign > 0 or _keeps_clear(s, pace, vehicle_speed, duration):
                    edge = road.half_width - (0.5 if kind == "cyclist" else 1.3)
                    draft.move(kind, s, sign * edge, -sign * pace)


def _keeps_clear(s: float, pace: float, vehicle_speed: float, duration: float) -> bool:
    """Whether something that drives before or behind the vehicle stays 8 m from it."""
    gaps = (s, s + (pace - vehicle_speed) * duration)
    return min(gaps) > 8.0 or max(gaps) < -8.0


def _spaced(draft: _Draft, rates: dict[str, float], share: float) -> list[tuple[str, float]]:
    """Draws kinds and positions of vehicles in one lane that do not overlap."""
    found = [(kind, s) for kind, rate in rates.items() for s in draft.along(rate * share)]
    spaced: list[tuple[str, float]] = []
    for kind, s in sorted(found, key=lambda entry: entry[1]):
        length = 12.0 if kind in ("truck", "bus", "trailer") else 4.0
        if not spaced or s - spaced[-1][1] > _LANE_GAP + length:
            spaced.append((kind, s))
    return spaced


def _occupy_crossing(draft: _Draft, crossing: tuple[float, float]) -> None:
    """Puts traffic lights at the corners, waiting cars and crossing people on the other road."""
    generator, road = draft.generator, draft.road
    middle, quarter = sum(crossing) / 2, (crossing[1] - crossing[0]) / 4
    kerb = max(side.kerb for side in draft.layout.sides)
    if generator.random() < 0.5 and road.half_width > 5.0:
        for sign in (-1, 1):
            s = crossing[0] - 0.8 if sign < 0 else crossing[1] + 0.8
            turn = np.pi if sign < 0 else 0.0
            draft.stand(
                "traffic_light", BUILDERS["traffic_light"](generator), s, sign * (kerb + 0.7), turn
            )
    for sign in (-1, 1):
        for distance in np.arange(kerb + 5.0, 40.0, 8.0):
            if generator.random() < 0.25:
                turn = -sign * np.pi / 2
                draft.stand(
                    "car",
                    BUILDERS["car"](generator),
                    middle - sign * quarter,
                    sign * distance,
                    turn,
                )
        if generator.random() < 0.3 * min(draft.street.walkers.get("person", 0.0), 3.0):
            s = crossing[0] - 1.0 if sign < 0 else crossing[1] + 1.0
            d = sign * generator.uniform(road.half_width - 0.5, road.half_width + 1.5)
            draft.stand("person", BUILDERS["person"](generator), s, d, sign * np.pi / 2)


def _vehicle(road: Road, speed: float, lane: float, seconds: float) -> Matrix:
    """Pose of the recording vehicle: on its lane, level across, following the waves along it."""
    s = speed * seconds
    ahead, behind = np.array(road.place(s + 1.5, lane)), np.array(road.place(s - 1.5, lane))
    forward = (ahead - behind) / np.linalg.norm(ahead - behind)
    left = np.cross([0.0, 0.0, 1.0], forward)
    left /= np.linalg.norm(left)
    pose = np.eye(4)
    pose[:3, :3] = np.column_stack([forward, left, np.cross(forward, left)])
    pose[:3, 3] = (ahead + behind) / 2
    return pose
