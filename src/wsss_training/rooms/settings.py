"""Settings of the synthetic rooms, and the hash that ties results to them."""

import hashlib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from omegaconf import MISSING

from wsss_training.world.settings_files import family_seed, read_settings

SETTINGS_FILE = "rooms.yaml"


@dataclass
class KindSettings:
    """A kind of room; see the comments in ``rooms.yaml``."""

    weight: float = MISSING
    width: tuple[float, float] = MISSING
    length: tuple[float, float] = MISSING
    doors: dict[str, float] = MISSING
    windows: list[float] = MISSING
    curtain: float = MISSING
    blinds: float = MISSING
    floors: dict[str, float] = MISSING
    walls: dict[str, float] = MISSING
    panel_lamps: float = MISSING
    furniture: dict[str, list[float]] = MISSING
    small: dict[str, float] = MISSING


@dataclass
class CameraSettings:
    """The hand-held camera; see ``rooms.yaml``."""

    field_of_view: float = MISSING
    height: tuple[float, float] = MISSING
    pitch: tuple[float, float] = MISSING
    roll: float = MISSING
    interest: float = MISSING
    clearance: float = MISSING
    noise: tuple[float, float] = MISSING
    drift: float = MISSING
    near: float = MISSING
    far: float = MISSING
    edge: float = MISSING
    pose_noise: tuple[float, float] = MISSING


@dataclass
class RoomSettings:
    """All that rooms and recordings are drawn with.

    Attributes:
        version: counts changes after methods were compared.
        families: first seed of each family of scenes.
        joined: probability that a scene is two rooms.
        companions: kinds of the second room, by the first's.
        height: of ceilings.
        kinds: of room.
        camera: the RGB-D camera.
        spacing: of a cloud's points, metres.
        expected_tags: share of the scenes that have a class, aimed at.
    """

    version: int = MISSING
    families: dict[str, int] = MISSING
    joined: float = MISSING
    companions: dict[str, list[str]] = MISSING
    height: tuple[float, float] = MISSING
    kinds: dict[str, KindSettings] = MISSING
    camera: CameraSettings = MISSING
    spacing: float = MISSING
    expected_tags: dict[str, float] = MISSING

    def seed(self, family: str, number: int) -> int:
        """Returns the seed of a family's scene.

        Raises:
            ConfigError: no such family, or it has no such scene.
        """
        return family_seed(self.families, family, number)


def load_room_settings(path: str | Path | None = None) -> RoomSettings:
    """Reads the settings of rooms.

    Args:
        path: a file of the schema of ``rooms.yaml``; the shipped one by default.

    Raises:
        ConfigError: the file cannot be read or does not fit the schema.
    """
    return read_settings(RoomSettings, path, __package__, SETTINGS_FILE)


def rooms_hash() -> str:
    """Returns the sha256 of the shipped settings."""
    return hashlib.sha256((resources.files(__package__) / SETTINGS_FILE).read_bytes()).hexdigest()
