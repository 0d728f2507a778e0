import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsss_training.world.objects.meshes import (
    above_ground,
    both_sides,
    merge,
    mirrored,
    rotation,
    transform,
)
from wsss_training.world.objects.shapes import (
    box,
    circle,
    cone,
    cylinder,
    ellipsoid,
    leaves,
    loft,
    patch,
    plate,
    prism,
    quads,
    tube,
)

ARROW = [(0, 0), (2, 1), (0, 2), (0.6, 1)]  # not convex
RING = np.insert(circle(9), 1, 0.0, axis=1)

SOLIDS = {
    "box": (box((1, 2, 3)), 6.0),
    "tapered box": (box((2, 2, 1), top=(0.5, 0.5)), 7 / 3),
    "cylinder": (cylinder((0, 0, 0), (1, 2, 2), 0.5, sides=60), 3 * np.pi / 4),
    "steep cylinder": (cylinder((0, 0, 1), (0, 0, -1), 0.5, sides=60), np.pi / 2),
    "tapered cylinder": (cylinder((0, 0, 0), (3, 0, 0), 1, 0.5, sides=60), 1.75 * np.pi),
    "cone": (cone((0, 0, 0), (0, 3, 0), 1, sides=60), np.pi),
    "ellipsoid": (ellipsoid((1, 1, 1), (1, 2, 3), 48, 31), 8 * np.pi),
    "prism along x": (prism(ARROW, -1, 2, "x"), 4.2),
    "prism along y": (prism(ARROW, -1, 2, "y"), 4.2),
    "prism along z": (prism(ARROW[::-1], -1, 2, "z"), 4.2),
    "tube": (tube([(0, 0, 0), (0, 0, 1), (0, 0, 3)], 0.5, 60), 0.75 * np.pi),
    "ring": (tube(np.repeat(RING, 1, 0), 0.1, 12, ring=True), None),
    "mirrored box": (mirrored(box((1, 2, 3), (5, 5, 5))), 6.0),
    "turned box": (transform(box((1, 1, 1)), (1, 2, 3), rotation(0.3, 0.4, 0.5), (1, 2, 3)), 6.0),
}


def directed_edges(mesh):
    return np.concatenate([mesh.triangles[:, [a, b]] for a, b in ((0, 1), (1, 2), (2, 0))])


def volume(mesh):
    a, b, c = mesh.vertices[mesh.triangles].astype(np.float64).transpose(1, 0, 2)
    return np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6


def normals(mesh):
    a, b, c = mesh.vertices[mesh.triangles].transpose(1, 0, 2)
    return np.cross(b - a, c - a)


@pytest.mark.parametrize("name", SOLIDS)
def test_solid_is_closed_and_turned_outwards(name):
    mesh, expected = SOLIDS[name]
    assert mesh.vertices.dtype == np.float32
    assert mesh.triangles.dtype == np.int32
    edges = directed_edges(mesh)
    assert len(np.unique(edges, axis=0)) == len(edges), "two triangles run along an edge alike"
    assert {tuple(e) for e in edges} == {tuple(e[::-1]) for e in edges}, "an edge is open"
    assert (np.linalg.norm(normals(mesh), axis=1) > 1e-7).all()
    if expected is None:
        assert volume(mesh) > 0
    else:
        assert volume(mesh) == pytest.approx(expected, rel=0.02)


@given(
    start=st.tuples(*[st.floats(-3, 3)] * 3),
    way=st.tuples(*[st.floats(-3, 3)] * 3).filter(lambda w: np.linalg.norm(w) > 0.1),
    sides=st.integers(3, 12),
)
def test_cylinder_keeps_its_radius_whichever_way_it_lies(start, way, sides):
    start, way = np.array(start), np.array(way)
    mesh = cylinder(start, start + way, 0.7, sides=sides)
    away = np.cross(mesh.vertices - start, way / np.linalg.norm(way))
    np.testing.assert_allclose(np.linalg.norm(away, axis=1), 0.7, atol=1e-4)


@given(
    radii=st.lists(st.floats(0.3, 2.0), min_size=3, max_size=12),
    backwards=st.booleans(),
    axis=st.sampled_from("xyz"),
)
def test_prism_fills_any_star_shaped_polygon(radii, backwards, axis):
    outline = circle(len(radii)) * np.array(radii)[:, None]
    x, y = outline.T
    area = 0.5 * (x @ np.roll(y, -1) - y @ np.roll(x, -1))
    if backwards:
        outline = outline[::-1]
    mesh = prism(outline, 1.0, 3.0, axis)
    assert volume(mesh) == pytest.approx(2 * area, rel=1e-4)
    span = mesh.vertices[:, "xyz".index(axis)]
    assert (span.min(), span.max()) == (1.0, 3.0)


def test_tube_does_not_twist_where_it_turns_upwards():
    path = [(0, 0, 0), (1, 0, 0.1), (2, 0, 1), (2.1, 0, 3)]
    mesh = tube(path, 0.1, 4)
    lengths = np.linalg.norm(np.diff(mesh.vertices.reshape(4, 4, 3), axis=0), axis=2)
    assert np.ptp(lengths, axis=1).max() < 0.25  # a quarter turn would add more


def test_loft_without_caps_is_open_at_both_ends():
    square = np.array([(-1, -1, 0), (1, -1, 0), (1, 1, 0), (-1, 1, 0)])
    mesh = loft([square, square + [0, 0, 1]], caps=False)
    assert len(mesh.triangles) == 8


def test_sheets_face_as_they_say():
    face = [(0, 0, 0), (0, 2, 0), (0, 2, 2), (0, 0, 2)]  # seen from +x
    for mesh in (
        quads(face),
        patch(face, (0, 1), (0, 1)),
        plate(1, 2, (0, 0, 0)),
        plate(1, 1, 0, 9),
    ):
        assert (normals(mesh)[:, 0] > 0).all()
    part = patch(face, (0.25, 0.75), (0.5, 1.0), 0.1).vertices
    np.testing.assert_allclose(part.min(axis=0), (0.1, 0.5, 1.0), atol=1e-6)
    np.testing.assert_allclose(part.max(axis=0), (0.1, 1.5, 2.0), atol=1e-6)
    np.testing.assert_allclose(
        np.ptp(plate(1, 2, (0, 0, 0)).vertices, axis=0), (0, 1, 2), atol=1e-6
    )


def test_merge_keeps_the_triangles_of_each():
    first, second = box((1, 1, 1)), transform(box((1, 1, 1)), (5, 0, 0))
    both = merge([first, second])
    np.testing.assert_array_equal(
        both.vertices[both.triangles],
        np.concatenate([m.vertices[m.triangles] for m in (first, second)]),
    )
    assert merge([]).triangles.shape == (0, 3)


def test_both_sides_are_symmetric():
    mesh = both_sides(box((1, 1, 1), (0, 3, 0)))
    assert np.allclose(mesh.vertices[:, 1].min(), -mesh.vertices[:, 1].max())
    assert volume(mesh) == pytest.approx(2.0)


@pytest.mark.parametrize("boxed", [False, True])
def test_leaves_fill_their_region_denser_outside(boxed):
    radii = np.array([2.0, 1.0, 3.0])
    mesh = leaves(2000, (1, 2, 3), radii, 0.2, np.random.default_rng(0), boxed)
    assert mesh.triangles.shape == (2000, 3)
    middles = (mesh.vertices[mesh.triangles].mean(axis=1) - (1, 2, 3)) / radii
    depth = np.abs(middles).max(axis=1) if boxed else np.linalg.norm(middles, axis=1)
    assert depth.max() < 1.05
    assert (depth > 0.79).mean() > 0.55, "half of a ball's volume lies within 0.79 of its radius"
    edges = np.linalg.norm(np.diff(mesh.vertices[mesh.triangles], axis=1), axis=2)
    assert edges.mean() == pytest.approx(0.2, rel=0.1)


def test_above_ground_moves_only_what_was_below():
    mesh = leaves(500, (0, 0, 0), (1, 1, 1), 0.2, np.random.default_rng(0))
    lifted = above_ground(mesh)
    assert lifted.vertices[:, 2].min() >= -1e-6
    before, after = mesh.vertices[mesh.triangles], lifted.vertices[lifted.triangles]
    high = before[..., 2].min(axis=1) >= 0
    assert 0 < high.sum() < 500
    np.testing.assert_array_equal(before[high], after[high])
    np.testing.assert_allclose(np.diff(before, axis=1), np.diff(after, axis=1), atol=1e-6)
