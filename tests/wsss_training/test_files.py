import pytest

from wsss_training.files import write_whole


def test_file_is_replaced_and_no_scratch_is_left(tmp_path):
    path = tmp_path / "a.bin"
    write_whole(path, b"old")
    write_whole(path, b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]
    assert path.read_bytes() == b"new"


def test_failure_keeps_what_was_there(tmp_path):
    path = tmp_path / "a"
    path.mkdir()  # a file cannot replace a folder
    with pytest.raises(OSError, match="a"):
        write_whole(path, b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "absent" / "b", b"new")
