"""What the synthetic worlds' settings share: families of seeds, and files of a schema."""

from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from wsss_perception.errors import ConfigError

FAMILY_SIZE = 100_000
"""Scenes of a family."""

T = TypeVar("T")


def family_seed(families: dict[str, int], family: str, number: int) -> int:
    """Returns the seed of a family's scene.

    Args:
        families: first seed of each family.
        family: name of one.
        number: of the scene in it.

    Raises:
        ConfigError: no such family, or it has no such scene.
    """
    if family not in families:
        raise ConfigError(f"no family '{family}' of scenes; known: {', '.join(families)}")
    if not 0 <= number < FAMILY_SIZE:
        raise ConfigError(f"family '{family}' has scenes 0 to {FAMILY_SIZE - 1}, not {number}")
    return families[family] + number


def read_settings(schema: type[T], path: str | Path | None, package: str, shipped: str) -> T:
    """Reads a file of settings.

    Args:
        schema: a dataclass, all of whose values must be given.
        path: the file; None for the shipped one.
        package: that the shipped one is in.
        shipped: its name.

    Raises:
        ConfigError: the file cannot be read or does not fit the schema.
    """
    source: Any = resources.files(package) / shipped if path is None else Path(path)
    try:
        loaded = OmegaConf.create(source.read_text(encoding="utf-8"))
        merged = OmegaConf.merge(OmegaConf.structured(schema), loaded)
        missing = sorted(OmegaConf.missing_keys(merged))
        if missing:
            raise ConfigError(f"{source}: no value for {', '.join(missing)}")
        settings: Any = OmegaConf.to_object(merged)
    except (OmegaConfBaseException, YAMLError, OSError, TypeError, ValueError) as error:
        raise ConfigError(f"{source}: {str(error).strip()}") from error
    return settings
