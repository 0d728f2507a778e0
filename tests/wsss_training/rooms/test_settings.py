from pathlib import Path

import pytest

from wsss_perception.errors import ConfigError
from wsss_perception.ontology import load_ontology
from wsss_training.rooms.furniture import BUILDERS
from wsss_training.rooms.settings import load_room_settings, rooms_hash
from wsss_training.rooms.textures import ROOM_TEXTURES
from wsss_training.world.settings_files import FAMILY_SIZE

DOCS = Path(__file__).parents[3] / "docs" / "rooms.md"


def test_families_share_no_seed() -> None:
    rooms = load_room_settings()
    starts = sorted(rooms.seed(family, 0) for family in rooms.families)
    ends = sorted(rooms.seed(family, FAMILY_SIZE - 1) for family in rooms.families)
    assert all(end < start for end, start in zip(ends, starts[1:], strict=False))


def test_unknown_family_and_scene_beyond_it_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"no family 'test'.*final"):
        load_room_settings().seed("test", 0)
    with pytest.raises(ConfigError, match="99999"):
        load_room_settings().seed("final", FAMILY_SIZE)


def test_unknown_and_missing_settings_are_named(tmp_path: Path) -> None:
    path = tmp_path / "rooms.yaml"
    path.write_text("gravity: 9.81\n")
    with pytest.raises(ConfigError, match="gravity"):
        load_room_settings(path)
    path.write_text("version: 1\n")
    with pytest.raises(ConfigError, match=r"no value for .*spacing"):
        load_room_settings(path)


def test_all_that_settings_name_is_there() -> None:
    rooms = load_room_settings()
    for kind in rooms.kinds.values():
        assert {*kind.furniture, *kind.small} <= set(BUILDERS)
        assert {*kind.floors, *kind.walls} <= set(ROOM_TEXTURES)
        assert sum(kind.windows) == pytest.approx(1)
    assert set(rooms.companions) == set(rooms.kinds)
    assert {kind for kinds in rooms.companions.values() for kind in kinds} <= set(rooms.kinds)
    assert tuple(rooms.expected_tags) == load_ontology("scannet").classes


def test_settings_are_those_that_the_docs_publish() -> None:
    """Who changes the rooms must say so: results of other settings cannot be compared."""
    assert rooms_hash() in DOCS.read_text(encoding="utf-8")
