"""Fences, railings and walls along a line."""

import numpy as np

from wsss_training.world.objects.materials import metal, varied
from wsss_training.world.objects.meshes import Array, merge, mesh_of
from wsss_training.world.objects.shapes import box, loft, quads
from wsss_training.world.scene import Color, Mesh, Part, Surface


def _surface(color: Color, texture: str, reflectance: float = 0.35) -> Surface:
    return Surface("fence", "fence", color, texture, reflectance)


def _spread(length: float, step: float) -> Array:
    """Returns places from 0 to ``length``, about ``step`` apart."""
    return np.linspace(0, length, max(round(length / step), 1) + 1)


def _bars(low: Array, high: Array) -> Mesh:
    """Returns upright and lying flat bars in the plane y = 0 between corners [n, 2] in (x, z)."""
    corners = np.zeros((len(low), 4, 3))
    corners[:, :, 0] = np.stack([low[:, 0], high[:, 0], high[:, 0], low[:, 0]], 1)
    corners[:, :, 2] = np.stack([low[:, 1], low[:, 1], high[:, 1], high[:, 1]], 1)
    return quads(corners)


def _uprights(places: Array, width: float, low: float, high: float) -> Mesh:
    foot = np.stack([places - width / 2, np.full_like(places, low)], 1)
    return _bars(foot, foot + [width, high - low])


def _rails(length: float, heights: Array, width: float) -> Mesh:
    start = np.stack([np.zeros_like(heights), heights - width / 2], 1)
    return _bars(start, start + [length, width])


def _posts(places: Array, size: float, height: float) -> Mesh:
    return merge(box((size, size, height), (x, 0, height / 2)) for x in places)


def _picket(length: float, generator: np.random.Generator) -> tuple[Part, ...]:
    height, board = generator.uniform(0.8, 1.6), generator.uniform(0.07, 0.12)
    step = board + generator.uniform(0.02, 0.07)
    places = np.arange(board / 2, length - board / 2 + 1e-6, step)
    tall = height * (1 + generator.normal(0, 0.008, len(places)))
    outline = np.array([[-0.5, 0.06], [0.5, 0.06], [0.5, 0.94], [0.0, 1.0], [-0.5, 0.94]])
    boards = np.zeros((len(places), 5, 3))
    boards[:, :, 0] = places[:, None] + board * outline[:, 0]
    boards[:, :, 1] = 0.03
    boards[:, :, 2] = tall[:, None] * outline[:, 1]
    first = 5 * np.arange(len(places))[:, None, None]
    pickets = mesh_of(boards, first + np.array([[0, 1, 2], [0, 2, 3], [0, 3, 4]]))
    beams = [box((length, 0.03, 0.08), (length / 2, 0, share * height)) for share in (0.22, 0.78)]
    paints = ((0.25, 0.15, 0.08), (0.17, 0.13, 0.10), (0.62, 0.62, 0.60), (0.12, 0.16, 0.10))
    color = varied(paints[generator.integers(4)], generator)
    posts = _posts(_spread(length, 2.2), 0.09, 0.95 * height)
    return (Part(merge([pickets, *beams, posts]), _surface(color, "wood", 0.4)),)


def _wire(length: float, generator: np.random.Generator) -> tuple[Part, ...]:
    height, wire = generator.uniform(1.0, 2.0), 0.012
    color = varied(((0.03, 0.08, 0.045), (0.3, 0.31, 0.32))[generator.integers(2)], generator)
    mesh = [
        _uprights(_spread(length, 0.12), wire, 0.05, height),
        _rails(length, np.arange(0.05, height, 0.2), 1.4 * wire),
        _posts(_spread(length, 2.5), 0.055, height + 0.03),
    ]
    return (Part(merge(mesh), _surface(color, "metal", 0.3)),)


def _railing(length: float, generator: np.random.Generator) -> tuple[Part, ...]:
    height, bar = generator.uniform(0.9, 1.2), 0.02
    color = varied(((0.02, 0.02, 0.022), (0.3, 0.31, 0.32))[generator.integers(2)], generator)
    mesh = [
        _uprights(_spread(length, 0.14), bar, 0.12, height - 0.03),
        box((length, 0.05, 0.05), (length / 2, 0, height)),
        box((length, 0.03, 0.04), (length / 2, 0, 0.12)),
        _posts(_spread(length, 1.8), 0.06, height),
    ]
    return (Part(merge(mesh), _surface(color, "metal", 0.3)),)


def _guard_rail(length: float, generator: np.random.Generator) -> tuple[Part, ...]:
    middle = generator.uniform(0.55, 0.65)
    profile = np.array(
        [
            (0.0, -0.155),
            (-0.07, -0.11),
            (-0.07, -0.05),
            (0, 0),
            (-0.07, 0.05),
            (-0.07, 0.11),
            (0, 0.155),
        ]
    )
    outline = np.concatenate([profile, profile[::-1] + [0.012, 0]])
    rail = np.zeros((2, len(outline), 3))
    rail[1, :, 0] = length
    rail[:, :, 1], rail[:, :, 2] = outline[:, 0], outline[:, 1] + middle
    posts = [
        box((0.06, 0.1, middle + 0.1), (x, 0.07, (middle + 0.1) / 2))
        for x in _spread(length - 0.2, 2.0) + 0.1
    ]
    return (Part(merge([loft(rail, caps=False), *posts]), metal("fence", "fence")),)


def _wall(length: float, generator: np.random.Generator) -> tuple[Part, ...]:
    height, depth = generator.uniform(0.7, 2.0), generator.uniform(0.18, 0.35)
    kind = generator.integers(3)
    color = ((0.28, 0.12, 0.08), (0.34, 0.33, 0.31), (0.5, 0.47, 0.4))[kind]
    texture = ("brick", "rough", "plaster")[kind]
    body = Surface("fence", "wall", varied(color, generator), texture, 0.4)
    coping = Surface("fence", "wall", varied((0.36, 0.35, 0.33), generator), "rough", 0.4)
    wall = box((length, depth, height), (length / 2, 0, height / 2))
    cap = box((length, depth + 0.08, 0.07), (length / 2, 0, height + 0.035), top=(1, 0.8))
    return Part(wall, body), Part(cap, coping)


KINDS = (_picket, _wire, _railing, _guard_rail, _wall)
SHARES = (0.3, 0.22, 0.13, 0.1, 0.25)


def fence(length: float, generator: np.random.Generator) -> tuple[Part, ...]:
    """Draws a fence of one kind from x = 0 to x = ``length``, standing in y = 0.

    Pickets, wire mesh, a railing, a guard rail, or a wall, which is a fence to SemanticKITTI and a
    wall to Cityscapes.
    """
    return KINDS[generator.choice(len(KINDS), p=SHARES)](length, generator)
