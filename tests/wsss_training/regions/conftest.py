import numpy as np
import pytest

BEAMS = np.deg2rad(np.linspace(-24.8, 2.0, 64))
HEIGHT = 1.73


def directions(azimuths=600, beams=BEAMS):
    elevation, azimuth = np.meshgrid(beams, np.linspace(-np.pi, np.pi, azimuths, endpoint=False))
    e, a = elevation.ravel(), azimuth.ravel()
    return np.column_stack([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)])


def look_at_ground(rise=(0.0, 0.0), farthest=60.0, beams=BEAMS):
    """What a LiDAR sees of z = rise . (x, y) - HEIGHT."""
    rays = directions(beams=beams)
    speed = rays[:, 2] - rays[:, :2] @ np.asarray(rise)
    with np.errstate(divide="ignore"):
        length = -HEIGHT / speed
    seen = (length > 0) & (length < farthest)
    return rays[seen] * length[seen, None]


def box(low, high, spacing):
    """Points on the four upright sides and the top of a box."""
    x, y, z = (np.arange(a, b + 1e-9, spacing) for a, b in zip(low, high, strict=True))
    faces = [
        *(np.stack(np.meshgrid([side], y, z), axis=-1) for side in (low[0], high[0])),
        *(np.stack(np.meshgrid(x, [side], z), axis=-1) for side in (low[1], high[1])),
        np.stack(np.meshgrid(x, y, [high[2]]), axis=-1),
    ]
    return np.concatenate([face.reshape(-1, 3) for face in faces])


def noisy(xyz, sigma=0.005, seed=0):
    noise = np.random.default_rng(seed).normal(0, sigma, xyz.shape)
    return (xyz + noise).astype(np.float32)


def same_partition(first, second):
    """Whether two numberings name the same sets; -1 must be -1 in both."""
    pairs = np.unique(np.stack([first, second], axis=1), axis=0)
    once = all(len(np.unique(column)) == len(column) for column in pairs.T)
    return once and ((pairs[:, 0] == -1) == (pairs[:, 1] == -1)).all()


def assert_dense(region, count):
    assert region.dtype == np.int32
    assert region.shape == (count,)
    assert (np.unique(region[region >= 0]) == np.arange(region.max() + 1)).all()


@pytest.fixture
def corner():
    """A floor and a wall that meet at a right angle, and which of the two each point is of."""
    rng = np.random.default_rng(3)
    floor, wall = rng.uniform(0, 2, (2, 1500, 3))
    floor[:, 2], wall[:, 0] = 0.0, 0.0
    return noisy(np.concatenate([floor, wall])), np.repeat([0, 1], 1500)
