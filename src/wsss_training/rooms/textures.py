"""Patterns of floors, walls, cloth, wood and pictures; see ``world.textures``."""

import numpy as np

from wsss_training.world.textures import (
    TEXTURES,
    Array,
    Texture,
    lattice_hash,
    mottle,
    on_wall,
    value_noise,
)


def _cells(*columns: Array) -> Array:
    return lattice_hash(np.stack(columns).astype(np.int32).astype(np.uint32))


def _planks(width: float, length: float) -> Texture:
    """Boards with a grain along x, or along a wall; each of another brightness."""

    def texture(points: Array, normals: Array, albedo: Array) -> Array:
        along, up = on_wall(points, normals)
        row = np.floor(up / width)
        shifted = along / length + _cells(row, 0 * row)
        board = _cells(np.floor(shifted), row)
        joint = (up / width % 1 < 0.05) | (shifted % 1 < 0.004)
        streaks = value_noise(np.column_stack([along * np.float32(0.08), up]), 0.012)
        factor = np.float32(0.62) + np.float32(0.45) * board + np.float32(0.22) * streaks
        return albedo * np.where(joint, np.float32(0.5), factor)[:, None]

    return texture


def _tiles(size: float, joint: float, spread: float) -> Texture:
    """Square tiles with light joints."""

    def texture(points: Array, normals: Array, albedo: Array) -> Array:
        along, up = on_wall(points, normals)
        tile = _cells(np.floor(along / size), np.floor(up / size))
        factor = 1 - spread / 2 + np.float32(spread) * tile
        in_joint = (along / size % 1 < joint / size) | (up / size % 1 < joint / size)
        return np.where(in_joint[:, None], np.float32(0.5), albedo * factor[:, None])

    return texture


def _across(points: Array, normals: Array, albedo: Array) -> Array:
    """Wood with its grain along the floor."""
    along, up = on_wall(points, normals)
    stretched = np.column_stack([along * np.float32(0.1), up])
    factor = np.float32(0.72) + np.float32(0.5) * value_noise(stretched, 0.02)
    return albedo * factor[:, None]


def _upright(points: Array, normals: Array, albedo: Array) -> Array:
    """Wood with its grain up, on flat boards along x."""
    along, up = on_wall(points, normals)
    flat = np.abs(normals[:, 2]) > 0.7
    fine, coarse = np.where(flat, up, along), np.where(flat, along, up)
    streaks = np.column_stack([fine, coarse * np.float32(0.08)])
    factor = np.float32(0.72) + np.float32(0.5) * value_noise(streaks, 0.025)
    return albedo * factor[:, None]


def _bands(points: Array, normals: Array, albedo: Array) -> Array:
    """Cloth with stripes of two shades."""
    along, _ = on_wall(points, normals)
    dark = np.floor(along / np.float32(0.07)) % 2 == 0
    return _fabric(points, normals, albedo * np.where(dark, 0.55, 1.1)[:, None].astype(np.float32))


def _checks(points: Array, normals: Array, albedo: Array) -> Array:
    """Cloth with a check of three shades."""
    along, up = on_wall(points, normals)
    shade = np.floor(along / np.float32(0.11)) % 2 + np.floor(up / np.float32(0.11)) % 2
    return _fabric(points, normals, albedo * (np.float32(0.5) + np.float32(0.3) * shade)[:, None])


def _flowers(points: Array, normals: Array, albedo: Array) -> Array:
    """Cloth or paper with blots of another colour."""
    blot = value_noise(points, 0.09) > 0.62
    return _fabric(points, normals, np.where(blot[:, None], albedo[:, [2, 0, 1]], albedo))


def _art(points: Array, normals: Array, albedo: Array) -> Array:
    """A picture: soft areas of colours that have little to do with each other."""
    areas = [value_noise(points + np.float32(7.3 * k), 0.16) for k in range(3)]
    fine = value_noise(points, 0.035)
    color = np.column_stack(areas) ** 2 * np.float32(1.2) + np.float32(0.15) * fine[:, None]
    return np.clip(np.float32(0.75) * color + np.float32(0.45) * albedo, 0.01, 0.9)


def _print(points: Array, normals: Array, albedo: Array) -> Array:
    """Lines of text on paper."""
    along, up = on_wall(points, normals)
    line, letter = np.floor(up / np.float32(0.02)), np.floor(along / np.float32(0.012))
    dark = (up / np.float32(0.02) % 1 < 0.5) & (_cells(letter, line) > 0.35)
    return np.where(dark[:, None], np.float32(0.25) * albedo, albedo)


_fabric = mottle(((0.25, 0.06), (0.012, 0.14)))

ROOM_TEXTURES: dict[str, Texture] = {
    **{name: TEXTURES[name] for name in ("plain", "plaster", "metal", "brick")},
    "wood": _upright,
    "across": _across,
    "parquet": _planks(0.09, 0.6),
    "boards": _planks(0.16, 1.8),
    "tiles": _tiles(0.33, 0.008, 0.15),
    "small_tiles": _tiles(0.12, 0.006, 0.1),
    "panels": _tiles(0.6, 0.015, 0.05),
    "carpet": mottle(((1.2, 0.08), (0.02, 0.25))),
    "stone": mottle(((0.15, 0.12), (0.012, 0.3))),
    "fabric": _fabric,
    "bands": _bands,
    "checks": _checks,
    "flowers": _flowers,
    "art": _art,
    "print": _print,
    "glow": TEXTURES["plain"],
    "outside": TEXTURES["plain"],
}
"""Patterns by name; ``glow`` shines by itself, ``outside`` shows what is behind a window."""
