import pytest

from wsss_perception.errors import ConfigError
from wsss_training.recording.files import read_recording, write_recording
from wsss_training.recording.folder import ImportFolder, import_into

SETTINGS = {"scene_seconds": 20.0, "min_interval": 0.0}
SOURCE = {"points": "/points", "calibration": None, "channels": {}}


def add_scene(root, name):
    (root / name).mkdir()
    (root / name / "frames.json").write_text("{}")


def test_a_second_import_into_a_folder_is_refused_until_the_first_has_ended(tmp_path):
    with import_into(tmp_path / "out"):
        add_scene(tmp_path / "out", "a_000")
        with pytest.raises(ConfigError, match="another import writes to it"):
            import_into(tmp_path / "out").__enter__()
    with import_into(tmp_path / "out"):
        pass
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a_000"]


def test_a_folder_that_nothing_got_into_is_removed_again_if_it_was_made(tmp_path):
    for name, was_there in (("new", False), ("old", True)):
        if was_there:
            (tmp_path / name).mkdir()
        with pytest.raises(ZeroDivisionError), import_into(tmp_path / name):
            raise ZeroDivisionError
        assert (tmp_path / name).exists() == was_there


@pytest.mark.parametrize("key", SETTINGS)
def test_other_settings_are_refused_once_there_is_a_scene(tmp_path, key):
    ImportFolder(tmp_path, SETTINGS).add("a", SOURCE)
    ImportFolder(tmp_path, {**SETTINGS, key: 5.0})
    add_scene(tmp_path, "a_000")
    ImportFolder(tmp_path, SETTINGS)
    with pytest.raises(ConfigError, match=rf"other settings: {key} .*, not 5\.0: use them again"):
        ImportFolder(tmp_path, {**SETTINGS, key: 5.0})


@pytest.mark.parametrize("key", ["points", "calibration"])
def test_topic_and_calibration_are_those_of_each_bag(tmp_path, key):
    ImportFolder(tmp_path, SETTINGS).add("a", SOURCE)
    add_scene(tmp_path, "a_000")
    folder, other = ImportFolder(tmp_path, SETTINGS), {**SOURCE, key: "other"}
    folder.check("b", other)
    folder.check("a", {**SOURCE, "channels": {"ring": 1}})
    with pytest.raises(ConfigError, match=f"'a' was imported with other settings: {key}"):
        folder.check("a", other)
    with pytest.raises(ConfigError, match=r": remove .*/t.*, or only the scenes .* import again"):
        folder.check("a", other)
    folder.add("b", other)
    assert read_recording(tmp_path)["sources"] == {"a": SOURCE, "b": other}


def test_the_refusal_names_the_calibration_files(tmp_path):
    ImportFolder(tmp_path, SETTINGS).add("a", SOURCE)
    add_scene(tmp_path, "a_000")
    folder = ImportFolder(tmp_path, SETTINGS)
    given = {**SOURCE, "calibration": "sha256 2344ed", "calibration_file": "/rig/c.yaml"}
    with pytest.raises(ConfigError, match=r"calibration none, not /rig/c\.yaml: "):
        folder.check("a", given)
    folder.add("a", {**SOURCE, "calibration": "sha256 0"})  # by an older import
    with pytest.raises(ConfigError, match=r"calibration another file, not /rig/c\.yaml: "):
        folder.check("a", given)


def test_scenes_of_a_bag_with_a_longer_name_are_not_those_of_the_bag(tmp_path):
    ImportFolder(tmp_path, SETTINGS).add("a", SOURCE)
    add_scene(tmp_path, "a_b_000")
    ImportFolder(tmp_path, SETTINGS).check("a", {**SOURCE, "points": "/other"})


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / ".salvaged-x").mkdir()
    ImportFolder(tmp_path, SETTINGS)
    assert list(tmp_path.iterdir()) == []  # what a killed import left does not count
    (tmp_path / "note").write_text("mine")
    with pytest.raises(ConfigError, match="is not empty and no recording"):
        ImportFolder(tmp_path, SETTINGS)
    write_recording(tmp_path, {})
    with pytest.raises(ConfigError, match="is not of an import"):
        ImportFolder(tmp_path, SETTINGS)
