"""Imports bags into a recording: each is planned, then read once, its scenes written as they pass.

Memory holds the messages' stamps and the transforms of a bag, and one message at a time.
"""

import logging
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wsss_perception.bag import BagUpToDamage, Message, open_up_to_damage
from wsss_perception.errors import BagError, MessageError
from wsss_perception.messages.common import stamp_to_ns
from wsss_perception.progress import Progress
from wsss_training.recording.bag_plan import (
    BagPlan,
    ImportSettings,
    PlannedScene,
    calibration_digest,
)
from wsss_training.recording.clouds import MAX_WARNINGS
from wsss_training.recording.files import read_scene
from wsss_training.recording.folder import ImportFolder, import_into
from wsss_training.recording.open_scene import OpenScene

SHARED_SETTINGS = ("intensity_scale", "scene_seconds", "scene_metres", "min_interval")
"""What all bags of a recording are imported with; topics and calibrations are their own."""

_log = logging.getLogger(__name__)


@dataclass
class ImportCounts:
    """What became of a bag.

    Attributes:
        scenes: names of the scenes written.
        present: names of those that were there already.
        sweeps: written.
        points: written.
        invalid_points: dropped, as they were not finite.
        images: written, by camera.
        damaged_clouds: left out.
        empty_clouds: left out, as they have no finite point.
        damaged_images: left out.
        damage: what is wrong with the bag, beyond which nothing was read; None for a whole one.
    """

    scenes: list[str] = field(default_factory=list)
    present: list[str] = field(default_factory=list)
    sweeps: int = 0
    points: int = 0
    invalid_points: int = 0
    images: Counter[str] = field(default_factory=Counter)
    damaged_clouds: int = 0
    empty_clouds: int = 0
    damaged_images: int = 0
    damage: str | None = None


def import_bags(
    bags: Sequence[str | Path], root: str | Path, settings: ImportSettings
) -> Iterator[tuple[str, ImportCounts]]:
    """Imports bags into a recording, new or made with the same SHARED_SETTINGS.

    Scenes appear whole. Those that are there already are left as they are, so that an import that
    was killed goes on, and bags may be added later, also with other topics or cameras. One import
    at a time may write to a folder.

    Args:
        bags: rosbag2 folders or files.
        root: folder of the recording; made if it is not there.
        settings: how to import.

    Yields:
        Name of each bag and what became of it.

    Raises:
        BagError: a bag is not there or has no usable cloud, two have one name, or a scene that is
            there already is of another bag.
        ConfigError: the calibration file cannot be used, ``root`` was made otherwise, or another
            import writes to it.
        OSError: the recording cannot be written.
    """
    root = Path(root)
    paths = {_bag_name(Path(bag)): Path(bag) for bag in bags}
    if len(paths) < len(bags):
        raise BagError("two bags have the same name, which their scenes are named by; rename one")
    for path in paths.values():
        if not path.exists():
            raise BagError(f"{path}: no such bag; give the folder that 'ros2 bag record' wrote")
    shared = {key: getattr(settings, key) for key in SHARED_SETTINGS}
    calibration_digest(settings.calibration)
    with import_into(root):
        folder = ImportFolder(root, shared)
        for name, path in paths.items():
            with open_up_to_damage(path, root) as bag:
                plan = BagPlan(bag, name, settings)
                source = {"bag": str(path.absolute()), **plan.description()}
                folder.check(name, source)
                job = _BagImport(bag, plan, root, settings.intensity_scale)
                folder.add(name, source)
                yield name, job.run()


def _bag_name(path: Path) -> str:
    path = path.resolve() if path.name in ("", "..") else path
    return (path.name if path.is_dir() else path.stem).lstrip(".")


class _BagImport:
    """Writes the planned scenes of a bag that are not there yet.

    Raises:
        BagError: a scene that is there already is of another bag.
    """

    def __init__(self, bag: BagUpToDamage, plan: BagPlan, root: Path, scale: float) -> None:
        self._bag, self._plan, self._root, self._scale = bag, plan, root, scale
        self._counts = ImportCounts(
            damaged_clouds=plan.damaged_clouds,
            empty_clouds=plan.empty_clouds,
            damaged_images=plan.damaged_images,
        )
        self._missing = [scene for scene in plan.scenes if not self._is_there(scene)]
        self._open: list[OpenScene] = []

    def run(self) -> ImportCounts:
        """Writes the scenes and returns what became of the bag."""
        try:
            if self._missing:
                self._stream(self._missing)
            for scene in list(self._open):  # damage cut them
                self._finish(scene)
        finally:
            for scene in self._open:
                scene.writer.discard()
        self._counts.damage = self._bag.damage
        return self._counts

    def _stream(self, scenes: list[PlannedScene]) -> None:
        waiting = deque(sorted(scenes, key=lambda scene: scene.first))
        topics = [c for topic in self._plan.topics() for c in self._bag.on_topic(topic)]
        with Progress("sweeps", sum(len(scene.clouds) for scene in scenes)) as progress:
            for message in self._bag.messages(topics, waiting[0].first):
                while waiting and waiting[0].first <= message.received:
                    self._open.append(OpenScene(waiting.popleft(), self._plan, self._root))
                for scene in list(self._open):
                    if self._take(scene, message) and message.connection.topic == self._plan.points:
                        progress.step(scene.name)
                if not self._open and not waiting:
                    return

    def _take(self, scene: OpenScene, message: Message) -> bool:
        """Writes a message that a scene waits for; returns whether it does."""
        topic = message.connection.topic
        stamps = scene.awaited.get((topic, message.received))
        if stamps is None:
            return False
        try:
            content = self._bag.deserialize(message)
        except MessageError:
            return False  # the plan was made without it
        stamp = stamp_to_ns(content.header.stamp)
        if stamp not in stamps:
            return False
        self._write(scene, topic, content)
        stamps.remove(stamp)
        if not stamps:
            del scene.awaited[topic, message.received]
        if not scene.awaited:
            self._finish(scene)
        return True

    def _write(self, scene: OpenScene, topic: str, message: Any) -> None:
        counts = self._counts
        if topic == self._plan.points:
            valid, invalid = scene.write_cloud(message, self._scale)
            counts.sweeps += 1
            counts.points += valid
            counts.invalid_points += invalid
            return
        try:
            counts.images[scene.write_image(message, topic)] += 1
        except MessageError as error:
            counts.damaged_images += 1
            if counts.damaged_images <= MAX_WARNINGS:
                _log.warning("left out: %s: %s", topic, error)

    def _finish(self, scene: OpenScene) -> None:
        described = scene.describe()
        if described.sweeps:
            scene.writer.finish(described)
            self._counts.scenes.append(scene.name)
        else:
            scene.writer.discard()
        self._open.remove(scene)

    def _is_there(self, planned: PlannedScene) -> bool:
        folder = self._root / planned.name
        if not folder.exists():
            return False
        stamps = {sweep.stamp for sweep in read_scene(folder).sweeps}
        wanted = set(planned.clouds[:, 0].tolist())
        if not stamps <= wanted:
            raise BagError(
                f"{folder}: is there already, and not of {self._bag.path}, whose sweeps have other "
                "stamps; rename this bag or choose another folder"
            )
        if stamps < wanted:
            _log.warning(
                "%s: left as it is, with %d of the bag's %d sweeps; remove it to import it anew",
                folder,
                len(stamps),
                len(wanted),
            )
        self._counts.present.append(planned.name)
        return True
