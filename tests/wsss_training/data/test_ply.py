from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from wsss_perception.errors import DatasetError
from wsss_training.data.ply import Mesh, read_ply

HEADER = """ply
format {format} 1.0
comment two triangles
element vertex 4
property float x
property float y
property float z
property uchar red
property ushort label
element face 2
property list uchar int vertex_indices
end_header
"""
ROWS = "0 0 0 255 1\n1 0 0 254 2\n1 1 0 253 300\n0 1 0.5 252 40\n3 0 1 2\n3 0 2 3\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mesh.ply"


def ascii_file() -> bytes:
    return (HEADER.format(format="ascii") + ROWS).encode()


def binary_file() -> bytes:
    lines = [line.split() for line in ROWS.splitlines()]
    kind = [("xyz", "<f4", 3), ("red", "u1"), ("label", "<u2")]
    vertices = np.array([(row[:3], row[3], row[4]) for row in lines[:4]], dtype=kind)
    faces = np.array([(row[0], row[1:]) for row in lines[4:]], dtype=[("n", "u1"), ("i", "<i4", 3)])
    return HEADER.format(format="binary_little_endian").encode() + b"".join(
        part.tobytes() for part in (vertices, faces)
    )


FILES = {"ascii": ascii_file(), "binary": binary_file()}


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
def test_properties_and_faces_are_read(path, content):
    path.write_bytes(content)
    mesh = read_ply(path, ("x", "label"))
    assert {n: v.dtype.str for n, v in mesh.vertices.items()} == {
        **dict.fromkeys("xyz", "<f4"),
        **{"red": "|u1", "label": "<u2"},
    }
    np.testing.assert_array_equal(mesh.vertices["label"], [1, 2, 300, 40])
    np.testing.assert_array_equal(mesh.vertices["red"], [255, 254, 253, 252])
    np.testing.assert_array_equal(mesh.xyz(), [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.5]])
    np.testing.assert_array_equal(mesh.faces, [[0, 1, 2], [0, 2, 3]])


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
def test_file_cut_anywhere_is_refused(path, content):
    # the last cut of the ASCII file takes only its end of line
    for length in range(len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(DatasetError, match=str(path)):
            read_ply(path, ("x",))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("ascii", "binary_big_endian", "not ascii or binary_little_endian"),
        ("property uchar red", "property list uchar int red", "'property list uchar int red'"),
        ("property uchar red", "property color red", "'property color red'"),
        ("property uchar red", "property uchar x", "each once"),
        ("element face", "element edge", "'element edge 2'"),
        ("element vertex 4", "element vertex -4", "'element vertex -4'"),
        ("element vertex 4", "element vertex 5", r"28 numbers.* 33 belong there for 5"),
        ("format ascii 1.0\n", "", "its format is"),
        ("ply\n", "plx\n", "not a PLY file"),
        ("property float z\n", "", "no z"),
        ("3 0 2 3", "3 0 2 4", "triangles of its vertices"),
        ("3 0 2 3", "3 0 2 -1", "triangles of its vertices"),
        ("3 0 2 3", "4 0 2 3", "triangles"),
        ("3 0 2 3", "3 0 2 2.5", "2.5 is no int32"),
        ("300", "70000", "'label': 70000 is no uint16"),
        ("300", "nan", "'label': nan is no uint16"),
        ("300", "none", "something else than numbers"),
    ],
)
def test_damaged_ascii_file_is_refused(path, old, new, message):
    content = ascii_file().decode()
    assert old in content
    path.write_text(content.replace(old, new, 1))
    with pytest.raises(DatasetError, match=message) as caught:
        read_ply(path, ("x", "y", "z"))
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
def test_file_of_more_than_its_header_tells_is_refused(path, content):
    path.write_bytes(content + b"3 ")
    with pytest.raises(DatasetError, match="after the header"):
        read_ply(path, ("x",))


def test_missing_file_is_named(path):
    with pytest.raises(DatasetError, match=r"mesh\.ply: cannot be read"):
        read_ply(path, ())


@given(st.binary(max_size=60), st.integers(0, 400))
def test_garbage_is_a_mesh_or_refused(tmp_path_factory, noise, place):
    path = tmp_path_factory.getbasetemp() / "noise.ply"
    for content in FILES.values():
        path.write_bytes(content[:place] + noise + content[place + len(noise) :])
        try:
            mesh = read_ply(path, ("x", "y", "z"))
        except DatasetError:
            continue
        assert mesh.faces.min(initial=0) >= 0
        assert mesh.faces.max(initial=0) < len(mesh.xyz())


def test_normals_are_of_the_faces_around_by_area():
    xyz = np.float32([[0, 0, 0], [3, 0, 0], [0, 1, 0], [0, 0, 1], [9, 9, 9]])
    mesh = Mesh(dict(zip("xyz", xyz.T, strict=True)), np.array([[0, 1, 2], [0, 2, 3]]))
    both = np.array([1, 0, 3]) / np.sqrt(10)  # one has three times the other's area
    expected = [both, [0, 0, 1], both, [1, 0, 0], [0, 0, 0]]
    np.testing.assert_allclose(mesh.normals(), expected, atol=1e-6)
    flat = Mesh(mesh.vertices, np.array([[0, 0, 1]]))
    np.testing.assert_array_equal(flat.normals(), np.zeros((5, 3)))


@given(arrays.arrays(np.float32, (6, 3), elements=st.floats(-10, 10, width=32)))
def test_normals_have_length_one_or_none(xyz):
    mesh = Mesh(dict(zip("xyz", xyz.T, strict=True)), np.array([[0, 1, 2], [2, 3, 4]]))
    length = np.linalg.norm(mesh.normals(), axis=1)
    assert (np.isclose(length, 1, atol=1e-5) | (length == 0)).all()
