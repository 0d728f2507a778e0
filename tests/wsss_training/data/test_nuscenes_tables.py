import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsss_perception.errors import DatasetError
from wsss_training.data import nuscenes_tables
from wsss_training.data.nuscenes_tables import Table

ROW = {"token": "t", "channel": "LIDAR_TOP", "modality": "lidar"}


def write(folder, text):
    path = folder / "sensor.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def rows(count):
    return [
        {**ROW, "token": f"tökén-{k}", "more": [k, {"a": "]}, {"}], "prev": "\\"}
        for k in range(count)
    ]


@pytest.mark.parametrize("chunk", [1, 2, 7, 64, 1 << 20])
@pytest.mark.parametrize("indent", [None, 0, 1, 4, "\t"])
@pytest.mark.parametrize("is_ascii", [True, False])
def test_rows_are_read_whatever_their_layout(tmp_path, monkeypatch, chunk, indent, is_ascii):
    """Rows, characters of several bytes and escapes are split at any place."""
    monkeypatch.setattr(nuscenes_tables, "CHUNK", chunk)
    write(tmp_path, "\r\n " + json.dumps(rows(5), indent=indent, ensure_ascii=is_ascii) + "\n\n")
    expected = [(f"tökén-{k}", "LIDAR_TOP", "lidar") for k in range(5)]
    assert list(Table(tmp_path, "sensor")) == expected


@settings(max_examples=50)
@given(count=st.integers(0, 6), chunk=st.integers(1, 400), indent=st.sampled_from([None, 0, 2]))
def test_rows_are_what_json_reads(tmp_path_factory, count, chunk, indent):
    folder = tmp_path_factory.mktemp("tables")
    write(folder, json.dumps(rows(count), indent=indent))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nuscenes_tables, "CHUNK", chunk)
        assert [row[0] for row in Table(folder, "sensor")] == [row["token"] for row in rows(count)]


def test_table_may_be_split_anywhere(tmp_path, monkeypatch):
    path = write(tmp_path, json.dumps(rows(2), indent=1))
    for chunk in range(1, path.stat().st_size + 1):
        monkeypatch.setattr(nuscenes_tables, "CHUNK", chunk)
        assert len(list(Table(tmp_path, "sensor"))) == 2


def test_every_chunk_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(nuscenes_tables, "CHUNK", 100)
    path, told = write(tmp_path, json.dumps(rows(9))), []
    assert len(list(Table(tmp_path, "sensor", lambda: told.append(1)))) == 9
    assert len(told) == -(-path.stat().st_size // 100)


GOOD = json.dumps(ROW)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not readable JSON: 'end' at character 0 is not '['"),
        ("{}", "not a list of rows"),
        (GOOD, "not a list of rows"),
        ("[", "not readable JSON"),
        (f"[{GOOD}", "not readable JSON: 'end' at character 60 is not ']'"),
        (f"[{GOOD},", "not readable JSON"),
        (f"[{GOOD},]", "not readable JSON"),
        (f"[{GOOD} {GOOD}]", "not readable JSON: '{' at character 61 is not ']'"),
        (f"[{GOOD}]]", "not readable JSON: ']' at character 61 is not 'end'"),
        (f"[{GOOD}, {GOOD[:-5]}", "not readable JSON"),
        (f"[{GOOD}, 7]", "row 1 has no str 'token'"),
        (f"[{GOOD}, []]", "row 1 has no str 'token'"),
        (f"[{GOOD}, null]", "row 1 has no str 'token'"),
        (f'[{{"token": "t", "channel": "c"}}, {GOOD}]', "row 0 has no str 'modality'"),
        (f"[{GOOD.replace('lidar', 'li')[:-4]}true}}]", "not readable JSON"),
        (b"[\xc3]", "not readable JSON"),
        (f"[{GOOD}".encode() + b"\xe2\x82", "not readable JSON"),
        ("[" * 100_000, "not readable JSON"),
        ("[1" + "0" * 10_000 + "]", "not readable JSON|no str 'token'"),
    ],
)
def test_damage_is_told_with_its_place(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(
        DatasetError, match=message.replace("[", r"\[").replace("{", r"\{")
    ) as caught:
        list(Table(tmp_path, "sensor"))
    assert str(path) in str(caught.value)
    assert "unpack them again" in str(caught.value)


def test_damage_in_a_large_table_is_found_without_reading_on(tmp_path, monkeypatch):
    monkeypatch.setattr(nuscenes_tables, "CHUNK", 1000)
    monkeypatch.setattr(nuscenes_tables, "_LONGEST", 1000)
    write(tmp_path, f"[{GOOD}, {GOOD[:20]}" + " " * 100_000 + "]")
    told = []
    with pytest.raises(DatasetError, match="not readable JSON"):
        list(Table(tmp_path, "sensor", lambda: told.append(1)))
    assert len(told) <= 3


def test_types_are_exact(tmp_path):
    row = {"token": "t", "scene_token": "s", "timestamp": True}
    (tmp_path / "sample.json").write_text(json.dumps([row]))
    with pytest.raises(DatasetError, match="row 0 has no int 'timestamp'"):
        list(Table(tmp_path, "sample"))
