"""Settings of the synthetic driving world, and the hash that ties results to them."""

import hashlib
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from omegaconf import MISSING

from wsss_training.world.settings_files import family_seed, read_settings

SETTINGS_FILES = ("driving.yaml", "teacher.yaml")


@dataclass
class StreetSettings:
    """A kind of street; see the comments in ``driving.yaml``."""

    weight: float = MISSING
    lanes: tuple[int, int] = MISSING
    lane_width: tuple[float, float] = MISSING
    curvature: float = MISSING
    relief: tuple[float, float] = MISSING
    speed: tuple[float, float] = MISSING
    crossing: float = MISSING
    parking_strip: float = MISSING
    verge: float = MISSING
    sidewalk: float = MISSING
    sidewalk_width: tuple[float, float] = MISSING
    yard: tuple[float, float] = MISSING
    yard_ground: dict[str, float] = MISSING
    border: dict[str, float] = MISSING
    buildings: dict[str, float] = MISSING
    built: float = MISSING
    driveway: float = MISSING
    parked: float = MISSING
    traffic: dict[str, float] = MISSING
    walkers: dict[str, float] = MISSING
    kerbside: dict[str, float] = MISSING
    greenery: dict[str, float] = MISSING


@dataclass
class LidarSettings:
    """A spinning LiDAR.

    Attributes:
        name: of its folder or frame.
        position: on the vehicle, (x, y, z) in metres.
        elevations: groups of evenly spaced beams: (first, last, count), in degrees.
        columns: firings a turn.
        period: of a turn, seconds.
        max_range: metres.
        noise: standard deviation of the range, metres.
    """

    name: str = MISSING
    position: list[float] = MISSING
    elevations: list[list[float]] = MISSING
    columns: int = MISSING
    period: float = MISSING
    max_range: float = MISSING
    noise: float = MISSING


@dataclass
class CameraSettings:
    """A camera.

    Attributes:
        name: of the camera.
        position: on the vehicle, (x, y, z) in metres.
        yaw: to the left, degrees.
        width: of the image, pixels.
        height: of the image, pixels.
        focal: focal length, pixels.
        center: principal point (column, row).
        delay: of the exposure after the sweep's stamp, seconds.
    """

    name: str = MISSING
    position: list[float] = MISSING
    yaw: float = MISSING
    width: int = MISSING
    height: int = MISSING
    focal: float = MISSING
    center: list[float] = MISSING
    delay: float = MISSING


@dataclass
class RigSettings:
    """The sensors of a vehicle.

    Attributes:
        layout: dataset whose files its recordings are written as.
        interval: between sweeps, seconds.
        lidar: its LiDAR.
        cameras: its cameras.
    """

    layout: str = MISSING
    interval: float = MISSING
    lidar: LidarSettings = field(default_factory=LidarSettings)
    cameras: list[CameraSettings] = MISSING


@dataclass
class WorldSettings:
    """The whole world.

    Attributes:
        version: counts changes after methods were compared.
        families: first seed of each family of scenes.
        streets: kinds of street.
        variety: standard deviation of the logarithm of a scene's factor on each rate.
        absent: probability that a scene has none of a kind.
        path: longest way that the vehicle drives, metres.
        reach: of the street beyond the ends of the vehicle's path, metres.
        breadth: of the world to each side of the street, metres.
        rigs: sensors by name.
    """

    version: int = MISSING
    families: dict[str, int] = MISSING
    streets: dict[str, StreetSettings] = MISSING
    variety: float = MISSING
    absent: float = MISSING
    path: float = MISSING
    reach: float = MISSING
    breadth: float = MISSING
    rigs: dict[str, RigSettings] = MISSING

    def seed(self, family: str, number: int) -> int:
        """Returns the seed of a family's scene.

        Raises:
            ConfigError: no such family, or it has no such scene.
        """
        return family_seed(self.families, family, number)


def load_world_settings(path: str | Path | None = None) -> WorldSettings:
    """Reads the world's settings.

    Args:
        path: a file of the schema of ``driving.yaml``; the shipped one by default.

    Raises:
        ConfigError: the file cannot be read or does not fit the schema.
    """
    return read_settings(WorldSettings, path, __package__, "driving.yaml")


def world_hash() -> str:
    """Returns the sha256 of the shipped settings of the world and its teacher."""
    folder = resources.files(__package__)
    contents = [(folder / name).read_bytes() for name in SETTINGS_FILES]
    return hashlib.sha256(b"\0".join(contents)).hexdigest()
