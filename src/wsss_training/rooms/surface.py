"""The labelled mesh of a recording: its depth images fused, each vertex of the true class."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsss_perception.geometry import Camera, Matrix, invert, transform_points
from wsss_training.data.fused_cloud import integrate_frame, new_volume
from wsss_training.data.ply import Mesh
from wsss_training.rooms.labels import NYU40, nyu40_id
from wsss_training.rooms.recorder import Frame
from wsss_training.rooms.render import Palette
from wsss_training.world.tracer import Geometry

_TRUNCATION = 2.5  # voxels
_OUT = 0.015  # metres


@dataclass(frozen=True)
class LabelledMesh:
    """Triangles in the world of the recording.

    Attributes:
        vertices: float32 [V, 3], metres.
        colors: uint8 [V, 3].
        faces: int32 [F, 3].
        labels: uint16 [V], NYU40 ids.
    """

    vertices: NDArray[np.float32]
    colors: NDArray[np.uint8]
    faces: NDArray[np.int32]
    labels: NDArray[np.uint16]


def fuse(frames: Sequence[Frame], camera: Camera, spacing: float) -> LabelledMesh:
    """Fuses frames to the surface that they saw; its labels are 0, unknown."""
    volume = new_volume(spacing, _TRUNCATION * spacing)
    for frame in frames:
        depth = frame.depth.astype(np.float32) / np.float32(1000)
        integrate_frame(volume, frame.pixels, depth, camera, invert(frame.T_world_camera))
    mesh = volume.extract_triangle_mesh()
    vertices = np.asarray(mesh.vertices).astype(np.float32)
    colors = np.rint(255 * np.asarray(mesh.vertex_colors)).astype(np.uint8)
    faces = np.asarray(mesh.triangles).astype(np.int32)
    used = np.zeros(len(vertices), bool)
    used[faces] = True
    order = np.lexsort(vertices.T)
    order = order[used[order]]
    place = np.zeros(len(vertices), np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    faces = place[faces]
    faces = faces[np.lexsort(faces.T)]
    return LabelledMesh(vertices[order], colors[order], faces, np.zeros(len(order), np.uint16))


def label(
    mesh: LabelledMesh, geometry: Geometry, palette: Palette, T_world_room: Matrix
) -> LabelledMesh:
    """Gives each vertex the class that most of it and its neighbours lie nearest to.

    Args:
        mesh: in the world of the recording.
        geometry: the true surfaces, in the room's axes.
        palette: their classes, in the order of the geometry's surfaces.
        T_world_room: [4, 4], from the room's axes to the mesh's.
    """
    # a little out of the surface, lest what lies hidden under a rug or behind a picture is nearest
    outwards = mesh.vertices + _OUT * _normals(mesh)
    points = transform_points(invert(T_world_room), outwards.astype(np.float64))
    ids = np.array([nyu40_id(name) for name in palette.labels])
    own = ids[geometry.nearest(points.astype(np.float32))]
    smoothed = majority(own, mesh.faces).astype(np.uint16)
    return LabelledMesh(mesh.vertices, mesh.colors, mesh.faces, smoothed)


def _normals(mesh: LabelledMesh) -> NDArray[np.float32]:
    columns = dict(zip("xyz", mesh.vertices.T, strict=True))
    return Mesh(columns, mesh.faces.astype(np.int64)).normals()


def majority(labels: NDArray[np.int64], faces: NDArray[np.int32]) -> NDArray[np.int64]:
    """Returns the class that most of each vertex and the vertices it shares faces with have.

    A neighbour has a vote for each face it shares with the vertex: two, but one at the mesh's
    border. The vertex itself has one and a half. Of classes with equal votes the lower id wins.

    Args:
        labels: ids [V], 1 to 40.
        faces: [F, 3].
    """
    count = len(NYU40) + 1
    edges = faces[:, [0, 1, 1, 2, 2, 0, 1, 0, 2, 1, 0, 2]].reshape(-1, 2)  # both directions
    cells = edges[:, 0].astype(np.int64) * count + labels[edges[:, 1]]
    votes = np.bincount(cells, minlength=len(labels) * count).reshape(-1, count) * 2
    votes[np.arange(len(labels)), labels] += 3
    return votes.argmax(axis=1)
