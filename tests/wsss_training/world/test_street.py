import hashlib

import numpy as np
import pytest

from wsss_training.world.scene import Scene
from wsss_training.world.settings import load_world_settings
from wsss_training.world.street import _footprint, draw_scene

WORLD = load_world_settings()
SEEDS = (0, 1, 2, 3, 9, 10)


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [draw_scene(seed, WORLD, 2.0) for seed in SEEDS]


def census(scene: Scene, digits: int = 2) -> list[tuple]:
    return [(a.kind, *np.round(a.pose, digits) + 0.0) for a in scene.actors if a.kind != "ground"]


def test_scene_is_a_function_of_its_seed(scenes: list[Scene]) -> None:
    again = draw_scene(3, WORLD, 2.0)
    assert census(again) == census(scenes[3])
    assert census(again) != census(scenes[4])
    vertices = [s.actors[-1].parts[0].mesh.vertices for s in (again, scenes[3])]
    assert np.array_equal(*vertices)


def test_scene_is_the_one_that_methods_were_compared_on(scenes: list[Scene]) -> None:
    """Any change of the code that draws scenes needs a new version of the world."""
    digest = hashlib.sha256(repr(census(scenes[0], digits=1)).encode()).hexdigest()
    assert (WORLD.version, digest[:16]) == (1, "edb1f697aa71bdc5")


def test_standing_things_do_not_depend_on_how_long_is_recorded(scenes: list[Scene]) -> None:
    longer = draw_scene(SEEDS[4], WORLD, 4.0)
    still = [[a.pose for a in s.actors if a.path is None] for s in (longer, scenes[4])]
    assert still[0] == still[1]


def test_scenes_differ_in_what_they_hold(scenes: list[Scene]) -> None:
    tags = [
        frozenset(part.surface.label for actor in scene.actors for part in actor.parts)
        for scene in scenes
    ]
    assert len(set(tags)) > 3
    assert len({scene.kind for scene in scenes}) > 2
    counts = [sum(actor.kind == "car" for actor in scene.actors) for scene in scenes]
    assert max(counts) > 3 * min(counts)


@pytest.mark.parametrize("number", range(len(SEEDS)))
def test_nothing_stands_in_the_vehicles_way(scenes: list[Scene], number: int) -> None:
    scene = scenes[number]
    way = np.array([scene.vehicle(t)[:2, 3] for t in np.linspace(0, 2, 41)])
    for actor in scene.actors:
        if actor.kind == "ground" or actor.path is not None:
            continue
        circles = _footprint(actor.parts, actor.pose)
        gap = np.linalg.norm(way[:, None] - circles[None, :, :2], axis=-1) - circles[:, 2]
        assert gap.min() > 0.7, (actor.kind, gap.min())


@pytest.mark.parametrize("number", range(len(SEEDS)))
def test_traffic_keeps_clear_of_the_vehicle(scenes: list[Scene], number: int) -> None:
    scene = scenes[number]
    for actor in scene.actors:
        if actor.path is None:
            continue
        for seconds in np.linspace(0, 2, 9):
            gap = np.linalg.norm(scene.vehicle(seconds)[:2, 3] - actor.pose_at(seconds)[:2])
            assert gap > 1.5, (actor.kind, seconds, gap)


def test_vehicle_drives_forward_on_the_ground(scenes: list[Scene]) -> None:
    for scene in scenes:
        start, later = scene.vehicle(0.0), scene.vehicle(0.5)
        forward = start[:3, :3].T @ (later[:3, 3] - start[:3, 3])
        assert forward[0] > 0.5
        assert abs(forward[1]) < 0.3
        assert abs(forward[2]) < 0.3
        assert np.allclose(start[:3, :3] @ start[:3, :3].T, np.eye(3))
        assert np.linalg.det(start[:3, :3]) == pytest.approx(1.0)
