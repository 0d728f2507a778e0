"""A ScanNet tree with one room of plane walls, so that all depths and colours are known."""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

SIDES = {  # NYU40 id, raw category, corner, two edges whose cross product points to the viewer
    "floor": (2, "floor", [0, 0, 0], [4, 0, 0], [0, 3, 0]),
    "near": (1, "wall", [0, 0, 0], [0, 3, 0], [0, 0, 2]),
    "right": (1, "wall", [0, 0, 0], [0, 0, 2], [4, 0, 0]),
    "far": (0, None, [4, 0, 0], [0, 0, 2], [0, 3, 0]),
    "left": (22, "ceiling", [0, 3, 0], [4, 0, 0], [0, 0, 2]),
    "screen": (39, "room divider", [2, 0, 0], [0, 0, 1.5], [0, 1.5, 0]),
}
VIDEO = {0: ([0.5, 1, 1], 0.0), 40: ([0.5, 2.5, 1], -0.4), 80: ([3.5, 2, 1], 3.1), 120: None}
"""Place and heading of the camera, which looks along the floor; None for an unknown pose."""

CAMERAS = {"color": (200, (320, 240)), "depth": (100, (160, 120))}
"""Focal length, and width and height."""

SIZE = np.array([4.0, 3.0, 2.0])
_CELLS = 8  # of the mesh, along each edge of a side


@dataclass(frozen=True)
class Room:
    """The tree, and what is in its files.

    Attributes:
        root: of the tree.
        xyz: vertices [N, 3] of the mesh, z up, a corner of the floor at the origin.
        faces: of the mesh [F, 3].
        normals: of the vertices [N, 3].
        sides: name of the side that each vertex [N] is of, a key of ``SIDES``.
    """

    root: Path
    xyz: NDArray
    faces: NDArray
    normals: NDArray
    sides: NDArray

    name = "scene0000_00"

    @property
    def folder(self) -> Path:
        return self.root / "scans" / self.name

    def file(self, suffix: str) -> Path:
        return self.folder / f"{self.name}{suffix}"

    def nyu40(self) -> NDArray[np.uint16]:
        return np.array([SIDES[side][0] for side in self.sides], dtype=np.uint16)

    def colors(self, points: NDArray) -> NDArray[np.uint8]:
        """Colours change slowly along the room."""
        return np.rint(250 * np.clip(points, 0, SIZE) / SIZE).astype(np.uint8)

    def pose(self, frame: int) -> NDArray:
        """Camera-to-world of a frame."""
        place, heading = VIDEO[frame] or VIDEO[0]
        cos, sin = np.cos(heading), np.sin(heading)
        rotation = np.array([[sin, 0, cos], [-cos, 0, sin], [0, -1, 0]])
        return np.vstack([np.column_stack([rotation, place]), [0, 0, 0, 1]])

    def write_mesh(self, suffix: str, ascii: bool = False, **columns: NDArray) -> None:
        """Writes the mesh, coloured, with more columns."""
        named = dict(zip("xyz", self.xyz.astype(np.float32).T, strict=True))
        named |= dict(zip(("red", "green", "blue"), self.colors(self.xyz).T, strict=True))
        self.file(suffix).write_bytes(_ply({**named, **columns}, self.faces, ascii))

    def write_matrix(self, name: str, matrix: NDArray) -> None:
        np.savetxt(self.folder / f"{name}.txt", matrix, fmt="%.9f")

    def write_frame(self, frame: int, T_color_depth: NDArray | None = None) -> None:
        """Writes the images of a frame; the colour camera has its pose."""
        pose = self.pose(frame)
        points, distance = _see(pose, "color")
        pixels = self.colors(points) * (distance > 0)[..., None].astype(np.uint8)
        Image.fromarray(pixels).save(self.folder / "color" / f"{frame}.jpg", quality=95)
        _, distance = _see(pose if T_color_depth is None else pose @ T_color_depth, "depth")
        counts = np.rint(1000 * distance).astype(np.uint16)
        Image.fromarray(counts).save(self.folder / "depth" / f"{frame}.png")


@pytest.fixture(scope="session")
def exported_room(tmp_path_factory: pytest.TempPathFactory) -> Room:
    """The room as exported, labelled in both ways."""
    room = _build(tmp_path_factory.mktemp("scannet"))
    for part in ("color", "depth", "pose", "intrinsic"):
        (room.folder / part).mkdir(parents=True)
    for camera, (focal, (width, height)) in CAMERAS.items():
        intrinsics = np.diag([focal, focal, 1.0, 1.0])
        intrinsics[:2, 2] = (width - 1) / 2, (height - 1) / 2
        room.write_matrix(f"intrinsic/intrinsic_{camera}", intrinsics)
        room.write_matrix(f"intrinsic/extrinsic_{camera}", np.eye(4))
    for frame, place in VIDEO.items():
        room.write_frame(frame)
        pose = room.pose(frame) if place else np.full((4, 4), -np.inf)
        room.write_matrix(f"pose/{frame}", pose)
    room.write_mesh("_vh_clean_2.ply", alpha=np.full(len(room.xyz), 255, dtype=np.uint8))
    room.write_mesh("_vh_clean_2.labels.ply", label=room.nyu40())
    _write_segments(room)
    return room


@pytest.fixture
def room(exported_room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Room:
    """A copy of the tree to change, and an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return replace(exported_room, root=shutil.copytree(exported_room.root, tmp_path / "scannet"))


def _build(root: Path) -> Room:
    steps = np.argwhere(np.ones((_CELLS + 1, _CELLS + 1)))
    corner = np.flatnonzero((steps < _CELLS).all(axis=1))[:, None]
    right, up = _CELLS + 1, 1
    cells = np.concatenate([corner + [0, right, right + up], corner + [0, right + up, up]])
    xyz = [np.array(o) + steps / _CELLS @ np.array([u, v]) for *_, o, u, v in SIDES.values()]
    faces = [cells + k * len(steps) for k in range(len(SIDES))]
    normals = np.array(
        [np.cross(u, v) / np.linalg.norm(np.cross(u, v)) for *_, u, v in SIDES.values()]
    )
    return Room(
        root,
        np.concatenate(xyz),
        np.concatenate(faces),
        normals.repeat(len(steps), axis=0),
        np.array(list(SIDES)).repeat(len(steps)),
    )


def _write_segments(room: Room) -> None:
    number = {side: 3 + 7 * k for k, side in enumerate(SIDES)}
    segments = {"sceneId": room.name, "segIndices": [number[side] for side in room.sides]}
    room.file("_vh_clean_2.0.010000.segs.json").write_text(json.dumps(segments))
    groups: dict[str, list[int]] = {}
    for side, (_, category, *_) in SIDES.items():
        if category is not None:
            groups.setdefault(category, []).append(number[side])
    rows = [{"objectId": k, "label": c, "segments": s} for k, (c, s) in enumerate(groups.items())]
    room.file(".aggregation.json").write_text(json.dumps({"segGroups": rows}))
    table = ["id\traw_category\tcategory\tnyu40id\tnyu40class"]
    for nyu40, category, *_ in SIDES.values():
        table.append(f"1\t{category}\tany\t{nyu40}\tany")
    (room.root / "scannetv2-labels.combined.tsv").write_text("\n".join(table) + "\n")


def _see(pose: NDArray, camera: str) -> tuple[NDArray, NDArray]:
    """Points [h, w, 3] and depth [h, w] that a camera sees; 0 where it looks over the walls."""
    focal, (width, height) = CAMERAS[camera]
    rows, columns = np.indices((height, width))
    x, y = (columns - (width - 1) / 2) / focal, (rows - (height - 1) / 2) / focal
    rays = np.stack([x, y, np.ones_like(x)], axis=-1) @ pose[:3, :3].T
    depth = np.full((height, width), np.inf)
    for *_, origin, u, v in SIDES.values():
        normal = np.cross(u, v)
        with np.errstate(divide="ignore", invalid="ignore"):
            distance = (np.array(origin) - pose[:3, 3]) @ normal / (rays @ normal)
            offset = pose[:3, 3] + rays * distance[..., None] - origin
        along = np.stack([offset @ edge / np.dot(edge, edge) for edge in (u, v)])
        on_side = ((along >= -1e-9) & (along <= 1 + 1e-9)).all(axis=0)
        depth = np.where(on_side & (distance > 0) & (distance < depth), distance, depth)
    depth[np.isinf(depth)] = 0.0
    return pose[:3, 3] + rays * depth[..., None], depth


def _ply(columns: dict[str, NDArray], faces: NDArray, ascii: bool) -> bytes:
    kinds = {"<f4": "float", "|u1": "uchar", "<u2": "ushort"}
    table = np.rec.fromarrays(list(columns.values()), names=list(columns))
    rows = np.empty(len(faces), dtype=[("count", "u1"), ("corners", "<i4", 3)])
    rows["count"], rows["corners"] = 3, faces
    header = [
        f"ply\nformat {'ascii' if ascii else 'binary_little_endian'} 1.0\ncomment a room",
        f"element vertex {len(table)}",
        *(f"property {kinds[column.dtype.str]} {name}" for name, column in columns.items()),
        f"element face {len(rows)}\nproperty list uchar int vertex_indices\nend_header\n",
    ]
    if not ascii:
        return "\n".join(header).encode() + table.tobytes() + rows.tobytes()
    lines = [" ".join(map(str, row)) for row in [*table.tolist(), *([3, *f] for f in faces)]]
    return ("\n".join(header) + "\n".join(lines) + "\n").encode()
