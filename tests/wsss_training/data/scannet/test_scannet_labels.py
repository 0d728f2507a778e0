import json

import numpy as np
import pytest

from wsss_perception.errors import DatasetError, OntologyError
from wsss_training.data import open_dataset
from wsss_training.data.scannet_labels import LABEL_MAP, read_nyu40


@pytest.fixture
def segmented(room):
    """The room, labelled by groups of segments alone."""
    room.file("_vh_clean_2.labels.ply").unlink()
    return room


def paths(room):
    return {
        "segs": room.file("_vh_clean_2.0.010000.segs.json"),
        "groups": room.file(".aggregation.json"),
        "map": room.root / LABEL_MAP,
    }


def read(room, vertices=None):
    count = len(room.xyz) if vertices is None else vertices
    return read_nyu40(room.folder, count, room.root / LABEL_MAP)


def test_both_sources_hold_the_same_ids(room):
    of_mesh, files = read(room)
    np.testing.assert_array_equal(of_mesh, room.nyu40())
    assert files == (room.file("_vh_clean_2.labels.ply"),)
    files[0].unlink()
    of_segments, files = read(room)
    np.testing.assert_array_equal(of_segments, room.nyu40())
    assert files == tuple(paths(room).values())


def test_scene_without_labels_has_none(segmented):
    paths(segmented)["segs"].unlink()
    paths(segmented)["groups"].unlink()
    assert read(segmented) is None


def test_later_group_wins_a_segment(segmented):
    path = paths(segmented)["groups"]
    data = json.loads(path.read_text())
    data["segGroups"].append({"label": "floor", "segments": [3 + 7 * 5]})  # the screen's
    path.write_text(json.dumps(data))
    labels, _ = read(segmented)
    assert set(labels[segmented.sides == "screen"]) == {2}


def test_stray_ids_of_the_published_meshes_are_no_labels(room):
    labels = room.nyu40()
    labels[:5] = 50
    room.write_mesh("_vh_clean_2.labels.ply", label=labels)
    with pytest.raises(OntologyError, match=r"labels\.ply: ids \[50\]"):
        open_dataset("scannet", room.root)[0]
    (room.root / "scans").rename(room.root / "old")
    folder = room.root / "scans" / "scene0270_02"
    folder.mkdir(parents=True)
    for path in (room.root / "old" / room.name).glob("*.ply"):
        path.rename(folder / path.name.replace(room.name, folder.name))
    found, _ = read_nyu40(folder, len(labels), room.root)
    np.testing.assert_array_equal(found, np.where(labels == 50, 0, labels))


@pytest.mark.parametrize("source", ["mesh", "segments"])
def test_labels_of_another_mesh_are_refused(room, source):
    if source == "segments":
        room.file("_vh_clean_2.labels.ply").unlink()
    with pytest.raises(DatasetError, match=r"labels of 486 vertices for a mesh of 487"):
        read(room, 487)


@pytest.mark.parametrize("name", ["segs", "groups", "map"])
def test_missing_file_of_segments_is_named(segmented, name):
    path = paths(segmented)[name]
    path.unlink()
    with pytest.raises(DatasetError, match="cannot be read") as caught:
        read(segmented)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        *[(name, lambda c: c[: len(c) // 2], "not readable JSON") for name in ("segs", "groups")],
        *[(name, lambda c: b"\xff\xfe", "not readable JSON") for name in ("segs", "groups")],
        *[(name, lambda c: b"[]", "no list") for name in ("segs", "groups")],
        ("segs", lambda c: c.replace(b"segIndices", b"indices"), "no list of numbers"),
        ("segs", lambda c: b'{"segIndices": [1, NaN]}', "no list of numbers"),
        ("segs", lambda c: b'{"segIndices": [[1], [2, 3]]}', "no list of numbers"),
        ("segs", lambda c: c.replace(b"[3,", b"["), "labels of 485 vertices"),
        ("groups", lambda c: c.replace(b"[3]", b'["3"]'), "no list of groups"),
        ("groups", lambda c: c.replace(b"[3]", b"3"), "no list of groups"),
        ("groups", lambda c: c.replace(b"[3]", b"[4]"), "segment 4 of 'floor' is not in"),
        ("groups", lambda c: c.replace(b"[3]", b"[999]"), "segment 999 of 'floor' is not in"),
        ("groups", lambda c: c.replace(b"floor", b"flor"), "category 'flor' is not in"),
        ("map", lambda c: c[:20], "category 'floor' is not in"),
        ("map", lambda c: c.replace(b"nyu40id", b"nyu40"), "not ScanNet's table"),
        ("map", lambda c: c.replace(b"39", b"other"), "not ScanNet's table"),
        ("map", lambda c: c[:-12], "not ScanNet's table"),
        ("map", lambda c: b"\xff", "not ScanNet's table"),
    ],
)
def test_damaged_file_of_segments_is_named(segmented, name, change, message):
    path = paths(segmented)[name]
    content = path.read_bytes()
    path.write_bytes(change(content))
    assert path.read_bytes() != content
    with pytest.raises(DatasetError, match=message) as caught:
        read(segmented)
    assert str(path) in str(caught.value)
