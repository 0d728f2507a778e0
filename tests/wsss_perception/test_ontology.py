import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from wsss_perception.errors import OntologyError
from wsss_perception.frame import UNKNOWN
from wsss_perception.ontology import (
    Ontology,
    ground_classes,
    load_mapping,
    load_ontology,
    ontology_from_dict,
)

SIZES = {"semantic_kitti": 19, "semantic_kitti_moving": 25, "cityscapes": 19, "nuscenes": 16}
SIZES |= {"scannet": 20, "s3dis": 13}
SMALL = Ontology("small", ("road", "car"), ((1, 2, 3), (4, 5, 6)), ((40, 60), (10,)), (0, 1))


@pytest.mark.parametrize("name", SIZES)
def test_shipped_ontology_survives_round_trip(name):
    ontology = load_ontology(name)
    assert (ontology.name, len(ontology)) == (name, SIZES[name])
    assert ontology_from_dict(yaml.safe_load(yaml.safe_dump(ontology.to_dict())), "x") == ontology
    labels = np.arange(len(ontology), dtype=np.uint8)
    np.testing.assert_array_equal(
        ontology.labels_from_raw(ontology.raw_from_labels(labels)), labels
    )
    assert len({tuple(color) for color in ontology.palette()[: len(ontology)]}) == len(ontology)


@pytest.mark.parametrize(
    ("name", "raw_ids", "count"),
    [("nuscenes", range(32), 32), ("scannet", range(41), 41), ("cityscapes", range(20), 21)],
)
def test_shipped_ontology_knows_every_raw_id(name, raw_ids, count):
    ontology = load_ontology(name)
    labels = ontology.labels_from_raw(np.array(raw_ids))
    assert set(labels) == {*range(len(ontology)), UNKNOWN}
    assert sum(map(len, ontology.raw_ids)) + len(ontology.ignored_raw_ids) == count


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (13, "other-vehicle"),
        (60, "road"),
        (252, "car"),
        (253, "bicyclist"),
        (254, "person"),
        (255, "motorcyclist"),
        (256, "other-vehicle"),
        (258, "truck"),
    ],
)
def test_semantic_kitti_folds_raw_ids(raw, name):
    ontology = load_ontology("semantic_kitti")
    assert ontology.labels_from_raw([raw])[0] == ontology.index(name)


def test_semantic_kitti_writes_the_ids_of_the_benchmark():
    raw = load_ontology("semantic_kitti").raw_from_labels(np.arange(19, dtype=np.uint8))
    expected = [10, 11, 15, 18, 20, 30, 31, 32, 40, 44, 48, 49, 50, 51, 70, 71, 72, 80, 81]
    np.testing.assert_array_equal(raw, expected)


def test_labels_from_raw_keeps_shape_and_ignores():
    labels = SMALL.labels_from_raw(np.array([[40, 60], [10, 1]], dtype=np.uint32))
    np.testing.assert_array_equal(labels, [[0, 0], [1, UNKNOWN]])
    assert labels.dtype == np.uint8


def test_raw_from_labels_writes_the_first_ids():
    raw = SMALL.raw_from_labels(np.array([0, 1, UNKNOWN], dtype=np.uint8))
    np.testing.assert_array_equal(raw, [40, 10, 0])


@pytest.mark.parametrize("raw", [7, 65535, 65536 + 10, -1])
def test_labels_from_raw_names_unlisted_ids(raw):
    with pytest.raises(OntologyError, match=rf"000001\.label.*\[{raw}\].*'small'"):
        SMALL.labels_from_raw(np.array([10, raw]), "000001.label")


def test_palette_is_grey_beyond_the_classes():
    palette = SMALL.palette()
    np.testing.assert_array_equal(palette[:2], [[1, 2, 3], [4, 5, 6]])
    assert (palette[2:] == (90, 90, 90)).all()


def test_index_suggests_the_nearest_name():
    with pytest.raises(OntologyError, match="'raod'; did you mean 'road'"):
        SMALL.index("raod")
    with pytest.raises(OntologyError, match="known: "):
        SMALL.index("xyz")


@pytest.mark.parametrize("name", SIZES)
def test_shipped_ontology_says_what_is_ground(name):
    ground = ground_classes(load_ontology(name))
    assert {"road", "driveable_surface", "floor"} & set(ground)
    assert not {"car", "wall", "building", "manmade", "vegetation"} & set(ground)


def test_ground_is_that_of_the_ontology_itself_first():
    kitti = load_ontology("semantic_kitti")
    assert ground_classes(replace(kitti, ground=("road",))) == ("road",)


def test_ground_of_an_older_bundle_is_that_of_the_shipped_ontology():
    kitti = load_ontology("semantic_kitti")
    data = kitti.to_dict()
    del data["ground"]
    assert ground_classes(ontology_from_dict(data, "x")) == kitti.ground != ()


def test_nothing_is_ground_where_nobody_says():
    assert ground_classes(SMALL) == ()
    kitti = replace(load_ontology("semantic_kitti"), ground=())
    assert ground_classes(replace(kitti, name="my_kitti")) == ()
    assert ground_classes(replace(kitti, classes=tuple("abcdefghijklmnopqrs"))) == ()
    assert ground_classes(replace(kitti, name="../mappings/cityscapes_to_nuscenes")) == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ground": ("road", "grass")}, "no class 'grass'"),
        ({"classes": ("a", "a")}, "not unique"),
        ({"classes": ()}, "1 to 254"),
        ({"colors": ((1, 2, 3),)}, "every class needs"),
        ({"colors": ((1, 2, 3), (1, 2, 256))}, "color of 'car'"),
        ({"raw_ids": ((10,), (10,))}, "unique"),
        ({"raw_ids": ((0,), (10,))}, "unique"),
        ({"raw_ids": ((65536,), (10,))}, "0..65535"),
    ],
)
def test_ontology_refuses_contradictions(changes, message):
    fields = {
        "name": "small",
        "classes": SMALL.classes,
        "colors": SMALL.colors,
        "raw_ids": SMALL.raw_ids,
    }
    with pytest.raises(OntologyError, match=message):
        Ontology(**{**fields, **changes})


def test_load_ontology_reads_a_file_of_ones_own(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(SMALL.to_dict()))
    assert load_ontology(path) == SMALL


@pytest.mark.parametrize(
    ("text", "message"),
    [("classes: [", "YAML"), ("[]", "needs 'name'"), ("name: x\nclasses: []", "needs 'name'")],
)
def test_load_ontology_names_a_bad_file(tmp_path, text, message):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(OntologyError, match=rf"bad\.yaml.*{message}"):
        load_ontology(path)


def test_the_example_of_the_docs_can_be_loaded(tmp_path):
    page = Path(__file__).parents[2] / "docs" / "teachers.md"
    section = page.read_text().partition("## Classes of your own")[2].partition("\n## ")[0]
    ontology, mapping = re.findall("```yaml\n(.*?)```", section, re.DOTALL)
    (tmp_path / "yard.yaml").write_text(ontology)
    (tmp_path / "map.yaml").write_text(mapping)
    yard, kitti = load_ontology(tmp_path / "yard.yaml"), load_ontology("semantic_kitti")
    table = load_mapping(tmp_path / "map.yaml", yard, kitti)
    labels = [kitti.index("other-ground"), kitti.index("person"), UNKNOWN]
    assert table[: len(yard)].tolist() == labels


def test_load_ontology_lists_what_is_shipped():
    with pytest.raises(OntologyError, match=r"'semantickitti'.*s3dis, scannet, semantic_kitti"):
        load_ontology("semantickitti")


def test_a_path_that_leads_nowhere_is_no_such_file(tmp_path):
    with pytest.raises(OntologyError, match=r"nosuch\.yaml: no such file$"):
        load_ontology(tmp_path / "nosuch.yaml")
    with pytest.raises(OntologyError, match=r"^\.\./nosuch\.yml: no such file$"):
        load_mapping("../nosuch.yml", SMALL, SMALL)


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        (
            "cityscapes",
            "semantic_kitti",
            {"rider": "bicyclist", "wall": "fence", "bus": "other-vehicle", "sky": None},
        ),
        (
            "cityscapes",
            "nuscenes",
            {"road": "driveable_surface", "pole": "manmade", "person": "pedestrian", "sky": None},
        ),
        (
            "semantic_kitti",
            "nuscenes",
            {"parking": "driveable_surface", "trunk": "vegetation", "other-vehicle": None},
        ),
    ],
)
def test_shipped_mapping(source, target, expected):
    source, target = load_ontology(source), load_ontology(target)
    table = load_mapping(f"{source.name}_to_{target.name}", source, target)
    for name, meaning in expected.items():
        label = UNKNOWN if meaning is None else target.index(meaning)
        assert table[source.index(name)] == label, name
    assert table.shape == (256,)
    assert (table[len(source) :] == UNKNOWN).all()
    same = set(source.classes) & set(target.classes)
    assert same
    for name in same:
        assert table[source.index(name)] == target.index(name), name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source": "other"}, "maps other to small"),
        ({"map": {"road": "road"}}, r"left out: \['car'\]"),
        ({"map": {"road": "road", "cra": None}}, r"'car'\]; no classes of it: \['cra'\]"),
        ({"map": {"road": "road", "car": "cra"}}, "did you mean 'car'"),
        ({"map": {"road": "road", "car": None, "caar": None}}, "no class 'caar'"),
        ({"map": {"road": "road", "car": None, False: None}}, "no class 'False'"),
        ({"map": []}, "not a mapping"),
    ],
)
def test_load_mapping_refuses_what_does_not_fit(tmp_path, changes, message):
    content = {"source": "small", "target": "small", "map": {"road": "road", "car": None}}
    path = tmp_path / "map.yaml"
    path.write_text(yaml.safe_dump(content))
    assert load_mapping(path, SMALL, SMALL)[:2].tolist() == [0, UNKNOWN]
    path.write_text(yaml.safe_dump({**content, **changes}))
    with pytest.raises(OntologyError, match=rf"map\.yaml: .*{message}"):
        load_mapping(path, SMALL, SMALL)
