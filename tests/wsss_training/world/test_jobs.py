import pytest

from wsss_perception.errors import ConfigError
from wsss_training.world.jobs import claim_folder


def test_a_folder_that_a_killed_run_has_begun_to_claim_is_claimed(tmp_path):
    (tmp_path / ".rooms.yaml.part").write_text("seed")
    claim_folder(tmp_path, "rooms.yaml", {"seed": 1}, "set of rooms")
    assert [path.name for path in tmp_path.iterdir()] == ["rooms.yaml"]
    claim_folder(tmp_path, "rooms.yaml", {"seed": 1}, "set of rooms")
    with pytest.raises(ConfigError, match="of other settings"):
        claim_folder(tmp_path, "rooms.yaml", {"seed": 2}, "set of rooms")


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(ConfigError, match="holds something else than a set of rooms"):
        claim_folder(tmp_path, "rooms.yaml", {"seed": 1}, "set of rooms")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
