"""Bicycles, parked or ridden."""

import numpy as np

from wsss_training.world.objects.materials import RUBBER, metal, paint, rubber, varied
from wsss_training.world.objects.meshes import merge, rotation, transform
from wsss_training.world.objects.people import draw_look, figure
from wsss_training.world.objects.shapes import box, circle, cylinder, quads, tube
from wsss_training.world.objects.two_wheelers import CRANK, Frame, seated, standing_ring
from wsss_training.world.scene import Mesh, Part, Surface


def _spokes(x: float, radius: float, count: int) -> Mesh:
    ends = np.zeros((count, 3))
    ends[:, ::2] = (radius - 0.03) * circle(count)
    wide = np.stack([ends[:, 2], ends[:, 1], -ends[:, 0]], 1) * (0.004 / radius)
    corners = np.stack([-wide, wide, ends + wide, ends - wide], 1)
    return quads(corners + [x, 0, radius])


def _draw_bicycle_frame(generator: np.random.Generator) -> Frame:
    radius = float(generator.choice([0.31, 0.34, 0.35], p=[0.15, 0.35, 0.5]))
    base = generator.uniform(0.98, 1.1)
    saddle = generator.uniform(0.86, 1.02)
    grip = saddle + generator.uniform(-0.02, 0.14)
    return Frame(
        radius,
        -base / 2,
        base / 2,
        np.array([-0.22, 0.0, saddle]),
        np.array([0.26, 0.28, grip]),
        np.array([-0.05, 0.08, 0.29]),
    )


def _tubes(frame: Frame, stepped: bool) -> tuple[Mesh, Mesh]:
    """Returns the frame, with a low step or as a diamond, and the handlebar with its stem."""
    crank, rear = frame.pedal * [1, 0, 1], np.array([frame.rear, 0, frame.radius])
    front = np.array([frame.front, 0, frame.radius])
    seat, head = frame.saddle - [0, 0, 0.08], frame.grip * [1, 0, 1] - [-0.04, 0, 0.16]
    low_head = head + 0.25 * (front - head)
    meet = crank + (0.45 if stepped else 0.85) * (seat - crank)
    aside = np.array([0, 0.035, 0])
    lines = [
        (crank, seat, 0.017),
        (crank, low_head, 0.021),
        (meet, low_head if stepped else head, 0.018),
        (head, low_head, 0.02),
        *((a, rear + s * aside, 0.011) for a in (crank, seat) for s in (-1, 1)),
        *((low_head, front + s * aside, 0.012) for s in (-1, 1)),
    ]
    grips = [frame.grip * [1, y, 1] for y in (-1, -0.5, 0.5, 1)]
    bar = tube([*grips[:2], head + [0, 0, 0.14], *grips[2:]], 0.014, 4)
    stem = cylinder(head, head + [0, 0, 0.15], 0.014, sides=4)
    return merge(cylinder(a, b, r, sides=4) for a, b, r in lines), merge([bar, stem])


def _pedals(frame: Frame, turn: float) -> Mesh:
    """Returns cranks and pedals, the left crank turned by ``turn`` radians."""
    crank = frame.pedal * [1, 0, 1]
    reach = CRANK * np.array([np.cos(turn), 0, np.sin(turn)])
    across = np.array([0, 1, 0])
    meshes = []
    for side in (-1, 1):
        end = crank + side * (0.07 * across + reach)
        meshes.append(cylinder(crank + 0.04 * side * across, end, 0.012, sides=4))
        meshes.append(box((0.09, 0.1, 0.025), end + 0.06 * side * across))
    return merge(meshes)


def _luggage(
    frame: Frame, generator: np.random.Generator, label: str, teacher_class: str
) -> list[Part]:
    """Draws a basket in front, a rack with a lamp behind, both or neither."""
    parts = []
    if generator.random() < 0.3:
        basket = box((0.25, 0.32, 0.22), frame.grip * [1, 0, 1] + [0.24, 0, -0.08], (1.15, 1.15))
        wicker = Surface(label, teacher_class, varied((0.2, 0.12, 0.06), generator), "rough", 0.4)
        parts.append(Part(basket, wicker))
    if generator.random() < 0.5:
        rear = np.array([frame.rear, 0, 2 * frame.radius])
        rack = box((0.36, 0.12, 0.02), rear + [0.02, 0, 0.06])
        lamp = box((0.03, 0.08, 0.05), rear + [-0.18, 0, 0.03])
        parts.append(Part(rack, metal(label, teacher_class)))
        parts.append(Part(lamp, Surface(label, teacher_class, (0.4, 0.01, 0.01), "plain", 0.95)))
    return parts


def _bicycle_parts(
    frame: Frame, turn: float, generator: np.random.Generator, label: str, teacher_class: str
) -> list[Part]:
    tubes, bar = _tubes(frame, stepped=bool(generator.random() < 0.4))
    saddle = box((0.26, 0.15, 0.06), frame.saddle - [0.02, 0, 0.03], (0.9, 0.7))
    ends = (frame.rear, frame.front)
    wheels = merge(standing_ring(x, frame.radius, 0.022, 3, 15) for x in ends)
    spokes = [_spokes(x, frame.radius, 10) for x in ends]
    dark = merge([saddle, _pedals(frame, turn)])
    return [
        Part(wheels, Surface(label, teacher_class, RUBBER, "plain", 0.1)),
        Part(tubes, paint(generator, label, teacher_class)),
        Part(merge([bar, *spokes]), metal(label, teacher_class)),
        Part(dark, rubber(label, teacher_class)),
        *_luggage(frame, generator, label, teacher_class),
    ]


def bicycle(generator: np.random.Generator) -> tuple[Part, ...]:
    """Draws a parked bicycle, leaning a little on its stand."""
    frame = _draw_bicycle_frame(generator)
    lean = rotation(roll=generator.uniform(-0.08, 0.08))
    turn = generator.uniform(0, 2 * np.pi)
    parts = _bicycle_parts(frame, turn, generator, "bicycle", "bicycle")
    return tuple(Part(transform(p.mesh, rotate=lean), p.surface) for p in parts)


def cyclist(generator: np.random.Generator) -> tuple[Part, ...]:
    """Draws a bicycle and who rides it; both are bicyclist to SemanticKITTI."""
    frame = _draw_bicycle_frame(generator)
    turn = generator.uniform(0, 2 * np.pi)
    height = float(np.clip(generator.normal(1.74, 0.08), 1.55, 1.95))
    joints = seated(frame, height, generator.uniform(0.25, 0.7), (turn, turn + np.pi))
    look = draw_look(generator, coats=0.0, helmet=bool(generator.random() < 0.5))
    return (
        *_bicycle_parts(frame, turn, generator, "bicyclist", "bicycle"),
        *figure(joints, height, look, "bicyclist", "rider"),
    )
