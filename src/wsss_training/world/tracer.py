"""Casts rays into a scene of standing and moving actors."""

from dataclasses import dataclass

import numpy as np
import open3d
from numpy.typing import NDArray

from wsss_perception.frame import UNKNOWN
from wsss_perception.ontology import load_ontology
from wsss_training.world.scene import Actor, Scene, Surface
from wsss_training.world.textures import TEXTURES

MISS = -1
"""Surface of a ray that hits nothing."""


@dataclass(frozen=True)
class Hits:
    """Where rays end.

    Attributes:
        distance: float32 [R], metres; infinite where nothing is hit.
        surface: int32 [R], index into the tracer's surfaces, MISS where nothing is hit.
        normal: float32 [R, 3], unit, in the world, towards the ray's origin.
        local: float32 [R, 3], the hit in a frame that moves with its actor, for textures.
    """

    distance: NDArray[np.float32]
    surface: NDArray[np.int32]
    normal: NDArray[np.float32]
    local: NDArray[np.float32]


@dataclass(frozen=True)
class Surfaces:
    """The surfaces of a scene as columns, one row for each part of each actor.

    Attributes:
        label: uint8 [S], SemanticKITTI label, UNKNOWN for what is not scored.
        teacher_class: uint8 [S], Cityscapes label, UNKNOWN for none.
        color: float32 [S, 3].
        texture: int32 [S], index into the keys of ``TEXTURES``.
        reflectance: float32 [S].
        lost: float32 [S].
        actor: int32 [S], number of the actor.
        region: int32 [S], the parts of one actor that have one Cityscapes class.
    """

    label: NDArray[np.uint8]
    teacher_class: NDArray[np.uint8]
    color: NDArray[np.float32]
    texture: NDArray[np.int32]
    reflectance: NDArray[np.float32]
    lost: NDArray[np.float32]
    actor: NDArray[np.int32]
    region: NDArray[np.int32]


class Tracer:
    """Ray casting in a scene; standing actors are built once, moving ones for each time.

    Args:
        scene: what to cast into.
        threads: of the ray caster; 0 for all cores.
    """

    def __init__(self, scene: Scene, threads: int = 0) -> None:
        self._threads = threads
        numbered = list(enumerate(scene.actors))
        self._still = [(n, actor) for n, actor in numbered if actor.path is None]
        self._moving = [(n, actor) for n, actor in numbered if actor.path is not None]
        self.surfaces = _tabulate(
            [a for _, a in self._still] + [a for _, a in self._moving],
            [n for n, _ in self._still] + [n for n, _ in self._moving],
        )
        self._first_moving = sum(len(actor.parts) for _, actor in self._still)
        self._static = Geometry([a for _, a in self._still], 0.0, 0, threads)
        self._dynamic: Geometry | None = None
        self._time: float | None = None

    def cast(self, rays: NDArray[np.float32], seconds: float) -> Hits:
        """Casts rays at the world as it is at a time.

        Args:
            rays: float32 [R, 6], origin and unit direction in the world.
            seconds: the time.
        """
        hits = self._static.cast(rays)
        if self._moving:
            moving = self._at(seconds).cast(rays)
            nearer = np.flatnonzero(moving.distance < hits.distance)
            for name, column in vars(hits).items():
                column[nearer] = getattr(moving, name)[nearer]
        return hits

    def blocked(self, rays: NDArray[np.float32], seconds: float) -> NDArray[np.bool_]:
        """Tells which rays [R, 6] hit anything at all: shadows."""
        found = self._static.blocked(rays)
        return found | self._at(seconds).blocked(rays) if self._moving else found

    def _at(self, seconds: float) -> "Geometry":
        if self._dynamic is None or self._time != seconds:
            actors = [actor for _, actor in self._moving]
            self._dynamic = Geometry(actors, seconds, self._first_moving, self._threads)
            self._time = seconds
        return self._dynamic


class Geometry:
    """Meshes of actors at one time.

    Args:
        actors: what there is; at least one part.
        seconds: the time.
        first: number of the surface of the first part.
        threads: of the ray caster; 0 for all cores.
    """

    def __init__(self, actors: list[Actor], seconds: float, first: int, threads: int) -> None:
        vertices, triangles, surface, origins = [], [], [], []
        count, number = 0, first
        for actor in actors:
            pose = actor.pose_at(seconds)
            for part in actor.parts:
                placed = _place(part.mesh.vertices, pose)
                vertices.append(placed)
                triangles.append(part.mesh.triangles + count)
                surface.append(np.full(len(part.mesh.triangles), number, np.int32))
                origins.append(pose if actor.path is not None else (0.0, 0.0, 0.0, 0.0))
                count += len(placed)
                number += 1
        self._first = first
        self._surface = np.concatenate(surface)
        self._origins = np.array(origins, dtype=np.float32)
        self._scene = open3d.t.geometry.RaycastingScene(nthreads=threads)
        self._threads = threads
        self._scene.add_triangles(
            open3d.core.Tensor(np.concatenate(vertices).astype(np.float32)),
            open3d.core.Tensor(np.concatenate(triangles).astype(np.uint32)),
        )

    def cast(self, rays: NDArray[np.float32]) -> Hits:
        """Casts rays [R, 6]: origins and unit directions in the world."""
        answer = self._scene.cast_rays(open3d.core.Tensor(rays), nthreads=self._threads)
        distance = answer["t_hit"].numpy()
        hit = np.flatnonzero(np.isfinite(distance))
        triangle = answer["primitive_ids"].numpy()[hit]
        surface = np.full(len(rays), MISS, np.int32)
        surface[hit] = self._surface[triangle]
        normal = answer["primitive_normals"].numpy()
        away = np.einsum("rk,rk->r", normal, rays[:, 3:]) > 0
        normal[away] *= -1
        local = np.zeros((len(rays), 3), np.float32)
        points = rays[hit, :3] + distance[hit, None] * rays[hit, 3:]
        if self._origins.any():
            points = _to_actor(points, self._origins[surface[hit] - self._first])
        local[hit] = points
        return Hits(distance, surface, normal, local)

    def blocked(self, rays: NDArray[np.float32], reach: float = np.inf) -> NDArray[np.bool_]:
        """Tells which rays [R, 6] hit anything nearer than ``reach`` lengths of their direction."""
        hidden = self._scene.test_occlusions(
            open3d.core.Tensor(rays), 0.0, reach, nthreads=self._threads
        )
        return hidden.numpy()

    def nearest(self, points: NDArray[np.float32]) -> NDArray[np.int32]:
        """Finds the surface that is nearest to each of the points [N, 3]."""
        answer = self._scene.compute_closest_points(
            open3d.core.Tensor(points), nthreads=self._threads
        )
        return self._surface[answer["primitive_ids"].numpy()]


def _place(vertices: NDArray[np.float32], pose: tuple[float, float, float, float]) -> NDArray:
    x, y, z, yaw = pose
    cosine, sine = np.cos(yaw), np.sin(yaw)
    rotation = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
    return vertices @ rotation.T + [x, y, z]


def _to_actor(points: NDArray[np.float32], poses: NDArray[np.float32]) -> NDArray[np.float32]:
    """Maps points [M, 3] into the frames of poses [M, 4] of (x, y, z, yaw)."""
    moved = points - poses[:, :3]
    cosine, sine = np.cos(poses[:, 3]), np.sin(poses[:, 3])
    x = cosine * moved[:, 0] + sine * moved[:, 1]
    y = cosine * moved[:, 1] - sine * moved[:, 0]
    return np.column_stack([x, y, moved[:, 2]])


def _tabulate(actors: list[Actor], numbers: list[int]) -> Surfaces:
    points, pixels = load_ontology("semantic_kitti"), load_ontology("cityscapes")
    textures = list(TEXTURES)
    rows: list[tuple[Surface, int]] = [
        (part.surface, number)
        for actor, number in zip(actors, numbers, strict=True)
        for part in actor.parts
    ]

    def label(classes: tuple[str, ...], name: str) -> int:
        return classes.index(name) if name in classes else UNKNOWN

    keys = [(number, surface.teacher_class) for surface, number in rows]
    regions = {key: region for region, key in enumerate(dict.fromkeys(keys))}
    surfaces = [surface for surface, _ in rows]
    return Surfaces(
        np.array([label(points.classes, s.label) for s in surfaces], np.uint8),
        np.array([label(pixels.classes, s.teacher_class) for s in surfaces], np.uint8),
        np.array([s.color for s in surfaces], np.float32),
        np.array([textures.index(s.texture) for s in surfaces], np.int32),
        np.array([s.reflectance for s in surfaces], np.float32),
        np.array([s.lost for s in surfaces], np.float32),
        np.array([number for _, number in rows], np.int32),
        np.array([regions[key] for key in keys], np.int32),
    )
