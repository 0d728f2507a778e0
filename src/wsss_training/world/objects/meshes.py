"""Meshes put together, moved and mirrored."""

from collections.abc import Iterable
from itertools import accumulate

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wsss_training.world.scene import Mesh

Array = NDArray[np.floating]


def mesh_of(vertices: ArrayLike, triangles: ArrayLike) -> Mesh:
    """Returns a mesh of vertices [V, 3] and triangles [T, 3]."""
    return Mesh(
        np.asarray(vertices, dtype=np.float32).reshape(-1, 3),
        np.asarray(triangles, dtype=np.int32).reshape(-1, 3),
    )


def merge(meshes: Iterable[Mesh]) -> Mesh:
    """Returns one mesh of several; none gives an empty mesh."""
    meshes = list(meshes)
    if not meshes:
        return mesh_of([], [])
    starts = accumulate((len(mesh.vertices) for mesh in meshes[:-1]), initial=0)
    triangles = [mesh.triangles + start for mesh, start in zip(meshes, starts, strict=True)]
    return mesh_of(np.concatenate([m.vertices for m in meshes]), np.concatenate(triangles))


def rotation(roll: float = 0.0, pitch: float = 0.0, yaw: float = 0.0) -> Array:
    """Returns the rotation [3, 3] about x, then y, then z, in radians."""
    (cr, cp, cy), (sr, sp, sy) = np.cos([roll, pitch, yaw]), np.sin([roll, pitch, yaw])
    return np.array(
        [
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
            [-sp, cp * sr, cp * cr],
        ]
    )


def transform(
    mesh: Mesh, move: ArrayLike = (0, 0, 0), rotate: ArrayLike | None = None, scale: ArrayLike = 1.0
) -> Mesh:
    """Returns the mesh scaled (by positive factors), then rotated, then moved."""
    vertices = mesh.vertices * np.asarray(scale, dtype=np.float32)
    if rotate is not None:
        vertices = vertices @ np.asarray(rotate, dtype=np.float32).T
    return Mesh(vertices + np.asarray(move, dtype=np.float32), mesh.triangles)


def mirrored(mesh: Mesh) -> Mesh:
    """Returns the mesh with left and right exchanged."""
    flip = np.array([1, -1, 1], dtype=np.float32)
    return Mesh(mesh.vertices * flip, mesh.triangles[:, ::-1].copy())


def above_ground(mesh: Mesh) -> Mesh:
    """Returns loose triangles, each lifted as far as it reaches below z = 0."""
    corners = mesh.vertices[mesh.triangles]
    corners[..., 2] -= np.minimum(corners[..., 2].min(axis=1, keepdims=True), 0)
    return mesh_of(corners, np.arange(3 * len(corners)))


def both_sides(mesh: Mesh) -> Mesh:
    """Returns the mesh and its mirror image."""
    return merge([mesh, mirrored(mesh)])
