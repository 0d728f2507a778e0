"""Writes scenes of the synthetic world to disk, with the maps of its imitated teacher."""

import multiprocessing
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from wsss_perception.errors import ConfigError, DatasetError
from wsss_training.teachers.precomputed import write_teacher_maps
from wsss_training.world.imitated_teacher import imitate_teacher
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
    claim_folder(plan, root)
    names = plan.names()
    if settings.rigs[plan.rig].layout == "nuscenes":
        with NuScenesWriter(root, _teacher_hook(plan, settings, root)) as writer:
            for name in names:
                writer.add(record(plan, settings, name))
                yield name
        return
    if jobs == 1:
        for name in names:
            yield _write_scene(plan, settings, root, name, threads=0)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context) as pool:
        with _interrupts_ignored():
            tasks = [pool.submit(_write_scene, plan, settings, root, name, 1) for name in names]
        try:
            for task in as_completed(tasks):
                yield task.result()
        except BrokenProcessPool as error:
            raise DatasetError(
                f"{root}: a process ended, perhaps for lack of memory; start again with fewer "
                "--jobs: the scenes that are there stay"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Starts processes that leave Ctrl-C to this one: a scene they are writing is finished."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def record(plan: WorldPlan, settings: WorldSettings, name: str, threads: int = 0) -> Recording:
    """Records one scene of a plan."""
    seed = settings.seed(plan.family, int(name))
    rig = settings.rigs[plan.rig]
    return simulate(name, seed, settings, rig, plan.sweeps, plan.interval, threads)


def claim_folder(plan: WorldPlan, root: Path) -> None:
    """Notes in ``world.yaml`` what the folder holds; SemanticKITTI's layout takes more scenes.

    Raises:
        ConfigError: the folder holds scenes of other settings, or something else.
        DatasetError: the note cannot be read or written.
    """
    # scenes differ by their names; all else must be the same
    facts = {k: v for k, v in asdict(plan).items() if k not in ("first", "scenes")}
    facts["settings_sha256"] = world_hash()
    path = root / WORLD_FILE
    try:
        if path.exists():
            there = yaml.safe_load(path.read_text(encoding="utf-8"))
            if there != facts:
                raise ConfigError(
                    f"{path}: the folder holds a world of other settings: {there}; choose another "
                    "folder, or remove this one"
                )
            return
        if root.exists() and any(root.iterdir()):
            raise ConfigError(f"{root}: holds something else than a world; choose another folder")
        root.mkdir(parents=True, exist_ok=True)
        scratch = root / f".{WORLD_FILE}.part"
        scratch.write_text(yaml.safe_dump(facts, sort_keys=False), encoding="utf-8")
        scratch.replace(path)
    except (OSError, yaml.YAMLError) as error:
        raise DatasetError(f"{path}: cannot be read or written: {error}") from error


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
