"""Writes synthetic rooms to disk."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from wsss_perception.errors import ConfigError, DatasetError
from wsss_training.rooms.layout import write_scene
from wsss_training.rooms.settings import SETTINGS_FILE, load_room_settings, rooms_hash
from wsss_training.rooms.simulator import simulate
from wsss_training.world.jobs import claim_folder, write_scenes
from wsss_training.world.layouts.files import fresh_folder, move, removed_at_exit

SMALLEST = 32
"""Least width and height of images: with less there is nothing to see."""


@dataclass(frozen=True)
class RoomsPlan:
    """What to write.

    Attributes:
        family: of scenes: development, validation or final.
        first: number of the first scene in its family.
        scenes: how many.
        frames: of each.
        size: width and height of the images, pixels.
    """

    family: str = "development"
    first: int = 0
    scenes: int = 20
    frames: int = 24
    size: tuple[int, int] = (320, 240)

    def names(self) -> list[str]:
        """Names of the scenes, as ScanNet's are: their numbers in the family."""
        return [f"scene{number:04d}_00" for number in self._numbers()]

    def seed_number(self, name: str) -> int:
        """Returns the number of the scene of a name."""
        return int(name.removeprefix("scene").removesuffix("_00"))

    def _numbers(self) -> range:
        return range(self.first, self.first + self.scenes)


def write_rooms(plan: RoomsPlan, root: Path, jobs: int = 1) -> Iterator[str]:
    """Writes scenes in ScanNet's layout; those that are there already stay.

    Args:
        plan: what to write.
        root: the folder that gets ``scans``.
        jobs: processes that write scenes.

    Yields:
        The name of each scene when it is written.

    Raises:
        ConfigError: unknown family, images too small, or another world's folder.
        DatasetError: a file cannot be written.
    """
    load_room_settings().seed(plan.family, plan.first + plan.scenes - 1)
    if min(plan.size) < SMALLEST:
        raise ConfigError(f"images of {plan.size} pixels: at least {SMALLEST} each way are needed")
    facts = {k: v for k, v in asdict(plan).items() if k not in ("first", "scenes")}
    facts |= {"size": list(plan.size), "settings_sha256": rooms_hash()}
    claim_folder(root, SETTINGS_FILE, facts, "set of rooms")
    yield from write_scenes(partial(_write, plan, root), plan.names(), jobs, root)


def _write(plan: RoomsPlan, root: Path, name: str, threads: int) -> str:
    """Writes a scene whole or not at all; returns its name."""
    folder = root / "scans" / name
    if folder.exists():
        there = len(list((folder / "color").glob("*.jpg")))
        if there != plan.frames:
            raise DatasetError(
                f"{folder}: holds {there} frames where {plan.frames} belong; remove it or choose "
                "another folder"
            )
        return name
    settings = load_room_settings()
    seed = settings.seed(plan.family, plan.seed_number(name))
    # not below scans: readers take every folder there for a scene
    scratch = root / f".{name}.part"
    fresh_folder(scratch)
    with removed_at_exit(scratch):
        recording = simulate(seed, settings, plan.frames, plan.size, threads)
        write_scene(scratch, name, recording.frames, recording.camera, recording.mesh)
        move(scratch, folder)
    return name
