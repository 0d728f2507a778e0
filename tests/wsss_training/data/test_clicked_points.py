import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsss_perception.errors import DatasetError
from wsss_perception.frame import PointCloud
from wsss_perception.ontology import load_ontology
from wsss_training.data.clicked_points import Click, choose_clicked, read_clicks
from wsss_training.data.sample import Sample

ONTOLOGY = load_ontology("semantic_kitti")
HEAD = "sample,x,y,z,class\n"


class Sweeps:
    sample_ids = ("drive/0", "drive/1")
    ontology = None
    xyz = np.array([[0, 0, 0], [1, 0, 0], [np.nan, 0, 0], [5, 5, 1]], np.float32)

    def __len__(self):
        return len(self.sample_ids)

    def __getitem__(self, index):
        return Sample(self.sample_ids[index], "drive", PointCloud(self.xyz + index))


@pytest.fixture
def clicks_of(tmp_path):
    def read(text, encoding="utf-8"):
        path = tmp_path / "clicks.csv"
        path.write_bytes(text.encode(encoding))
        return read_clicks(path, ONTOLOGY)

    return read


def chosen(clicks):
    return {
        each.sample_id: (each.indices.tolist(), each.labels.tolist(), each.points)
        for each in choose_clicked(Sweeps(), clicks)
    }


def test_the_nearest_point_of_each_click_gets_its_class(clicks_of):
    clicks = clicks_of(HEAD + "drive/1,6.1,6,2,building\ndrive/1,1.2,0.9,1,car\n")
    car, building = ONTOLOGY.classes.index("car"), ONTOLOGY.classes.index("building")
    assert chosen(clicks) == {"drive/0": ([], [], 4), "drive/1": ([0, 3], [car, building], 4)}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_columns_may_come_in_any_order_and_among_others(clicks_of, encoding):
    text = "class, note,z,y,x,sample\ncar,a,0,0,1,drive/0\n"
    assert chosen(clicks_of(text, encoding))["drive/0"][0] == [1]


def test_empty_rows_are_skipped(clicks_of):
    text = HEAD + ",,,,\n\ndrive/0,1,0,0,car\n , ,,,\n"
    assert chosen(clicks_of(text))["drive/0"][0] == [1]


def test_the_same_click_twice_is_one_label(clicks_of):
    line = "drive/0,0,0,0,car\n"
    assert chosen(clicks_of(HEAD + line + line))["drive/0"][0] == [0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sample,x,y,class\n", "no column z"),
        ("", "no column sample, x, y, z, class; found: nothing"),
        ("sample;x;y;z;class\n", r"found: sample;x;y;z;class; .*separated by commas"),
        ("Sample,X,Y,Z,Class\n", r"found: Sample, X, Y, Z, Class; .*in lower case"),
        (HEAD + ",,,,\n", "has no click"),
        (HEAD, "has no click"),
        (HEAD + "drive/0,0,0,0,cars\n", "line 2: .* no class 'cars'; did you mean 'car'"),
        (HEAD + "drive/0,0,0,0,qqqq\n", "no class 'qqqq'; known: car, bicycle"),
        (HEAD + "drive/0,0,0,road\n", "line 2 has 4 columns, not 5"),
        (HEAD + "drive/0,0,0,0,road\n\ndrive/0,0,0,0,car,1\n", "line 4 has 6 columns, not 5"),
        (HEAD + "drive/0,0,0,0,\n", "line 2: .* no class ''"),
        (HEAD + "drive/0,0,zero,0,car\n", "line 2: x, y, z are 0, zero, 0, not finite"),
        (HEAD + "drive/0,0,nan,0,car\n", "line 2: x, y, z are 0, nan, 0, not finite"),
        (HEAD + "drive/7,0,0,0,car\n", "line 2: the dataset has no sample 'drive/7'; .* 'drive/"),
        (HEAD + "drive/0,0,0,0,car\ndrive/0,3,0,0,car\n", "line 3: the nearest .* 2.00 m away"),
        (HEAD + "drive/0,0,0,0,car\ndrive/0,0.1,0,0,road\n", "line 3: another class .* line 2"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(clicks_of, text, message):
    with pytest.raises(DatasetError, match=message) as error:
        chosen(clicks_of(text))
    assert "clicks.csv" in str(error.value)


def test_what_is_no_text_is_told(tmp_path):
    path = tmp_path / "clicks.csv"
    path.write_bytes(b"sample,x,y,z,class\n\xff\xfe")
    with pytest.raises(DatasetError, match="cannot be read"):
        read_clicks(path, ONTOLOGY)
    with pytest.raises(DatasetError, match=re.escape(str(tmp_path / "none.csv"))):
        read_clicks(tmp_path / "none.csv", ONTOLOGY)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 39), st.integers(0, 18)), max_size=12), st.integers(0, 99))
def test_clicks_on_points_label_those(pairs, seed):
    wanted = dict(pairs)
    xyz = np.random.default_rng(seed).uniform(-9, 9, (40, 3)).astype(np.float32)
    sweeps = Sweeps()
    sweeps.xyz = xyz
    clicks = [Click(tuple(xyz[point].tolist()), label, "here") for point, label in wanted.items()]
    (first, _) = choose_clicked(sweeps, {"drive/0": clicks} if clicks else {})
    assert dict(zip(first.indices.tolist(), first.labels.tolist(), strict=True)) == wanted
    assert first.indices.tolist() == sorted(wanted)
