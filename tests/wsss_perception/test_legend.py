import numpy as np
import pytest

from wsss_perception.legend import draw_legend
from wsss_perception.ontology import UNKNOWN_COLOR, Ontology, load_ontology


def make_ontology(count):
    colors = tuple((255 - number, number, 200) for number in range(count))
    names = tuple(f"class {number}" for number in range(count))
    return Ontology("t", names, colors, tuple((number + 1,) for number in range(count)))


def swatches(picture, colors):
    """Row and column of each colour's first pixel, and its number of pixels."""
    packed = picture @ np.array([1 << 16, 1 << 8, 1])
    found = [np.argwhere(packed == (r << 16 | g << 8 | b)) for r, g, b in colors]
    return [(*where.min(axis=0).tolist(), len(where)) for where in found]


@pytest.mark.parametrize("name", ["semantic_kitti", "nuscenes", "scannet"])
def test_legend_has_every_colour_once_from_top_to_bottom(name):
    ontology = load_ontology(name)
    rows, columns, sizes = zip(
        *swatches(draw_legend(ontology), [*ontology.colors, UNKNOWN_COLOR]), strict=True
    )
    assert list(rows) == sorted(set(rows))
    assert len(set(columns)) == 1
    assert min(sizes) >= 200


def test_legend_writes_label_and_name_beside_every_colour():
    picture = draw_legend(make_ontology(3)).min(axis=2)
    colors = [*make_ontology(3).colors, UNKNOWN_COLOR]
    for row, column, _ in swatches(draw_legend(make_ontology(3)), colors):
        beside = picture[row : row + 18, column + 20 :]
        assert (beside[:, :35] > 100).sum() > 5
        assert (beside[:, 40:] > 180).sum() > 20


def test_long_names_make_a_wider_legend():
    ontology = make_ontology(2)
    long = Ontology("t", ("a", "driveable surface of asphalt"), ontology.colors, ontology.raw_ids)
    wide = draw_legend(long)
    assert wide.shape[1] > draw_legend(ontology).shape[1]
    assert (wide[:, -5:] == wide[0, 0]).all()  # nothing is cut off


@pytest.mark.parametrize("count", [1, 26, 80])
def test_many_classes_stand_in_columns(count):
    ontology = make_ontology(count)
    picture = draw_legend(ontology)
    places = swatches(picture, [*ontology.colors, UNKNOWN_COLOR])
    assert len({(row, column) for row, column, _ in places}) == count + 1
    assert picture.shape[0] <= 800
