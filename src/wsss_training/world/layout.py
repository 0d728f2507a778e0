"""The plan of a street before anything stands on it: strips, lots, driveways, a crossing."""

from dataclasses import dataclass

import numpy as np

from wsss_training.world.road import Band, CenterLine, Road, Strip, draw_waves
from wsss_training.world.settings import StreetSettings, WorldSettings

_PARKING_WIDTH = 2.3
_LOT_WIDTHS = {
    "house": (9.0, 16.0),
    "garage": (3.0, 7.0),
    "block": (12.0, 30.0),
    "shop": (8.0, 20.0),
    "warehouse": (20.0, 40.0),
}
_GAPS = {
    "house": (3.0, 9.0),
    "garage": (1.0, 6.0),
    "block": (0.0, 5.0),
    "shop": (0.0, 2.0),
    "warehouse": (4.0, 15.0),
}


@dataclass(frozen=True)
class Side:
    """One side of a street; distances from the centre line are unsigned metres.

    Attributes:
        sign: 1 left, -1 right.
        kerb: the road's edge, parking strip included.
        parking: from, to, of the strip where cars park along the kerb.
        sidewalk: from, to; None where there is none.
        border: where hedges and fences stand.
        yard: kind of ground behind it.
        facade: where buildings begin.
    """

    sign: int
    kerb: float
    parking: tuple[float, float]
    sidewalk: tuple[float, float] | None
    border: float
    yard: str
    facade: float


@dataclass(frozen=True)
class Lot:
    """Ground of one building.

    Attributes:
        side: of the street.
        start: smallest s.
        end: largest s.
        building: its kind; None for an empty lot.
    """

    side: Side
    start: float
    end: float
    building: str | None


@dataclass(frozen=True)
class Layout:
    """A street's plan.

    Attributes:
        road: its ground.
        sides: left and right.
        lots: of both sides.
        crossing: from, to, along the street; None where no road crosses.
    """

    road: Road
    sides: tuple[Side, Side]
    lots: tuple[Lot, ...]
    crossing: tuple[float, float] | None


def pick(weights: dict[str, float], generator: np.random.Generator) -> str:
    """Draws a name by its weight."""
    names = list(weights)
    chances = np.array([weights[name] for name in names])
    return names[int(generator.choice(len(names), p=chances / chances.sum()))]


def draw_layout(
    street: StreetSettings, world: WorldSettings, generator: np.random.Generator
) -> Layout:
    """Draws a street's plan.

    Args:
        street: its kind.
        world: the world's settings.
        generator: draws everything.
    """
    lanes = int(generator.integers(street.lanes[0], street.lanes[1], endpoint=True))
    lane_width = generator.uniform(*street.lane_width)
    line = CenterLine(
        -world.reach,
        world.path + world.reach,
        generator.uniform(-street.curvature, street.curvature),
        generator.uniform(0, 0.08),
        generator.uniform(60, 140),
    )
    half_width = lanes * lane_width
    strips = [Strip("road", -half_width, half_width)]
    sides = []
    for sign in (1, -1):
        side, added = _draw_side(sign, half_width, street, world.breadth, generator)
        sides.append(side)
        strips += added
    waves = draw_waves(generator.uniform(*street.relief), generator)
    road = Road(line, waves, tuple(strips), lanes, lane_width)
    crossing = _draw_crossing(road, street, world.path, generator)
    lots = [lot for side in sides for lot in _draw_lots(side, road, crossing, street, generator)]
    for lot in lots:
        if lot.building is not None and generator.random() < street.driveway:
            road.bands.append(_draw_driveway(lot, generator))
    if crossing is not None:
        road.bands.extend(_crossing_bands(crossing, world.breadth))
    return Layout(road, (sides[0], sides[1]), tuple(lots), crossing)


def _draw_side(
    sign: int,
    half_width: float,
    street: StreetSettings,
    breadth: float,
    generator: np.random.Generator,
) -> tuple[Side, list[Strip]]:
    strips: list[Strip] = []
    edge = half_width

    def add(kind: str, width: float) -> tuple[float, float]:
        nonlocal edge
        inner, edge = edge, edge + width
        strips.append(Strip(kind, sign * inner, sign * edge))
        return inner, edge

    parking = (edge - 0.55, edge + 1.25)  # half on the sidewalk
    if generator.random() < street.parking_strip:
        parking = add("parking", _PARKING_WIDTH)
    kerb = edge
    sidewalk = None
    has_verge, verge_first = generator.random() < street.verge, generator.random() < 0.5
    if has_verge and verge_first:
        add("terrain", generator.uniform(0.8, 3.0))
    if generator.random() < street.sidewalk:
        sidewalk = add("sidewalk", generator.uniform(*street.sidewalk_width))
    if has_verge and not verge_first:
        add("terrain", generator.uniform(0.8, 3.0))
    border = edge
    yard = pick(street.yard_ground, generator)
    depth = generator.uniform(*street.yard)
    if depth > 0.3:
        add(yard, depth)
    facade = edge
    add("terrain" if generator.random() < 0.7 else yard, breadth - edge)
    return Side(sign, kerb, parking, sidewalk, border, yard, facade), strips


def _draw_crossing(
    road: Road, street: StreetSettings, path: float, generator: np.random.Generator
) -> tuple[float, float] | None:
    if generator.random() >= street.crossing:
        return None
    half = generator.uniform(2.8, 7.0)
    middle = generator.uniform(-25.0, path + 45.0)
    return middle - half, middle + half


def _crossing_bands(crossing: tuple[float, float], breadth: float) -> list[Band]:
    start, end = crossing
    soft = ("terrain", "other-ground", "paved")
    everything = ("terrain", "other-ground", "paved", "parking", "sidewalk")
    return [
        Band("sidewalk", start - 2.0, start, soft, 0, breadth),
        Band("sidewalk", end, end + 2.0, soft, 0, breadth),
        Band("road", start, end, everything, 0, breadth),
    ]


def _draw_lots(
    side: Side,
    road: Road,
    crossing: tuple[float, float] | None,
    street: StreetSettings,
    generator: np.random.Generator,
) -> list[Lot]:
    lots = []
    s = road.line.start + generator.uniform(0, 10)
    while s < road.line.end - 10:
        kind = pick(street.buildings, generator)
        width = generator.uniform(*_LOT_WIDTHS[kind])
        crossed = crossing is not None and s < crossing[1] + 3 and s + width > crossing[0] - 3
        if crossing is not None and crossed:
            s = crossing[1] + 3.0 + generator.uniform(0, 3)
            continue
        built = generator.random() < street.built
        lots.append(Lot(side, s, s + width, kind if built else None))
        s += width + generator.uniform(*_GAPS[kind])
    return lots


def _draw_driveway(lot: Lot, generator: np.random.Generator) -> Band:
    width = generator.uniform(2.6, 4.0)
    start = generator.uniform(lot.start, max(lot.end - width, lot.start + 0.1))
    replaced = (
        ("terrain", "other-ground")
        if generator.random() < 0.5
        else ("terrain", "other-ground", "sidewalk")
    )
    return Band("paved", start, start + width, replaced, lot.side.sign, lot.side.facade)
