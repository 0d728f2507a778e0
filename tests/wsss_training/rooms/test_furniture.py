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
PINNED = {
    "appliance": (118.18, 8.2011, 0.0),
    "armchair": (1731.161, 7.9562, 0.0),
    "bag": (100.783, 4.9891, 0.0),
    "bathtub": (2436.708, 39.5407, 0.0),
    "bed": (2541.782, 44.6228, 0.0),
    "book_pile": (55.087, 27.4594, 0.0),
    "bookshelf": (5687.502, 42.0299, 0.0),
    "carton": (35.28, 11.5713, 0.0),
    "chair": (1173.119, 6.2116, 0.0),
    "clock": (104.921, 25.2735, 0.0),
    "coat_rack": (586.994, 14.6193, 0.0),
    "coffee_table": (467.208, 17.0147, 12.3932),
    "counter_bar": (238.888, 23.5715, 22.0773),
    "desk": (749.503, 22.9945, 17.5336),
    "dining_table": (723.996, 17.0147, 18.7064),
    "dresser": (1872.943, 25.6039, 18.4216),
    "file_cabinet": (973.31, 24.0513, 17.9353),
    "floor_lamp": (489.719, 20.7155, 0.0),
    "kitchen_unit": (6262.361, 90.9589, 41.7593),
    "ladder_rack": (861.891, 19.4407, 0.0),
    "laptop": (42.725, 4.2304, 0.0),
    "meeting_table": (1165.621, 17.0147, 27.4107),
    "mirror": (110.366, 22.3787, 0.0),
    "monitor": (132.986, 10.0397, 0.0),
    "night_stand": (469.049, 24.141, 10.1881),
    "office_chair": (1191.807, 10.4307, 0.0),
    "papers": (16.121, 17.84, 0.0),
    "picture": (159.825, 14.1915, 0.0),
    "plant": (2875.207, 13.9832, 0.0),
    "radiator": (864.278, 16.7053, 0.0),
    "refrigerator": (450.732, 22.0751, 0.0),
    "rug": (125.957, 4.5991, 0.0),
    "shower": (1622.719, 45.8535, 0.0),
    "side_table": (386.863, 17.0147, 10.0721),
    "sideboard": (1366.585, 24.141, 17.6848),
    "sofa": (3971.885, 13.9239, 0.0),
    "stool": (347.255, 7.7012, 0.0),
    "table_lamp": (150.516, 21.5842, 0.0),
    "television": (122.078, 4.144, 0.0),
    "toilet": (809.026, 18.6503, 0.0),
    "towel": (268.102, 15.4649, 0.0),
    "trash_can": (214.3, 6.9414, 0.0),
    "vanity": (1720.589, 68.2627, 8.4124),
    "vessel": (23.51, 4.5484, 0.0),
    "wall_cabinet": (215.377, 23.5489, 0.0),
    "wardrobe": (1258.96, 24.4312, 0.0),
    "washbasin": (1166.234, 26.463, 0.0),
    "washing_machine": (372.538, 17.9098, 13.7364),
    "whiteboard": (341.174, 30.0, 0.0),
}
"""Of 8 of each: sums of all coordinates' sizes, of colours and losses, of the tops' bounds."""


def test_labels_are_those_of_the_ontology() -> None:
    ontology = load_ontology("scannet")
    for name in ontology.classes:
        assert ontology.labels_from_raw([nyu40_id(name)])[0] == ontology.index(name)
    assert len(NYU40) == len(set(NYU40)) == 40


@pytest.mark.parametrize("name", sorted(BUILDERS))
@settings(max_examples=8)
@given(seed=SEEDS)
def test_things_are_whole_and_of_their_size(name: str, seed: int) -> None:
    thing = BUILDERS[name](np.random.default_rng(seed))
    low, high = thing.bounds()
    assert (high - low > 0.005).all()
    assert (high - low < 4.5).all()
    if name in HANGING:
        assert low[0] >= -1e-6  # not in the wall
    elif name != "washbasin":  # some hang
        sunk = 0.055 if name == "refrigerator" else 1e-6  # see docs/rooms.md: a low door's handle
        assert -sunk <= low[2] < 0.1  # on the floor
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


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_things_are_those_that_methods_were_compared_on(name: str) -> None:
    """Any change of what is drawn needs a new version of the rooms."""
    things = [BUILDERS[name](np.random.default_rng(seed)) for seed in range(8)]
    parts = [part for thing in things for part in thing.parts]
    found = (
        sum(np.abs(part.mesh.vertices.astype(float)).sum() for part in parts),
        sum(sum(part.surface.color) + part.surface.lost for part in parts),
        sum(np.abs(thing.tops).sum() for thing in things),
    )
    assert found == pytest.approx(PINNED[name], rel=1e-4)
