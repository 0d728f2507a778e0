"""Writes scenes of the synthetic world to disk, with the maps of its imitated teacher."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from wsss_perception.errors import ConfigError
from wsss_training.teachers.precomputed import write_teacher_maps
from wsss_training.world.imitated_teacher import imitate_teacher
from wsss_training.world.jobs import claim_folder, write_scenes
from wsss_training.world.layouts.files import OnShot
from wsss_training.world.layouts.nuscenes import NuScenesWriter
from wsss_training.world.layouts.semantic_kitti import SemanticKittiWriter
from wsss_training.world.recording import Recording, Shot
from wsss_training.world.settings import WorldSettings, load_world_settings, world_hash
from wsss_training.world.simulator import check_drive, simulate
from wsss_training.world.teacher_settings import load_teacher_settings

WORLD_FILE = "world.yaml"
TEACHER_FOLDER = "teacher"


@dataclass(frozen=True)
class WorldPlan:
    """What to write.

    Attributes:
        rig: the vehicle's sensors, a name in ``driving.yaml``; its layout is written.
        family: of scenes: development, validation or final.
        first: number of the first scene in its family.
        scenes: how many.
        sweeps: of each scene.
        interval: between sweeps, seconds; None for the rig's own.
    """

    rig: str = "kitti"
    family: str = "development"
    first: int = 0
    scenes: int = 20
    sweeps: int = 5
    interval: float | None = None

    def names(self) -> list[str]:
        """Names of the scenes: their numbers in the family."""
        return [f"{number:04d}" for number in range(self.first, self.first + self.scenes)]


def write_world(plan: WorldPlan, root: Path, jobs: int = 1) -> Iterator[str]:
    """Writes scenes in the rig's layout and the teacher's maps under ``teacher``.

    In SemanticKITTI's layout scenes that are there already stay, so that an interrupted run goes
    on; nuScenes' tables are written as a whole, by one process.

    Args:
        plan: what to write.
        root: folder of the world.
        jobs: processes that write scenes.

    Yields:
        The name of each scene when it is written.

    Raises:
        ConfigError: unknown rig or family, too long a drive, or another world's folder.
        DatasetError: a file cannot be written.
    """
    settings = load_world_settings()
    if plan.rig not in settings.rigs:
        raise ConfigError(f"no rig '{plan.rig}'; known: {', '.join(settings.rigs)}")
    settings.seed(plan.family, plan.first + plan.scenes - 1)
    check_drive(settings.rigs[plan.rig], plan.sweeps, plan.interval)
    # scenes differ by their names; all else must be the same
    facts = {k: v for k, v in asdict(plan).items() if k not in ("first", "scenes")}
    claim_folder(root, WORLD_FILE, {**facts, "settings_sha256": world_hash()}, "world")
    names = plan.names()
    if settings.rigs[plan.rig].layout == "nuscenes":
        with NuScenesWriter(root, _teacher_hook(plan, settings, root)) as writer:
            for name in names:
                writer.add(record(plan, settings, name))
                yield name
        return
    write = partial(_write_scene, plan, settings, root)
    yield from write_scenes(write, names, jobs, root)


def record(plan: WorldPlan, settings: WorldSettings, name: str, threads: int = 0) -> Recording:
    """Records one scene of a plan."""
    seed = settings.seed(plan.family, int(name))
    rig = settings.rigs[plan.rig]
    return simulate(name, seed, settings, rig, plan.sweeps, plan.interval, threads)


def _write_scene(
    plan: WorldPlan, settings: WorldSettings, root: Path, name: str, threads: int
) -> str:
    with SemanticKittiWriter(root, _teacher_hook(plan, settings, root)) as writer:
        writer.add(record(plan, settings, name, threads))
    return name


def _teacher_hook(plan: WorldPlan, world: WorldSettings, root: Path) -> OnShot:
    """Makes the function that writes the imitated teacher's maps of an image."""
    habits = load_teacher_settings()

    def write(shot: Shot, path: Path, scene: str, number: int) -> None:
        seed = world.seed(plan.family, int(scene))
        maps = imitate_teacher(shot.classes, shot.regions, habits, seed, number)
        write_teacher_maps(maps, root / TEACHER_FOLDER, path)

    return write
