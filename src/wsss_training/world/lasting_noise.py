"""Randomness that belongs to things: draws for each region and noise for each scene."""

import zlib
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

NOISE_SIZE = 256
"""Texels of a side of the noise."""


class Dice:
    """Draws for each region that depend on nothing but its number, the scene and the frame.

    Args:
        count: numbers of regions.
        scene_seed: which scene.
        frame: which of its sweeps.
        persistence: share of a draw that stays the same over the frames.
    """

    def __init__(self, count: int, scene_seed: int, frame: int, persistence: float) -> None:
        self._number = np.arange(count, dtype=np.uint64)
        self._scene_seed, self._frame, self._persistence = scene_seed, frame, persistence

    def lasting(self, purpose: str) -> NDArray[np.float64]:
        """Uniform in (0, 1), the same in all frames."""
        return self._uniform(purpose, ())

    def fleeting(self, purpose: str) -> NDArray[np.float64]:
        """Uniform in (0, 1), another one in every frame."""
        return self._uniform(purpose, (self._frame,))

    def uniform(self, purpose: str) -> NDArray[np.float64]:
        """Uniform in (0, 1): the lasting draw in a ``persistence`` of the frames."""
        lasts = self.fleeting(purpose + " lasts") < self._persistence
        return np.where(lasts, self.lasting(purpose), self.fleeting(purpose))

    def normal(self, purpose: str) -> NDArray[np.float64]:
        """Standard normal, with a correlation of ``persistence`` between frames."""
        lasting, fleeting = (
            np.sqrt(-2 * np.log(draw(purpose))) * np.cos(2 * np.pi * draw(purpose + " angle"))
            for draw in (self.lasting, self.fleeting)
        )
        return np.sqrt(self._persistence) * lasting + np.sqrt(1 - self._persistence) * fleeting

    def _uniform(self, purpose: str, key: tuple[int, ...]) -> NDArray[np.float64]:
        state = self._number
        for word in (self._scene_seed, zlib.crc32(purpose.encode()), *key):
            state = _scramble(state + _scramble(np.array([word + 1], np.uint64)))
        return ((state >> np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53


def _scramble(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's step: neighbouring numbers become unrelated ones."""
    state = state + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


@lru_cache(maxsize=8)  # a scene's noise serves all its images
def smooth_noise(seed: tuple[int, ...], size: float) -> NDArray[np.float64]:
    """Periodic noise [256, 256] of zero mean and unit variance, in blobs of ``size`` texels."""
    # the length tells (s,) from (s, 0), which numpy pads to the same
    generator = np.random.default_rng([3, len(seed), *seed])
    spectrum = np.fft.rfft2(generator.standard_normal((NOISE_SIZE, NOISE_SIZE)))
    squared = np.fft.fftfreq(NOISE_SIZE)[:, None] ** 2 + np.fft.rfftfreq(NOISE_SIZE) ** 2
    noise = np.fft.irfft2(spectrum * np.exp(-2 * (np.pi * size / 2) ** 2 * squared))
    noise -= noise.mean()
    noise /= noise.std()
    return noise
