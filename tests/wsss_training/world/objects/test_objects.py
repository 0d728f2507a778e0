import numpy as np
import pytest

from wsss_perception.ontology import load_ontology
from wsss_training.world.objects import BUILDERS
from wsss_training.world.objects.buildings import KINDS, building
from wsss_training.world.objects.fences import fence
from wsss_training.world.objects.vegetation import hedge
from wsss_training.world.textures import TEXTURES

SIZES = {  # of all individuals: length, width, height, each between two bounds, metres
    "car": ((3.4, 5.2), (1.8, 2.3), (1.3, 1.9)),
    "van": ((4.4, 6.2), (2.0, 2.4), (1.8, 2.8)),
    "truck": ((5.5, 10.0), (2.3, 3.1), (2.4, 4.0)),
    "bus": ((9.0, 14.0), (2.6, 3.1), (2.8, 3.6)),
    "trailer": ((2.8, 7.5), (1.3, 2.7), (0.7, 2.8)),
    "bicycle": ((1.5, 1.9), (0.4, 0.75), (0.8, 1.25)),
    "motorcycle": ((1.5, 2.3), (0.6, 0.9), (0.9, 1.4)),
    "cyclist": ((1.5, 1.9), (0.5, 1.05), (1.5, 2.1)),
    "motorcyclist": ((1.5, 2.3), (0.6, 1.05), (1.4, 2.0)),
    "person": ((0.15, 1.4), (0.25, 0.7), (0.95, 2.1)),
    "tree": ((1.0, 12.0), (1.0, 12.0), (3.0, 15.0)),
    "bush": ((0.5, 4.5), (0.5, 4.5), (0.4, 2.8)),
    "lamp_post": ((0.2, 3.5), (0.2, 0.7), (3.5, 10.5)),
    "traffic_light": ((0.3, 0.8), (0.4, 5.5), (3.0, 6.7)),
    "traffic_sign": ((0.05, 0.2), (0.4, 3.4), (2.3, 4.2)),
    "bollard": ((0.08, 0.3), (0.08, 0.3), (0.6, 1.3)),
    "utility_pole": ((0.2, 0.5), (1.0, 2.5), (6.5, 10.5)),
    "trash_bin": ((0.4, 1.0), (0.35, 2.2), (0.9, 1.3)),
    "bench": ((0.3, 0.7), (1.4, 2.2), (0.4, 1.0)),
    "electric_box": ((0.25, 0.7), (0.5, 1.8), (0.7, 1.6)),
}
TRIANGLES = {"car": 700, "van": 700, "person": 500, "tree": 2000, "cyclist": 1100}
LABELS = {
    "car": {"car"},
    "van": {"car"},
    "truck": {"truck"},
    "bus": {"other-vehicle"},
    "trailer": {"other-vehicle"},
    "bicycle": {"bicycle"},
    "motorcycle": {"motorcycle"},
    "cyclist": {"bicyclist"},
    "motorcyclist": {"motorcyclist"},
    "person": {"person"},
    "tree": {"trunk", "vegetation"},
    "traffic_light": {"pole", "other-object"},
    "traffic_sign": {"pole", "traffic-sign"},
}
WIDTHS = {"house": 10.0, "block": 18.0, "shop": 9.0, "garage": 3.5, "warehouse": 26.0}
LAID_OUT = {
    "fence": lambda generator: fence(7.3, generator),
    "hedge": lambda generator: hedge(7.3, generator),
    **{
        kind: lambda generator, kind=kind: building(WIDTHS[kind], generator, kind) for kind in KINDS
    },
}
ALL = {**BUILDERS, **LAID_OUT}
SEEDS = range(16)


def points(parts):
    return np.concatenate([part.mesh.vertices for part in parts])


def count(parts):
    return sum(len(part.mesh.triangles) for part in parts)


@pytest.fixture(scope="module")
def drawn():
    return {
        kind: [build(np.random.default_rng(seed)) for seed in SEEDS] for kind, build in ALL.items()
    }


def test_every_kind_has_bounds():
    assert SIZES.keys() == BUILDERS.keys()


@pytest.mark.parametrize("kind", ALL)
def test_meshes_are_sound(drawn, kind):
    for parts in drawn[kind]:
        for mesh in (part.mesh for part in parts):
            assert mesh.vertices.dtype == np.float32
            assert mesh.triangles.dtype == np.int32
            assert np.isfinite(mesh.vertices).all()
            assert len(mesh.triangles)
            assert mesh.triangles.min() >= 0
            assert mesh.triangles.max() < len(mesh.vertices)
            a, b, c = mesh.vertices[mesh.triangles].astype(np.float64).transpose(1, 0, 2)
            flat = np.linalg.norm(np.cross(b - a, c - a), axis=1) < 1e-10
            assert flat.mean() < 0.01


@pytest.mark.parametrize("kind", ALL)
def test_surfaces_are_named_as_the_ontologies_do(drawn, kind):
    labels = {*load_ontology("semantic_kitti").classes, "other-object"}
    classes = {*load_ontology("cityscapes").classes, "background"}
    for surface in (part.surface for parts in drawn[kind] for part in parts):
        assert surface.label in labels
        assert surface.teacher_class in classes
        assert surface.texture in TEXTURES
        assert 0 < surface.reflectance <= 1
        assert 0 <= surface.lost < 1
        assert len(surface.color) == 3
        assert all(0 <= channel <= 1 for channel in surface.color)


@pytest.mark.parametrize("kind", LABELS)
def test_labels_are_those_of_the_kind(drawn, kind):
    for parts in drawn[kind]:
        assert {part.surface.label for part in parts} == LABELS[kind]


def test_riders_are_told_from_what_they_ride(drawn):
    for kind, ridden in (("cyclist", "bicycle"), ("motorcyclist", "motorcycle")):
        for parts in drawn[kind]:
            assert {part.surface.teacher_class for part in parts} == {"rider", ridden}


def test_a_walled_fence_is_a_wall_to_cameras(drawn):
    classes = {part.surface.teacher_class for parts in drawn["fence"] for part in parts}
    assert classes == {"fence", "wall"}


@pytest.mark.parametrize("kind", SIZES)
def test_sizes_are_those_of_the_real_world(drawn, kind):
    for parts in drawn[kind]:
        for size, (low, high) in zip(np.ptp(points(parts), axis=0), SIZES[kind], strict=True):
            assert low <= size <= high


@pytest.mark.parametrize("kind", ALL)
def test_stands_on_the_ground(drawn, kind):
    for parts in drawn[kind]:
        assert -0.05 < points(parts)[:, 2].min() < 0.1


@pytest.mark.parametrize("kind", BUILDERS)
def test_origin_lies_below_the_object(drawn, kind):
    for parts in drawn[kind]:
        low, high = points(parts).min(axis=0), points(parts).max(axis=0)
        assert (low[:2] <= 0.02).all()
        assert (high[:2] >= -0.02).all()


@pytest.mark.parametrize("kind", TRIANGLES)
def test_objects_keep_to_their_triangles(drawn, kind):
    assert max(count(parts) for parts in drawn[kind]) <= TRIANGLES[kind]


@pytest.mark.parametrize("kind", ALL)
def test_a_seed_gives_one_individual_and_another_seed_another(drawn, kind):
    again = ALL[kind](np.random.default_rng(3))
    np.testing.assert_array_equal(points(again), points(drawn[kind][3]))
    assert [part.surface for part in again] == [part.surface for part in drawn[kind][3]]
    shapes = {points(parts).tobytes() for parts in drawn[kind]}
    colors = {tuple(part.surface.color for part in parts) for parts in drawn[kind]}
    assert len(shapes) > len(SEEDS) // 2
    assert len(colors) > len(SEEDS) // 2


def test_vehicles_head_towards_x(drawn):
    """Brake lamps, the brightest of red, lie behind; that is also where the rider's back is."""
    for kind in ("car", "van", "truck", "bus", "motorcycle"):
        for parts in drawn[kind]:
            lamps = [p for p in parts if p.surface.color[0] > 20 * p.surface.color[1]]
            red = [p for p in lamps if p.surface.reflectance == 0.8 or kind == "motorcycle"]
            assert any(p.mesh.vertices[:, 0].max() < -0.3 for p in red)


def test_a_rider_holds_the_handlebar_and_treads_the_pedals(drawn):
    for parts in drawn["cyclist"]:
        bike = points([p for p in parts if p.surface.teacher_class == "bicycle"])
        rider = points([p for p in parts if p.surface.teacher_class == "rider"])
        near = np.linalg.norm(bike[:, None] - rider[None], axis=2)
        ahead = near[bike[:, 0] > 0.15]
        below = near[(bike[:, 2] < 0.5) & (np.abs(bike[:, 1]) > 0.07)]
        assert ahead.min() < 0.06
        assert below.min() < 0.1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [0.7, 1.0, 1.6])
def test_building_is_as_wide_as_asked_and_stands_behind_its_front(kind, scale):
    width = scale * WIDTHS[kind]
    for seed in range(8):
        parts = building(width, np.random.default_rng(seed), kind)
        low, high = points(parts).min(axis=0), points(parts).max(axis=0)
        assert -high[1] == pytest.approx(low[1], abs=0.2)
        assert width - 0.01 <= high[1] - low[1] <= width + 1.2
        assert 0 <= high[0] <= 1.35
        assert -31 < low[0] < -4.5
        assert count(parts) <= 400


def test_building_of_an_unknown_kind_is_refused():
    with pytest.raises(KeyError, match="castle"):
        building(10.0, np.random.default_rng(0), "castle")


@pytest.mark.parametrize("build", [fence, hedge])
@pytest.mark.parametrize("length", [2.0, 7.3, 30.0])
def test_fences_and_hedges_are_as_long_as_asked(build, length):
    for seed in range(12):
        parts = build(length, np.random.default_rng(seed))
        along = points(parts)[:, 0]
        assert along.min() == pytest.approx(0.0, abs=0.2)
        assert along.max() == pytest.approx(length, abs=0.2)
        if build is fence:
            assert count(parts) <= 60 * length
