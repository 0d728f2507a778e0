import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from wsss_training.rooms.room import draw_room
from wsss_training.rooms.settings import load_room_settings
from wsss_training.rooms.walk import draw_walk

ROOMS = load_room_settings()


@settings(max_examples=30)
@given(st.integers(0, 299_999), st.integers(1, 30))
def test_camera_is_in_a_room_and_in_no_thing(seed: int, frames: int) -> None:
    scene = draw_room(seed, ROOMS)
    walk = draw_walk(scene, frames, ROOMS.camera, np.random.default_rng(seed))
    assert walk.shape == (frames, 4, 4)
    for pose in walk:
        assert np.allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-6)
        place = pose[:3, 3]
        assert not ((scene.boxes[:, 0] < place) & (scene.boxes[:, 1] > place)).all(axis=1).any()
        assert any(
            (place[:2] > space.low).all() and (place[:2] < space.high).all()
            for space in scene.spaces
        )
        assert ROOMS.camera.height[0] <= place[2] <= ROOMS.camera.height[1]


def test_camera_looks_around_and_mostly_down() -> None:
    walks = [
        draw_walk(draw_room(seed, ROOMS), 24, ROOMS.camera, np.random.default_rng(seed))
        for seed in range(8)
    ]
    forward = np.concatenate(walks)[:, :3, 2]
    assert np.abs(forward[:, :2].mean(axis=0)).max() < 0.2
    assert -0.55 < forward[:, 2].mean() < -0.2
    down = np.concatenate(walks)[:, :3, 1]
    assert (down[:, 2] < -0.2).all()  # no image stands on its head
