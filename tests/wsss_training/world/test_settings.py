from pathlib import Path

import pytest

from wsss_perception.errors import ConfigError
from wsss_training.world.settings import load_world_settings, world_hash
from wsss_training.world.settings_files import FAMILY_SIZE

DOCS = Path(__file__).parents[3] / "docs" / "world.md"


def test_families_share_no_seed() -> None:
    world = load_world_settings()
    starts = sorted(world.seed(family, 0) for family in world.families)
    ends = sorted(world.seed(family, FAMILY_SIZE - 1) for family in world.families)
    assert all(end < start for end, start in zip(ends, starts[1:], strict=False))


def test_unknown_family_is_named() -> None:
    with pytest.raises(ConfigError, match=r"no family 'test'.*final"):
        load_world_settings().seed("test", 0)


def test_scene_beyond_its_family_is_refused() -> None:
    with pytest.raises(ConfigError, match="100000"):
        load_world_settings().seed("final", FAMILY_SIZE)


def test_unknown_setting_is_named(tmp_path: Path) -> None:
    path = tmp_path / "driving.yaml"
    path.write_text("gravity: 9.81\n")
    with pytest.raises(ConfigError, match="gravity"):
        load_world_settings(path)


def test_missing_settings_are_named(tmp_path: Path) -> None:
    path = tmp_path / "driving.yaml"
    path.write_text("version: 1\n")
    with pytest.raises(ConfigError, match=r"no value for .*reach"):
        load_world_settings(path)


def test_settings_are_those_that_the_docs_publish() -> None:
    """Who changes the world must say so: results of other settings cannot be compared."""
    assert world_hash() in DOCS.read_text(encoding="utf-8")
