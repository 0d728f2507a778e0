"""Motorcycles and scooters, parked or ridden."""

import numpy as np

from wsss_training.world.objects.materials import metal, number_plate, paint, rubber
from wsss_training.world.objects.meshes import merge, rotation, transform
from wsss_training.world.objects.people import draw_look, figure
from wsss_training.world.objects.shapes import box, cylinder, ellipsoid, loft, patch, tube
from wsss_training.world.objects.two_wheelers import Frame, seated, standing_ring
from wsss_training.world.scene import Part, Surface


def _draw_motorcycle_frame(generator: np.random.Generator) -> Frame:
    radius, base = generator.uniform(0.29, 0.33), generator.uniform(1.3, 1.5)
    return Frame(
        radius,
        -0.5 * base,
        0.5 * base,
        np.array([-0.22, 0.0, generator.uniform(0.76, 0.86)]),
        np.array([0.34, 0.36, generator.uniform(0.95, 1.12)]),
        np.array([-0.18, 0.2, 0.3]),
    )


def _motorcycle_parts(
    frame: Frame, generator: np.random.Generator, label: str, teacher_class: str
) -> list[Part]:
    radius, grip, saddle = frame.radius, frame.grip, frame.saddle
    front, rear = np.array([frame.front, 0, radius]), np.array([frame.rear, 0, radius])
    neck = np.array([grip[0] + 0.05, 0, grip[2] - 0.1])
    sides = [np.array([0, s * 0.09, 0]) for s in (-1, 1)]
    wheels = [standing_ring(x, radius, 0.06, 5, 12) for x in (frame.rear, frame.front)]
    hubs = [
        cylinder((x, -0.025, radius), (x, 0.025, radius), 0.7 * radius, sides=8)
        for x in (frame.rear, frame.front)
    ]
    metals = [cylinder(front + s, neck + s, 0.025, sides=5) for s in sides]
    metals += [cylinder(rear + s, frame.pedal * [0, 0, 1] + s, 0.03, sides=5) for s in sides]
    metals.append(cylinder((0.15, -0.16, 0.3), (frame.rear - 0.15, -0.2, 0.38), 0.045, 0.06, 7))
    metals.append(box((0.42, 0.3, 0.36), (0.05, 0, 0.45), (0.8, 0.8)))
    bars = [
        tube([grip, neck + [0, 0.1, 0.06], neck + [0, -0.1, 0.06], grip * [1, -1, 1]], 0.018, 5)
    ]
    top = saddle[2]
    seat = box((0.62, 0.26, 0.1), saddle - [0.08, 0, 0.05], (0.92, 0.7))
    tank = ellipsoid((0.13, 0, top + 0.04), (0.27, 0.15, 0.15), 8, 4)
    tail = box((0.5, 0.2, 0.14), (frame.rear + 0.12, 0, top - 0.12), (1.1, 0.7))
    guard = box((0.42, 0.13, 0.03), front + [0.0, 0, radius + 0.03], (0.8, 0.8))
    skins = [tank, tail, guard]
    if generator.random() < 0.45:
        skins.append(box((0.3, 0.42, 0.42), neck + [0.12, 0, -0.02], (0.35, 0.6)))
        skins.append(box((0.45, 0.36, 0.35), (0.22, 0, 0.52), (1.0, 0.8)))
    lamp = ellipsoid(neck + [0.16, 0, -0.02], (0.08, 0.09, 0.09), 8, 3)
    stop = box((0.04, 0.16, 0.06), (frame.rear - 0.15, 0, top - 0.08))
    number = patch(
        [
            (frame.rear - 0.2, y, z + top - 0.3)
            for y, z in ((0.1, 0), (-0.1, 0), (-0.1, 0.16), (0.1, 0.16))
        ],
        (0, 1),
        (0, 1),
    )
    return [
        Part(merge(wheels), rubber(label, teacher_class)),
        Part(merge([*hubs, *metals]), metal(label, teacher_class, (0.2, 0.2, 0.2))),
        Part(merge([seat, *bars]), rubber(label, teacher_class)),
        Part(merge(skins), paint(generator, label, teacher_class)),
        Part(lamp, Surface(label, teacher_class, (0.75, 0.77, 0.8), "plain", 0.6)),
        Part(stop, Surface(label, teacher_class, (0.4, 0.01, 0.01), "plain", 0.95)),
        Part(number, number_plate(label, teacher_class)),
    ]


def _scooter_parts(
    frame: Frame, generator: np.random.Generator, label: str, teacher_class: str
) -> list[Part]:
    radius, grip, saddle = 0.23, frame.grip, frame.saddle
    front, rear = frame.front - 0.06, frame.rear + 0.1
    wheels = [standing_ring(x, radius, 0.055, 5, 12) for x in (rear, front)]
    neck = np.array([grip[0] + 0.02, 0, grip[2] - 0.05])
    skins = [
        box((0.62, 0.34, 0.3), (rear + 0.1, 0, 0.53), (0.95, 0.75)),
        box((0.5, 0.3, 0.1), (0.1, 0, 0.28)),
        loft(
            [
                [(x - 0.05, -w, z), (x + 0.06, 0, z), (x - 0.05, w, z), (x - 0.08, 0, z)]
                for x, w, z in (
                    (0.4, 0.18, 0.26),
                    (0.38, 0.2, 0.5),
                    (grip[0] + 0.05, 0.14, grip[2] - 0.1),
                )
            ]
        ),
        box((0.16, 0.24, 0.14), neck, (0.7, 0.8)),
        box((0.3, 0.14, 0.12), (front, 0, 2 * radius), (0.7, 0.6)),
    ]
    fork = cylinder((front, 0.06, radius), (0.36, 0.05, 0.45), 0.025, sides=5)
    bar = tube([grip, neck + [0, 0, 0.06], grip * [1, -1, 1]], 0.018, 5)
    seat = box((0.6, 0.26, 0.1), saddle - [0.1, 0, 0.05], (0.92, 0.75))
    lamp = box((0.04, 0.16, 0.1), neck + [0.08, 0, 0.0])
    stop = box((0.04, 0.2, 0.07), (rear - 0.21, 0, 0.62))
    dark = merge([*wheels, bar, seat, fork])
    return [
        Part(dark, rubber(label, teacher_class)),
        Part(merge(skins), paint(generator, label, teacher_class)),
        Part(lamp, Surface(label, teacher_class, (0.75, 0.77, 0.8), "plain", 0.6)),
        Part(stop, Surface(label, teacher_class, (0.4, 0.01, 0.01), "plain", 0.95)),
    ]


def motorcycle(generator: np.random.Generator) -> tuple[Part, ...]:
    """Draws a parked motorcycle or scooter, leaning to the left on its stand."""
    frame = _draw_motorcycle_frame(generator)
    build = _scooter_parts if generator.random() < 0.35 else _motorcycle_parts
    lean = rotation(roll=-generator.uniform(0.05, 0.15))
    parts = build(frame, generator, "motorcycle", "motorcycle")
    parts = [Part(transform(p.mesh, rotate=lean), p.surface) for p in parts]
    return tuple(parts)


def motorcyclist(generator: np.random.Generator) -> tuple[Part, ...]:
    """Draws a motorcycle or scooter and who rides it, with a helmet."""
    frame = _draw_motorcycle_frame(generator)
    build = _scooter_parts if generator.random() < 0.35 else _motorcycle_parts
    height = float(np.clip(generator.normal(1.76, 0.08), 1.55, 1.95))
    joints = seated(frame, height, generator.uniform(0.1, 0.5), (0.3, 0.3))
    look = draw_look(generator, coats=0.0, helmet=True)
    return (
        *build(frame, generator, "motorcyclist", "motorcycle"),
        *figure(joints, height, look, "motorcyclist", "rider"),
    )
