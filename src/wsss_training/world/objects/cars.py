"""Cars and vans: a lofted body, a narrower greenhouse with windows, wheels, lamps, plates."""

from dataclasses import dataclass

import numpy as np

from wsss_training.world.objects.materials import (
    arches,
    glass,
    number_plate,
    paint,
    rubber,
    wheel_parts,
)
from wsss_training.world.objects.meshes import Array, both_sides, merge
from wsss_training.world.objects.shapes import box, loft, patch, quads
from wsss_training.world.scene import Mesh, Part, Surface

Windows = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class CarShape:
    """Measures of a car, metres; x counts from the middle of its length.

    Attributes:
        length, width, height: of the whole.
        clearance: of the body above the ground.
        belt: height of the windows' lower edge.
        nose: height of the bonnet's front edge.
        tail: height of the body's rear edge.
        glass_rear, glass_front: x of the greenhouse's lower edge.
        roof_rear, roof_front: x of the roof's edges.
        roof_width: share of the width.
        wheel: radius.
        windows: along each side, as shares of it from front to rear.
        square: how much like a box it is, 0 for a car, 1 for a van.
        rear_window: whether there is one.
    """

    length: float
    width: float
    height: float
    clearance: float
    belt: float
    nose: float
    tail: float
    glass_rear: float
    glass_front: float
    roof_rear: float
    roof_front: float
    roof_width: float
    wheel: float
    windows: Windows
    square: float = 0.0
    rear_window: bool = True


def car_shape(generator: np.random.Generator) -> CarShape:
    """Draws a hatchback, sedan, estate or SUV."""
    kind = generator.choice(["hatchback", "sedan", "estate", "suv"], p=[0.35, 0.22, 0.18, 0.25])
    spans = {
        "hatchback": ((3.6, 4.3), (1.66, 1.80), (1.42, 1.55)),
        "sedan": ((4.4, 5.0), (1.76, 1.90), (1.38, 1.48)),
        "estate": ((4.4, 4.9), (1.76, 1.88), (1.43, 1.53)),
        "suv": ((4.1, 4.8), (1.80, 1.96), (1.60, 1.78)),
    }[kind]
    length, width, height = (generator.uniform(*span) for span in spans)
    raised = kind == "suv"
    belt = generator.uniform(0.61, 0.65) * height
    front = length / 2 - generator.uniform(0.235, 0.265) * length
    boot = 0.12 * length if kind == "sedan" else 0.07
    glass_rear = -length / 2 + boot + generator.uniform(0.0, 0.06)
    windows: Windows = (
        ((0.08, 0.47), (0.51, 0.86))
        if kind in ("hatchback", "sedan")
        else ((0.08, 0.37), (0.40, 0.68), (0.71, 0.94))
    )
    if length < 3.85:
        windows = ((0.08, 0.56), (0.6, 0.9))
    return CarShape(
        length,
        width,
        height,
        clearance=0.27 if raised else generator.uniform(0.18, 0.22),
        belt=belt,
        nose=belt - generator.uniform(0.13, 0.21),
        tail=belt - generator.uniform(0.0, 0.04),
        glass_rear=glass_rear,
        glass_front=front,
        roof_rear=glass_rear + (0.17 * length if kind == "sedan" else generator.uniform(0.2, 0.4)),
        roof_front=front - generator.uniform(0.65, 0.85),
        roof_width=generator.uniform(0.70, 0.76),
        wheel=0.36 if raised else generator.uniform(0.29, 0.33),
        windows=windows,
    )


def van_shape(generator: np.random.Generator) -> CarShape:
    """Draws a delivery van or a minibus."""
    length = generator.uniform(4.5, 6.0)
    height = generator.uniform(1.85, 2.1) if length < 5.2 else generator.uniform(1.95, 2.65)
    front = length / 2 - generator.uniform(0.55, 0.8)
    glass_rear = -length / 2 + 0.05
    bus = generator.random() < 0.4
    windows: Windows = ((0.06, 0.28),)
    return CarShape(
        length,
        width=generator.uniform(1.85, 2.05),
        height=height,
        clearance=0.25,
        belt=generator.uniform(1.1, 1.2),
        nose=generator.uniform(0.88, 0.98),
        tail=1.1,
        glass_rear=glass_rear,
        glass_front=front,
        roof_rear=glass_rear + 0.12,
        roof_front=front - generator.uniform(0.5, 0.75),
        roof_width=generator.uniform(0.80, 0.88),
        wheel=0.34,
        windows=(*windows, (0.31, 0.61), (0.64, 0.95)) if bus else windows,
        square=1.0,
        rear_window=bus or generator.random() < 0.5,
    )


def _sections(shape: CarShape) -> Array:
    """Returns cross sections [9, 10, 3] of the lower body, from rear to front."""
    end = shape.length / 2
    middle = (shape.glass_rear + shape.glass_front) / 2
    stations = np.array(
        [  # x, half the width as a share, top, bottom above the clearance
            (-end, 0.80, shape.tail - 0.14, 0.10),
            (-end + 0.06, 0.88, shape.tail - 0.03, 0.03),
            (-end + 0.35, 0.96, shape.tail, 0.0),
            (middle - 0.2 * shape.length, 1.0, shape.belt, 0.0),
            (middle, 1.0, shape.belt, 0.0),
            (shape.glass_front, 0.99, shape.belt - 0.03, 0.0),
            (end - 0.42, 0.95, shape.nose + 0.6 * (shape.belt - shape.nose) - 0.06, 0.0),
            (end - 0.12, 0.86, shape.nose, 0.02),
            (end, 0.76, shape.nose - 0.08, 0.06),
        ]
    )
    x, share, top, raised = stations.T[:, :, None]
    bottom = shape.clearance + raised
    share = np.where(x < 0, share + 0.6 * shape.square * (1 - share), share)
    half = 0.5 * shape.width * share
    y = half * np.array([0.82, 0.97, 1.0, 0.97 + 0.02 * shape.square, 0.84 + 0.11 * shape.square])
    z = np.concatenate(
        [bottom, bottom + 0.1, bottom + 0.5 * (top - bottom), top - 0.09, top], axis=1
    )
    ring_y, ring_z = np.concatenate([y, -y[:, ::-1]], 1), np.concatenate([z, z[:, ::-1]], 1)
    return np.stack([np.broadcast_to(x, ring_y.shape), ring_y, ring_z], 2)


def _greenhouse(shape: CarShape) -> Array:
    """Returns rings [3, 4, 3]: base, roof's edge, roof; front right, front left, rear left, ..."""
    half, roof = (0.455 + 0.025 * shape.square) * shape.width, 0.5 * shape.width * shape.roof_width
    levels = [  # z, front, rear, half width
        (shape.belt - 0.05, shape.glass_front, shape.glass_rear, half),
        (shape.height - 0.06, shape.roof_front, shape.roof_rear, roof),
        (shape.height, shape.roof_front - 0.22, shape.roof_rear + 0.18, roof - 0.16),
    ]
    rings = [
        [(front, -y, z), (front, y, z), (rear, y, z), (rear, -y, z)] for z, front, rear, y in levels
    ]
    return np.array(rings)


def _windows(shape: CarShape, rings: Array) -> Mesh:
    faces = [rings[[0, 0, 1, 1], [j, (j + 1) % 4, (j + 1) % 4, j]] for j in range(4)]
    low = 0.16
    panes = [patch(faces[0], (0.04, 0.96, 0.05, 0.95), (0.10, 0.95))]
    if shape.rear_window:
        panes.append(patch(faces[2], (0.08, 0.92), (0.2, 0.9)))
    for start, stop in shape.windows:
        panes.append(patch(faces[1], (start, stop), (low, 0.9)))
        panes.append(patch(faces[3], (1 - stop, 1 - start), (low, 0.9)))
    return merge(panes)


def _end(sections: Array, index: int) -> Array:
    """Returns the corners [4, 3] of the body's front (-1) or rear (0) face, seen from outside."""
    ring = sections[index]
    order = [8, 1, 3, 6] if index else [1, 8, 6, 3]
    return ring[order]


def _corner(sections: Array, rear: bool) -> Mesh:
    """Returns lamps wrapped around the left corner of the body."""
    i = 0 if rear else len(sections) - 2
    face = sections[[i, i, i + 1, i + 1], [2, 3, 3, 2]]
    return both_sides(patch(face, (0.25, 0.95), (0.0, 1.0), 0.008))


def _plates(shape: CarShape) -> Mesh:
    y, z = np.array([-0.26, 0.26, 0.26, -0.26]), np.array([0.0, 0.0, 0.11, 0.11])
    front = np.stack([np.full(4, shape.length / 2 + 0.02), y, z + shape.clearance + 0.17], 1)
    rear = np.stack([np.full(4, -shape.length / 2 - 0.02), -y, z + shape.clearance + 0.35], 1)
    return quads(np.stack([front, rear]))


def _assemble(shape: CarShape, body: Surface) -> tuple[Part, ...]:
    label, teacher_class = body.label, body.teacher_class
    sections, rings = _sections(shape), _greenhouse(shape)
    front, rear = _end(sections, -1), _end(sections, 0)
    axles = (0.30 * shape.length, -0.29 * shape.length)
    mirror = box(
        (0.1, 0.2, 0.14), (shape.glass_front - 0.35, 0.5 * shape.width + 0.05, shape.belt + 0.02)
    )
    sills = [
        both_sides(patch(sections[[i, i, i + 1, i + 1], [0, 1, 1, 0]], (0, 1), (0, 1)))
        for i in range(1, len(sections) - 2)
    ]
    grille = [
        patch(front, (0.26, 0.74), (0.62, 0.95)),
        patch(front, (0.12, 0.88), (0.02, 0.28)),
        patch(rear, (0.05, 0.95), (0.0, 0.18)),
    ]
    lamps = [patch(front, u, (0.66, 0.98)) for u in ((0.0, 0.22), (0.78, 1.0))]
    rears = [patch(rear, u, (0.6, 0.98)) for u in ((0.0, 0.16), (0.84, 1.0))]
    headlamp = Surface(label, teacher_class, (0.75, 0.77, 0.8), "plain", 0.6)
    taillamp = Surface(label, teacher_class, (0.35, 0.008, 0.008), "plain", 0.8)
    dark = merge([*sills, *grille, arches(axles, shape.wheel, shape.width / 2, shape.clearance)])
    return (
        Part(merge([loft(sections), loft(rings), both_sides(mirror)]), body),
        Part(_windows(shape, rings), glass(label, teacher_class)),
        Part(dark, rubber(label, teacher_class)),
        Part(merge([*lamps, _corner(sections, False)]), headlamp),
        Part(merge([*rears, _corner(sections, True)]), taillamp),
        Part(_plates(shape), number_plate(label, teacher_class)),
        *wheel_parts(axles, shape.wheel, shape.width / 2 + 0.01, 0.2, label, teacher_class),
    )


def car(generator: np.random.Generator) -> tuple[Part, ...]:
    """Draws a passenger car."""
    return _assemble(car_shape(generator), paint(generator, "car", "car"))


def van(generator: np.random.Generator) -> tuple[Part, ...]:
    """Draws a van, which SemanticKITTI and Cityscapes call a car."""
    shape = van_shape(generator)
    body = paint(generator, "car", "car")
    if generator.random() < 0.5:
        body = Surface("car", "car", (0.7, 0.7, 0.7), "plain", 0.65)
    return _assemble(shape, body)
