import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from wsss_training.rooms.labels import nyu40_id
from wsss_training.rooms.materials import part, slab
from wsss_training.rooms.render import Palette
from wsss_training.rooms.scene import RoomScene
from wsss_training.rooms.surface import LabelledMesh, label, majority
from wsss_training.world.scene import Actor
from wsss_training.world.tracer import Geometry


def grid(side: int, z: float) -> tuple[np.ndarray, np.ndarray]:
    """Vertices [side^2, 3] over 1 m x 1 m, facing up, and faces."""
    x, y = np.meshgrid(np.linspace(-0.5, 0.5, side), np.linspace(-0.5, 0.5, side), indexing="ij")
    vertices = np.column_stack([x.ravel(), y.ravel(), np.full(side**2, z)]).astype(np.float32)
    i, j = np.divmod(np.arange((side - 1) ** 2), side - 1)
    a = i * side + j
    faces = np.concatenate(
        [np.stack([a, a + side, a + 1], 1), np.stack([a + 1, a + side, a + side + 1], 1)]
    )
    return vertices, faces.astype(np.int32)


def test_rug_wins_over_the_floor_that_it_hides() -> None:
    floor = Actor(
        "floor", (part("floor", slab((-2, -2, -0.1), (2, 2, 0)), (0.4,) * 3),), (0.0,) * 4
    )
    rug = Actor(
        "rug", (part("floor mat", slab((-0.25, -2, 0.002), (2, 2, 0.012)), (0.4,) * 3),), (0.0,) * 4
    )
    actors = (floor, rug)
    scene = RoomScene(0, (), actors, np.zeros((0, 2, 3)), (), (1.0, 1.0, 1.0), np.eye(4))
    vertices, faces = grid(21, 0.0005)  # noise took it below the rug
    colors = np.zeros((len(vertices), 3), np.uint8)
    mesh = LabelledMesh(vertices, colors, faces, np.zeros(len(vertices), np.uint16))
    turn = np.array([[0.0, -1, 0, 3], [1, 0, 0, -2], [0, 0, 1, 0.5], [0, 0, 0, 1]])
    moved = LabelledMesh(
        (vertices @ turn[:3, :3].T + turn[:3, 3]).astype(np.float32), colors, faces, mesh.labels
    )
    labels = label(moved, Geometry(list(actors), 0.0, 0, 1), Palette(scene), turn).labels
    assert (labels[vertices[:, 0] > -0.2] == nyu40_id("floor mat")).all()
    assert (labels[vertices[:, 0] < -0.3] == nyu40_id("floor")).all()


@given(st.lists(st.integers(1, 40), min_size=36, max_size=36))
def test_majority_changes_only_what_neighbours_outvote(values: list[int]) -> None:
    _, faces = grid(6, 0.0)
    labels = np.array(values)
    smoothed = majority(labels, faces)
    for vertex in range(36):
        around = faces[(faces == vertex).any(axis=1)].ravel()
        votes = np.bincount(labels[around[around != vertex]], minlength=41).astype(float)
        votes[labels[vertex]] += 1.5
        assert votes[smoothed[vertex]] == votes.max()
    assert (majority(np.full(36, 7), faces) == 7).all()


def test_majority_removes_a_speck_and_keeps_an_edge() -> None:
    _, faces = grid(6, 0.0)
    labels = np.ones(36, int)
    labels[14] = 5
    assert (majority(labels, faces) == 1).all()
    halves = np.where(np.arange(36) < 18, 1, 5)
    assert (majority(halves, faces) == halves).mean() > 0.9
