"""A depth camera: noise that grows with distance, holes at edges, on glass and at low angles."""

import numpy as np
from numpy.typing import NDArray

from wsss_training.rooms.settings import CameraSettings
from wsss_training.world.textures import value_noise

Array = NDArray[np.float32]

_GRAZING = 0.16  # cosine at which a quarter of the pixels is lost: none at twice it, all at 0
_GRAIN = 24.0  # pixels, of the smooth part of the noise, in an image 160 wide
_GLASS_CELLS = 6.0  # pixels, likewise, of patches that are lost together


def measure_depth(
    depth: Array,
    cosine: Array,
    lost: Array,
    settings: CameraSettings,
    generator: np.random.Generator,
) -> NDArray[np.uint16]:
    """Measures what is truly there.

    Args:
        depth: true depth [H, W] along the optical axis, metres; infinite where nothing is.
        cosine: of the angle between ray and surface normal [H, W].
        lost: level of smooth noise below which pixels of the surface are lost [H, W]: the higher
            the more, but the share itself only at 0, 0.5 and 1 (0.15 loses 5 %, 0.75 loses 86 %).
        settings: of the camera.
        generator: of the noise.

    Returns:
        Millimetres [H, W]; 0 where nothing was measured.
    """
    shape = depth.shape
    seen = _shifted(depth, generator)
    span = np.where(np.isfinite(seen), np.maximum(seen - 0.4, 0), 0)
    constant, growing = settings.noise
    scale = shape[1] / 160
    noise = generator.standard_normal(shape, np.float32) * (constant + growing * span**2)
    noise += _smooth(shape, _GRAIN * scale, generator) * (constant + settings.drift * span**2)
    holes = ~np.isfinite(seen) | (seen < settings.near) | (seen > settings.far)
    holes |= _at_edge(depth, settings.edge) & (generator.random(shape, np.float32) < 0.6)
    far = (seen / settings.far) ** 4 * 0.3
    grazing = np.clip((2 * _GRAZING - cosine) / (2 * _GRAZING), 0, 1) ** 2
    patches = 0.5 + 0.5 * _smooth(shape, _GLASS_CELLS * scale, generator)
    holes |= patches < lost
    holes |= generator.random(shape, np.float32) < np.maximum(far, grazing)
    measured = np.where(holes, 0, np.where(np.isfinite(seen), seen, 0) + noise)
    return np.clip(np.rint(1000 * measured), 0, 65535).astype(np.uint16)


def _shifted(depth: Array, generator: np.random.Generator) -> Array:
    """Takes some pixels from a neighbour, so that outlines are ragged."""
    height, width = depth.shape
    rows, columns = np.indices(depth.shape)
    step = generator.integers(-3, 4, (2, height, width))
    step = np.where(np.abs(step) == 1, step, 0)  # two in seven move by a pixel each way
    rows = np.clip(rows + step[0], 0, height - 1)
    return depth[rows, np.clip(columns + step[1], 0, width - 1)]


def _at_edge(depth: Array, step: float) -> NDArray[np.bool_]:
    """Finds pixels beside a jump of depth by more than a share ``step``."""
    known = np.where(np.isfinite(depth), depth, 100.0)
    edge = np.zeros(depth.shape, bool)
    for axis in (0, 1):
        jump = np.abs(np.diff(known, axis=axis)) > step * np.minimum(
            known[1:] if axis == 0 else known[:, 1:], known[:-1] if axis == 0 else known[:, :-1]
        )
        if axis == 0:
            edge[1:] |= jump
            edge[:-1] |= jump
        else:
            edge[:, 1:] |= jump
            edge[:, :-1] |= jump
    return edge


def _smooth(shape: tuple[int, ...], grain: float, generator: np.random.Generator) -> Array:
    """Smooth noise [H, W] of about -1 to 1."""
    rows, columns = np.indices(shape, dtype=np.float32)
    pixels = np.column_stack([columns.ravel(), rows.ravel()])
    start = generator.uniform(0, 1000, 2).astype(np.float32) * np.float32(grain)
    return (2 * value_noise(pixels + start, grain) - 1).reshape(shape)
