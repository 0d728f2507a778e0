import numpy as np
import pytest

from wsss_perception.frame import UNKNOWN
from wsss_perception.ontology import load_ontology
from wsss_training.world.objects.shapes import box
from wsss_training.world.scene import Actor, Part, Scene, Surface
from wsss_training.world.tracer import MISS, Geometry, Tracer

CAR = Surface("car", "car", (0.5, 0.1, 0.1))
GLASS = Surface("car", "car", (0.1, 0.1, 0.1), lost=0.8)
BIN = Surface("other-object", "background", (0.2, 0.2, 0.2))


def block(x: float, surface: Surface) -> Part:
    """A cube of 2 m whose face towards the origin is at x."""
    return Part(box((2, 2, 2), (x + 1, 0, 1)), surface)


def scene(*actors: Actor) -> Scene:
    return Scene(0, "city", actors, lambda seconds: np.eye(4))


def forward(*heights: float) -> np.ndarray:
    return np.array([[0, 0, z, 1, 0, 0] for z in heights], np.float32)


def test_ray_ends_on_the_nearest_surface() -> None:
    tracer = Tracer(
        scene(
            Actor("car", (block(8, CAR),), (0, 0, 0, 0)),
            Actor("bin", (block(5, BIN),), (0, 0, 0, 0)),
        )
    )
    hits = tracer.cast(forward(0.5, 3.0), 0.0)
    assert hits.distance[0] == pytest.approx(5.0)
    assert hits.normal[0] == pytest.approx([-1, 0, 0])
    assert hits.local[0] == pytest.approx([5, 0, 0.5])
    assert tracer.surfaces.label[hits.surface[0]] == UNKNOWN
    assert hits.surface[1] == MISS
    assert np.isinf(hits.distance[1])


def test_moving_actor_is_where_its_path_says() -> None:
    def path(seconds: float) -> tuple[float, float, float, float]:
        return 4 * seconds, 0.0, 0.0, 0.0

    wall = Actor("bin", (block(30, BIN),), (0, 0, 0, 0))
    tracer = Tracer(scene(wall, Actor("car", (block(6, CAR),), path(0), path)))
    assert tracer.cast(forward(0.5), 0.0).distance[0] == pytest.approx(6.0)
    hits = tracer.cast(forward(0.5), 2.0)
    assert hits.distance[0] == pytest.approx(14.0)
    assert hits.local[0] == pytest.approx([6, 0, 0.5])  # textures move along
    assert tracer.cast(forward(0.5), 7.0).distance[0] == pytest.approx(30.0)


def test_turned_actor_shows_its_side() -> None:
    long = Part(box((6, 2, 2), (0, 0, 1)), CAR)
    tracer = Tracer(scene(Actor("car", (long,), (10, 0, 0, np.pi / 2))))
    assert tracer.cast(forward(0.5), 0.0).distance[0] == pytest.approx(9.0)


def test_parts_of_one_class_are_one_region() -> None:
    car = Actor("car", (block(5, CAR), block(9, GLASS)), (0, 0, 0, 0))
    other = Actor("car", (block(20, CAR), block(25, BIN)), (0, 0, 0, 0))
    surfaces = Tracer(scene(car, other)).surfaces
    assert surfaces.region[0] == surfaces.region[1]
    assert len({surfaces.region[0], surfaces.region[2], surfaces.region[3]}) == 3
    assert surfaces.teacher_class[0] == load_ontology("cityscapes").classes.index("car")
    assert list(surfaces.actor) == [0, 0, 1, 1]


def test_shadow_rays_see_both_standing_and_moving_actors() -> None:
    still = Actor("bin", (block(5, BIN),), (0, 0, 0, 0))
    moving = Actor("car", (block(5, CAR),), (0, 9, 0, 0), lambda seconds: (0, 9, 0, 0))
    rays = np.array([[0, y, 0.5, 1, 0, 0] for y in (0, 9, 20)], np.float32)
    assert Tracer(scene(still, moving)).blocked(rays, 0.0).tolist() == [True, True, False]


def test_normals_face_the_ray_on_both_sides_of_a_wall() -> None:
    wall = Part(box((4, 4, 4), (0, 0, 1)), BIN)
    tracer = Tracer(scene(Actor("bin", (wall,), (0, 0, 0, 0))))
    inside, outside = tracer.cast(
        np.array([[0, 0, 1, 1, 0, 0], [9, 0, 1, -1, 0, 0]], np.float32), 0
    ).normal
    assert inside == pytest.approx([-1, 0, 0])
    assert outside == pytest.approx([1, 0, 0])


def test_nearest_surface_and_blocks_within_reach() -> None:
    parts = (
        block(2.0, Surface("car", "car", (1, 0, 0))),
        block(6.0, Surface("road", "road", (0, 1, 0))),
    )
    geometry = Geometry([Actor("block", parts, (0.0, 0.0, 0.0, 0.0))], 0.0, 0, 1)
    points = np.array([[1.0, 0, 0.5], [3.5, 0, 0.5], [5.4, 0, 0.5]], np.float32)
    assert geometry.nearest(points).tolist() == [0, 0, 1]
    rays = np.array([[0, 0, 0.5, 1, 0, 0]], np.float32)
    assert geometry.blocked(rays, 3.0).tolist() == [True]
    assert geometry.blocked(rays, 1.0).tolist() == [False]
