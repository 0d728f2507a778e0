"""Patterns on surfaces: each maps points, normals and albedo to the albedo in every point."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Texture = Callable[[Array, Array, Array], Array]
"""(points [M, 3] in metres, normals [M, 3], albedo [M, 3]) -> albedo [M, 3]."""

_PRIMES = (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D)


def value_noise(points: Array, size: float) -> Array:
    """Smooth noise, 0..1, of a given grain.

    Args:
        points: float32 [M, K], K = 1 to 3, metres.
        size: of a grain, metres.

    Returns:
        float32 [M], the same for the same point.
    """
    scaled = (points / np.float32(size)).T
    low = np.floor(scaled)
    part = scaled - low
    part = part * part * (3 - 2 * part)
    cell = low.astype(np.int32).astype(np.uint32)
    values = [lattice_hash(cell, corner) for corner in np.ndindex(*(2,) * len(cell))]
    for along in part[::-1]:  # the last axis varies fastest
        values = [a + (b - a) * along for a, b in zip(values[::2], values[1::2], strict=True)]
    return values[0]


def lattice_hash(cells: NDArray[np.uint32], offset: tuple[int, ...] = (0, 0, 0)) -> Array:
    """Uniform numbers 0..1 [M] from lattice cells [K, M], each moved by an offset."""
    mixed = np.zeros(cells.shape[1], np.uint32)
    for column, moved, prime in zip(cells, offset, _PRIMES, strict=False):
        mixed ^= column + np.uint32(moved)
        mixed *= np.uint32(prime)
        mixed ^= mixed >> np.uint32(15)
    mixed *= np.uint32(0x2C1B3C6D)
    mixed ^= mixed >> np.uint32(13)
    return (mixed >> np.uint32(8)).astype(np.float32) / np.float32(1 << 24)


def mottle(grains: tuple[tuple[float, float], ...]) -> Texture:
    """Noise of several grains: (size in metres, strength)."""

    def texture(points: Array, normals: Array, albedo: Array) -> Array:
        factor = np.ones(len(points), np.float32)
        for size, strength in grains:
            factor += np.float32(2 * strength) * (value_noise(points, size) - np.float32(0.5))
        return albedo * np.clip(factor, 0.1, 2.0)[:, None]

    return texture


def _plain(points: Array, normals: Array, albedo: Array) -> Array:
    return albedo


def on_wall(points: Array, normals: Array) -> tuple[Array, Array]:
    """Coordinates on a wall: along it and up it, metres; on flat ground x and y."""
    length = np.hypot(normals[:, 0], normals[:, 1])
    upright = length > 0.3
    safe = np.where(upright, length, 1)
    along = (points[:, 1] * normals[:, 0] - points[:, 0] * normals[:, 1]) / safe
    return np.where(upright, along, points[:, 0]), np.where(upright, points[:, 2], points[:, 1])


def courses(width: float, height: float, joint: float) -> Texture:
    """Stones of a size in offset rows, each a little different, with darker joints."""
    cloudy = mottle(((0.8, 0.12),))

    def texture(points: Array, normals: Array, albedo: Array) -> Array:
        along, up = on_wall(points, normals)
        row = np.floor(up / height)
        shifted = along / width + np.float32(0.5) * (row % 2)
        stone = np.stack([np.floor(shifted), row]).astype(np.int32).astype(np.uint32)
        factor = np.float32(0.82) + np.float32(0.36) * lattice_hash(stone)
        in_joint = (shifted % 1 < joint / width) | (up / height % 1 < joint / height)
        factor = np.where(in_joint, np.float32(0.7), factor)
        return cloudy(points, normals, albedo * factor[:, None])

    return texture


def _windows(points: Array, normals: Array, albedo: Array) -> Array:
    """Rows of framed windows on upright walls, some with curtains, some lit by the sky."""
    wall = _plaster(points, normals, albedo)
    along, up = on_wall(points, normals)
    column, floor = along / np.float32(2.6), (up + np.float32(1.9)) / np.float32(2.9)
    inside_x, inside_y = np.abs(column % 1 - 0.5), np.abs(floor % 1 - 0.5)
    upright = np.abs(normals[:, 2]) < 0.5
    frame = upright & (inside_x < 0.27) & (inside_y < 0.29)
    pane = upright & (inside_x < 0.235) & (inside_y < 0.262) & (inside_x > 0.012)
    window = np.stack([np.floor(column), np.floor(floor)]).astype(np.int32)
    kind = lattice_hash(window.astype(np.uint32))
    glass = np.array([0.06, 0.075, 0.09], np.float32) * (1 + 2.5 * kind[:, None])
    curtain = np.array([0.55, 0.53, 0.48], np.float32)
    behind = np.where(((kind > 0.72) & (inside_y < 0.2))[:, None], curtain, glass)
    result = np.where(frame[:, None], np.float32(0.75), wall)
    return np.where(pane[:, None], behind, result)


def _stripes(points: Array, normals: Array, albedo: Array) -> Array:
    """Bands of half a metre, every other one white."""
    white = np.floor(2 * points[:, 2:]).astype(np.int32) % 2 == 0
    return np.where(white, np.float32(0.8), albedo)


def _grain(points: Array, normals: Array, albedo: Array) -> Array:
    """Upright grain: noise that is stretched along z."""
    squeezed = points * np.array([1, 1, 0.12], np.float32)
    factor = np.float32(0.75) + np.float32(0.5) * value_noise(squeezed, 0.06)
    return albedo * factor[:, None]


_plaster = mottle(((1.7, 0.08), (0.12, 0.05)))

TEXTURES: dict[str, Texture] = {
    "plain": _plain,
    "rough": mottle(((0.5, 0.12), (0.08, 0.15))),
    "asphalt": mottle(((3.0, 0.1), (0.5, 0.1), (0.05, 0.2))),
    "paving": courses(0.5, 0.5, 0.025),
    "grass": mottle(((4.0, 0.25), (0.4, 0.25), (0.06, 0.35))),
    "foliage": mottle(((0.9, 0.3), (0.12, 0.35))),
    "bark": _grain,
    "brick": courses(0.25, 0.08, 0.012),
    "plaster": _plaster,
    "windows": _windows,
    "wood": _grain,
    "metal": mottle(((0.6, 0.06),)),
    "stripes": _stripes,
}
"""Patterns by name."""
