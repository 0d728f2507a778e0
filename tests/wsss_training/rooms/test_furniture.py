import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsss_perception.ontology import load_ontology
from wsss_training.rooms.furniture import BUILDERS
from wsss_training.rooms.labels import NYU40, nyu40_id
from wsss_training.rooms.textures import ROOM_TEXTURES

HANGING = {"picture", "whiteboard", "mirror", "television", "clock", "towel", "wall_cabinet"}
HANGING |= {"radiator"}
SEEDS = st.integers(0, 2**32 - 1)


def test_labels_are_those_of_the_ontology() -> None:
    ontology = load_ontology("scannet")
    for name in ontology.classes:
        assert ontology.labels_from_raw([nyu40_id(name)])[0] == ontology.index(name)
    assert len(NYU40) == len(set(NYU40)) == 40


@pytest.mark.parametrize("name", sorted(BUILDERS))
@settings(max_examples=8, deadline=None)
@given(seed=SEEDS)
def test_things_are_whole_and_of_their_size(name: str, seed: int) -> None:
    thing = BUILDERS[name](np.random.default_rng(seed))
    low, high = thing.bounds()
    assert (high - low > 0.005).all()
    assert (high - low < 4.5).all()
    if name in HANGING:
        assert low[0] >= -1e-6  # not in the wall
    elif name != "washbasin":  # some hang
        assert -1e-6 <= low[2] < 0.1  # on the floor
    for part in thing.parts:
        assert part.surface.label in NYU40
        assert part.surface.texture in ROOM_TEXTURES
        assert np.isfinite(part.mesh.vertices).all()
        assert len(part.mesh.triangles)
        assert part.mesh.triangles.max() < len(part.mesh.vertices)
    for x0, y0, x1, y1, top in thing.tops:
        assert low[0] - 1e-6 <= x0 < x1 <= high[0] + 1e-6
        assert low[1] - 1e-6 <= y0 < y1 <= high[1] + 1e-6
        assert 0 < top <= high[2] + 1e-6


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_every_thing_is_an_individual(name: str) -> None:
    generator = np.random.default_rng(5)
    things = [BUILDERS[name](generator) for _ in range(4)]
    looks = {
        tuple(np.round(np.concatenate(thing.bounds()), 4)) + thing.parts[0].surface.color
        for thing in things
    }
    assert len(looks) == 4
