import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsss_perception.ontology import load_ontology
from wsss_training.tags.check import ForeignScene, check_tags, format_report, format_table
from wsss_training.tags.tags_file import TagsFile

KITTI = load_ontology("semantic_kitti")


@pytest.fixture
def report(things):
    scenes = {
        "a": ("floor", "wall", "table"),
        "b": ("floor", "wall", "shower curtain", "table"),
        "c": ("floor",),
        "d": ("floor", "shower curtain"),
    }
    return check_tags(TagsFile("things", scenes), things)


def test_classes_that_tell_nothing_are_listed(report):
    assert report.never == ["tall_shelf"]
    assert report.always == ["floor"]
    assert report.must_mend() == []


def test_classes_that_tags_cannot_tell_apart_are_grouped(report):
    assert report.alike == [["wall", "table"]]
    assert report.implied == {}


def test_class_that_never_comes_alone_is_listed_with_its_companions(things):
    scenes = {"a": ("wall", "table"), "b": ("wall",), "c": ("floor",)}
    report = check_tags(TagsFile("things", scenes), things)
    assert report.implied == {"table": ["wall"]}
    assert report.alike == []
    assert "never tagged without others: table (always with wall)" in format_report(report)


def test_table_counts_scenes_with_both(report, things):
    index = {name: things.index(name) for name in things.classes}
    assert report.together[index["wall"], index["table"]] == 2
    assert report.together[index["wall"], index["shower curtain"]] == 1
    assert report.together[index["floor"], index["floor"]] == 4
    assert format_table(report).splitlines()[2:] == [
        "                     1   2   3   4 ",
        "  1 floor           [4]  2   2   2 ",
        "  2 wall             2  [2]  1   2 ",
        "  3 shower curtain   2   1  [2]  1 ",
        "  4 table            2   2   1  [2]",
    ]


def test_all_unknown_names_are_listed_with_hints(things):
    file = TagsFile("things", {"a": ("wal", "floor"), "b": ("Tall-Shelf", "qqq")})
    report = check_tags(file, things)
    found = [(entry.scene, entry.name, entry.nearest) for entry in report.unknown]
    assert found == [("a", "wal", "wall"), ("b", "Tall-Shelf", "tall_shelf"), ("b", "qqq", None)]
    assert report.must_mend() == ["3 unknown names"]
    text = format_report(report)
    assert "scene 'b': no class 'Tall-Shelf'; did you mean 'tall_shelf'?" in text
    assert "known classes: floor, wall" in text


def test_scenes_are_compared_with_the_dataset(things):
    file = TagsFile("things", {"0": ("wall",), "02": ("wall",), "zz": ()})
    report = check_tags(file, things, ["00", "01", "02"])
    assert report.untagged == ["00", "01"]
    assert report.foreign == [ForeignScene("0", "00", False), ForeignScene("zz", None, False)]
    assert report.shared == 1
    assert report.must_mend() == []
    text = format_report(report)
    assert "untagged scenes of the dataset (2): 00, 01" in text
    assert "not in the dataset: scene '0'; did you mean '00'?" in text


def test_scene_whose_zeros_were_lost_is_found_among_tagged_ones(things):
    file = TagsFile("things", {"00": ("wall",), "0": ("wall",), "3": ("wall",)})
    report = check_tags(file, things, ["00", "03", "30"])
    assert report.foreign == [ForeignScene("0", "00", True), ForeignScene("3", "03", False)]
    assert "not in the dataset: scene '0'; '00' is tagged already" in format_report(report)
    assert "not in the dataset: scene '3'; did you mean '03'?" in format_report(report)
    assert report.to_dict()["foreign"][0]["nearest_is_tagged"] is True


def test_file_for_another_dataset_must_be_mended(things):
    file = TagsFile("things", {"0": ("wall",)})
    assert check_tags(file, things, ["00"]).must_mend() == ["no tagged scene is in the dataset"]
    assert check_tags(TagsFile("things", {}), things).must_mend() == ["no scene is tagged"]
    nothing = TagsFile("things", {"00": (), "01": ()})
    assert check_tags(nothing, things, ["00"]).must_mend() == ["no scene has a class"]


def test_long_lists_of_scenes_are_cut_in_the_text_and_whole_in_json(things):
    file = TagsFile("things", {f"other{i}": ("wall",) for i in range(500)})
    report = check_tags(file, things, [f"scene{i}" for i in range(500)])
    assert len(format_report(report)) < 2500
    assert "488 more scenes" in format_report(report)
    assert len(report.to_dict()["untagged"]) == len(report.to_dict()["foreign"]) == 500


def test_report_goes_to_json(report):
    data = json.loads(json.dumps(report.to_dict()))
    assert data["together"]["wall"]["table"] == 2
    assert data["alike"] == [["wall", "table"]]
    assert data["untagged"] is None


@given(
    st.lists(st.frozensets(st.sampled_from(KITTI.classes)), max_size=8).map(
        lambda rows: {str(i): tuple(row) for i, row in enumerate(rows)}
    )
)
def test_findings_agree_with_the_tags(scenes):
    report = check_tags(TagsFile("semantic_kitti", scenes), KITTI)
    where = {name: {s for s, names in scenes.items() if name in names} for name in KITTI.classes}
    assert report.never == [name for name in KITTI.classes if not where[name]]
    assert report.always == [n for n in KITTI.classes if scenes and where[n] == set(scenes)]
    for group in report.alike:
        assert len({frozenset(where[name]) for name in group}) == 1 < len(group)
    grouped = [name for group in report.alike for name in group]
    assert len(grouped) == len(set(grouped))
    for name, others in report.implied.items():
        assert all(where[name] < where[other] < set(scenes) for other in others)
    np.testing.assert_array_equal(report.together, report.together.T)
    assert format_report(report)
