"""Triangle meshes in PLY files, ASCII or binary little-endian, with any properties of vertices."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsss_perception.errors import DatasetError

_TYPES = {
    **{"char": "<i1", "uchar": "<u1", "short": "<i2", "ushort": "<u2", "int": "<i4"},
    **{"uint": "<u4", "float": "<f4", "double": "<f8", "int8": "<i1", "uint8": "<u1"},
    **{"int16": "<i2", "uint16": "<u2", "int32": "<i4", "uint32": "<u4"},
    **{"float32": "<f4", "float64": "<f8"},
}
_HEADER = re.compile(rb"ply\r?\n.*?end_header\r?\n", re.DOTALL)
_ADVICE = "is the file cut short? copy it again"


@dataclass(frozen=True)
class Mesh:
    """A triangle mesh.

    Attributes:
        vertices: [N] values of each property, by its name in the file (x, y, z, red...).
        faces: int64 [F, 3], vertices of each triangle, in the order that makes it face outwards.
    """

    vertices: dict[str, NDArray]
    faces: NDArray[np.int64]

    def xyz(self) -> NDArray[np.float32]:
        """The vertices' coordinates [N, 3]."""
        columns = [self.vertices[axis].astype(np.float32, copy=False) for axis in "xyz"]
        return np.stack(columns, axis=1)

    def normals(self) -> NDArray[np.float32]:
        """Unit normals [N, 3], of the faces around a vertex by area; 0 without such faces."""
        corners = np.ascontiguousarray(self.faces.T)
        first, second, third = corners
        axes = [self.vertices[axis].astype(np.float32).astype(np.float64) for axis in "xyz"]
        ux, uy, uz = (values[second] - values[first] for values in axes)
        vx, vy, vz = (values[third] - values[first] for values in axes)
        # twice the triangle's area long; np.cross takes three times as long
        normals = (uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx)
        count = len(axes[0])
        sums = [sum(np.bincount(corner, n, count) for corner in corners) for n in normals]
        return unit_vectors(np.stack(sums, axis=1))


def unit_vectors(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Scales vectors [N, 3] to length 1; 0 stays 0."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0).astype(
        np.float32
    )


def read_ply(path: Path, properties: tuple[str, ...]) -> Mesh:
    """Reads a mesh: an element ``vertex`` of scalars, and one ``face`` that is a list of three.

    Args:
        path: the file.
        properties: what a vertex must have.

    Raises:
        DatasetError: the file is missing, cut short, of another kind, or lacks a property.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}") from error
    header = _HEADER.match(data)
    if header is None:
        raise DatasetError(f"{path}: not a PLY file, or its header is cut short; {_ADVICE}")
    layout = _parse_header(header.group().decode("latin-1"), path)
    missing = [name for name in properties if name not in (layout.vertex.names or ())]
    if missing:
        raise DatasetError(
            f"{path}: its vertices have no {', '.join(missing)}; they have "
            f"{', '.join(layout.vertex.names or ()) or 'nothing'}"
        )
    body = data[header.end() :]
    vertices, rows = (_read_ascii if layout.ascii else _read_binary)(body, layout, path)
    corners = rows["corners"].astype(np.int64)
    if len(rows) and ((rows["count"] != 3).any() or not _within(corners, layout.vertices)):
        raise DatasetError(f"{path}: faces must be triangles of its vertices; {_ADVICE}")
    return Mesh({name: vertices[name] for name in vertices.dtype.names or ()}, corners)


@dataclass(frozen=True)
class _Layout:
    ascii: bool
    vertices: int
    vertex: np.dtype
    faces: int
    face: np.dtype


def _parse_header(header: str, path: Path) -> _Layout:
    formats: list[str] = []
    counts: dict[str, int] = {}
    fields: dict[str, list[tuple]] = {}
    for line in header.splitlines():
        match line.split():
            case ["format", name, "1.0"]:
                formats.append(name)
            case ["element", ("vertex" | "face") as element, number] if number.isdecimal():
                counts[element], fields[element] = int(number), []
            case ["property", kind, name] if kind in _TYPES and list(counts) == ["vertex"]:
                fields["vertex"].append((name, _TYPES[kind]))
            case ["property", "list", size, kind, "vertex_indices" | "vertex_index"] if (
                size in _TYPES and kind in _TYPES and fields.get("face") == []
            ):
                fields["face"] = [("count", _TYPES[size]), ("corners", _TYPES[kind], 3)]
            case ["ply"] | ["end_header"] | ["comment" | "obj_info", *_] | []:
                pass
            case _:
                raise DatasetError(
                    f"{path}: '{line[:80]}' in its header: only meshes of vertices with scalar "
                    "properties and then faces with lists of vertices can be read"
                )
    names = [field[0] for field in fields.get("vertex", [])]
    if list(counts) != ["vertex", "face"] or not fields["face"] or len(set(names)) != len(names):
        raise DatasetError(f"{path}: its header must describe vertices and then faces, each once")
    if formats not in (["ascii"], ["binary_little_endian"]):
        raise DatasetError(f"{path}: its format is {formats}, not ascii or binary_little_endian")
    return _Layout(
        formats == ["ascii"],
        counts["vertex"],
        np.dtype(fields["vertex"]),
        counts["face"],
        np.dtype(fields["face"]),
    )


def _read_binary(body: bytes, layout: _Layout, path: Path) -> tuple[NDArray, NDArray]:
    split = layout.vertices * layout.vertex.itemsize
    size = split + layout.faces * layout.face.itemsize
    if len(body) != size:
        raise DatasetError(
            f"{path}: {len(body)} bytes after the header, {size} belong there for "
            f"{layout.vertices} vertices and {layout.faces} triangles; {_ADVICE}"
        )
    vertices = np.frombuffer(body, layout.vertex, layout.vertices)
    return vertices, np.frombuffer(body, layout.face, layout.faces, split)


def _read_ascii(body: bytes, layout: _Layout, path: Path) -> tuple[NDArray, NDArray]:
    try:
        numbers = np.array(body.split(), dtype=np.float64)
    except ValueError as error:
        raise DatasetError(f"{path}: holds something else than numbers: {error}") from error
    width = len(layout.vertex.names or ())
    split = layout.vertices * width
    if len(numbers) != split + 4 * layout.faces:
        raise DatasetError(
            f"{path}: {len(numbers)} numbers after the header, {split + 4 * layout.faces} belong "
            f"there for {layout.vertices} vertices and {layout.faces} triangles; {_ADVICE}"
        )
    table = numbers[:split].reshape(layout.vertices, width)
    vertices = np.empty(layout.vertices, dtype=layout.vertex)
    for name, column in zip(layout.vertex.names or (), table.T, strict=True):
        vertices[name] = _to_type(column, layout.vertex[name], f"{path}: '{name}'")
    face_table = numbers[split:].reshape(layout.faces, 4)
    faces = np.empty(layout.faces, dtype=layout.face)
    faces["count"] = _to_type(face_table[:, 0], layout.face["count"], f"{path}: faces")
    kind = layout.face["corners"].base
    faces["corners"] = _to_type(face_table[:, 1:], kind, f"{path}: faces")
    return vertices, faces


def _to_type(numbers: NDArray[np.float64], kind: np.dtype, what: str) -> NDArray:
    if kind.kind in "iu":
        limits = np.iinfo(kind)
        fits = (numbers >= limits.min) & (numbers <= limits.max) & (numbers == np.rint(numbers))
        if not fits.all():
            raise DatasetError(f"{what}: {numbers[~fits][0]:g} is no {kind.name} number")
    with np.errstate(over="ignore"):
        return numbers.astype(kind)


def _within(index: NDArray[np.int64], count: int) -> bool:
    return index.min() >= 0 and index.max() < count
