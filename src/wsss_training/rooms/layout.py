"""Writes recordings of rooms as exported scenes of ScanNet, for ``data.scannet``."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from wsss_perception.geometry import Camera, Matrix
from wsss_perception.ontology import load_ontology
from wsss_training.rooms.labels import NYU40
from wsss_training.rooms.recorder import Frame
from wsss_training.rooms.surface import LabelledMesh
from wsss_training.world.layouts.files import encode_image, write_file

STEP = 20
"""Numbers from one frame to the next: those of a video that was thinned when it was exported."""


def write_scene(
    folder: Path, name: str, frames: Sequence[Frame], camera: Camera, mesh: LabelledMesh
) -> None:
    """Writes a scene's files.

    Args:
        folder: gets the scene's files.
        name: of the scene.
        frames: in the order they were taken.
        camera: of all of them.
        mesh: fused of them.

    Raises:
        DatasetError: a file cannot be written.
    """
    matrix = np.eye(4)
    matrix[:3, :3] = camera.matrix
    for kind in ("color", "depth"):
        write_file(folder / "intrinsic" / f"intrinsic_{kind}.txt", _text(matrix))
        write_file(folder / "intrinsic" / f"extrinsic_{kind}.txt", _text(np.eye(4)))
    for number, frame in enumerate(frames):
        stem = str(STEP * number)
        write_file(folder / "color" / f"{stem}.jpg", encode_image(frame.pixels, "JPEG"))
        stream = io.BytesIO()
        Image.fromarray(frame.depth).save(stream, "PNG", compress_level=1)
        write_file(folder / "depth" / f"{stem}.png", stream.getvalue())
        write_file(folder / "pose" / f"{stem}.txt", _text(frame.T_world_camera))
    write_file(folder / f"{name}_vh_clean_2.ply", encode_mesh(mesh, labels=False))
    write_file(folder / f"{name}_vh_clean_2.labels.ply", encode_mesh(mesh, labels=True))


def encode_mesh(mesh: LabelledMesh, labels: bool) -> bytes:
    """Encodes a mesh as ScanNet's PLY: with colours, or with labels and their colours."""
    fields = [(axis, "<f4") for axis in "xyz"]
    fields += [(color, "u1") for color in ("red", "green", "blue", "alpha")]
    rows = np.zeros(len(mesh.vertices), [*fields, *([("label", "<u2")] if labels else [])])
    for axis, column in zip("xyz", mesh.vertices.T, strict=True):
        rows[axis] = column
    colors = _palette()[mesh.labels] if labels else mesh.colors
    for name, column in zip(("red", "green", "blue"), colors.T, strict=True):
        rows[name] = column
    rows["alpha"] = 255
    if labels:
        rows["label"] = mesh.labels
    faces = np.zeros(len(mesh.faces), [("count", "u1"), ("corners", "<i4", 3)])
    faces["count"], faces["corners"] = 3, mesh.faces
    kinds = {"<f4": "float", "u1": "uchar", "<u2": "ushort"}
    columns = [(name, rows.dtype[name].str.lstrip("|")) for name in rows.dtype.names or ()]
    header = [
        *("ply", "format binary_little_endian 1.0", f"element vertex {len(rows)}"),
        *(f"property {kinds[kind]} {name}" for name, kind in columns),
        *(f"element face {len(faces)}", "property list uchar int vertex_indices", "end_header", ""),
    ]
    return "\n".join(header).encode() + rows.tobytes() + faces.tobytes()


def _palette() -> np.ndarray:
    """Colours uint8 [41, 3] of NYU40's ids."""
    ontology = load_ontology("scannet")
    colors: np.ndarray = ontology.palette()[ontology.labels_from_raw(np.arange(len(NYU40) + 1))]
    return colors


def _text(matrix: Matrix) -> str:
    return "\n".join(" ".join(f"{value:.9g}" for value in row) for row in matrix) + "\n"
