import numpy as np

from wsss_training.rooms.materials import part, slab
from wsss_training.rooms.recorder import camera_of
from wsss_training.rooms.render import Palette, render
from wsss_training.rooms.scene import Emitter, RoomScene
from wsss_training.rooms.settings import load_room_settings
from wsss_training.world.camera import pixel_rays
from wsss_training.world.scene import Actor
from wsss_training.world.tracer import Geometry

CAMERA = camera_of((64, 48), load_room_settings().camera)
DOWN = np.array([[1.0, 0, 0, 0], [0, -1, 0, 0], [0, 0, -1, 2.5], [0, 0, 0, 1]])


def look_down(*actors: Actor) -> np.ndarray:
    """Renders a grey floor with things on it from 2.5 m above, lit by one lamp high at -x."""
    floor = Actor(
        "floor", (part("floor", slab((-3, -3, -0.1), (3, 3, 0)), (0.4,) * 3),), (0.0,) * 4
    )
    lamp = Emitter(
        np.array([-1.5, 0, 2.4], np.float32),
        np.array([[0.05, 0, 0], [0, 0.05, 0]], np.float32),
        np.zeros(3, np.float32),
        np.full(3, 4, np.float32),
    )
    things = (floor, *actors)
    scene = RoomScene(3, (), things, np.zeros((0, 2, 3)), (lamp,), (0.1, 0.1, 0.1), np.eye(4))
    geometry = Geometry(list(things), 0.0, 0, 1)
    rays = pixel_rays(CAMERA, DOWN)
    pixels = render(
        geometry,
        Palette(scene),
        scene,
        rays,
        geometry.cast(rays),
        (48, 64),
        np.random.default_rng(0),
    )
    assert pixels.shape == (48, 64, 3)
    return pixels.astype(float)


def box_of(label: str, texture: str = "plain", color: float = 0.4) -> Actor:
    mesh = slab((-0.15, -0.15, 0), (0.15, 0.15, 0.5))
    return Actor("box", (part(label, mesh, (color, color, color), texture),), (0.0,) * 4)


def test_lamp_throws_a_shadow_away_from_it() -> None:
    grey = look_down(box_of("box")).mean(axis=2)
    lit, shadow = grey[20:28, 20:25].mean(), grey[22:26, 38:41].mean()
    assert shadow < 0.75 * lit
    bare = look_down().mean(axis=2)
    assert bare[22:26, 38:41].mean() > 0.85 * bare[20:28, 20:25].mean()


def test_lamps_glow_and_panes_show_what_is_outside() -> None:
    dark = look_down(box_of("box", color=0.02))[22:27, 29:35].mean()
    assert look_down(box_of("lamp", "glow", 0.9))[22:27, 29:35].mean() > 3 * dark
    assert look_down(box_of("window", "outside", 0.02))[22:27, 29:35].mean() > 1.5 * dark
