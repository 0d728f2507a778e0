import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsss_training.world.textures import TEXTURES, value_noise


@given(st.integers(1, 3), st.floats(0.05, 5.0), st.integers(0, 2**32 - 1))
def test_noise_is_bounded_and_smooth(axes: int, size: float, seed: int) -> None:
    points = np.random.default_rng(seed).uniform(-50, 50, (200, axes)).astype(np.float32)
    near = (points + np.float32(1e-3 * size)).astype(np.float32)
    noise = value_noise(points, size)
    assert noise.min() >= 0
    assert noise.max() <= 1
    assert np.abs(value_noise(near, size) - noise).max() < 0.02


def test_noise_varies_over_its_grain() -> None:
    points = np.random.default_rng(0).uniform(-50, 50, (2000, 3)).astype(np.float32)
    assert value_noise(points, 0.5).std() > 0.1


@pytest.mark.parametrize("name", TEXTURES)
def test_texture_gives_an_albedo(name: str) -> None:
    rng = np.random.default_rng(1)
    points = rng.uniform(-30, 30, (500, 3)).astype(np.float32)
    normals = rng.normal(size=(500, 3)).astype(np.float32)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    albedo = np.full((500, 3), 0.4, np.float32)
    result = TEXTURES[name](points, normals, albedo)
    assert result.shape == (500, 3)
    assert result.min() >= 0
    assert result.max() <= 1.2
    assert name == "plain" or result.std() > 0.005
    assert np.array_equal(albedo, np.full((500, 3), 0.4, np.float32))


def test_windows_are_on_walls_alone() -> None:
    points = np.random.default_rng(2).uniform(-30, 30, (3000, 3)).astype(np.float32)
    albedo = np.full((3000, 3), 0.4, np.float32)
    wall = np.tile(np.float32([1, 0, 0]), (3000, 1))
    flat = np.tile(np.float32([0, 0, 1]), (3000, 1))
    assert TEXTURES["windows"](points, wall, albedo).std() > 0.1
    assert TEXTURES["windows"](points, flat, albedo).std() < 0.1
