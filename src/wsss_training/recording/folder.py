"""The folder of an import: one import at a time, and what its recording.yaml lets be added."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from wsss_perception.bag.damaged import SALVAGED
from wsss_perception.errors import ConfigError, DatasetError
from wsss_training.recording.files import (
    RECORDING_FILE,
    SCENE_FILE,
    read_recording,
    write_recording,
)

_LOCK = ".lock"
_OF_SOURCE = ("points", "calibration")
"""What may differ between the bags of a recording, but not between two imports of one bag."""


class ImportFolder:
    """A recording while bags are imported into it.

    Args:
        root: its folder; it is there.
        settings: of this import that all bags of a recording share.

    Raises:
        ConfigError: the folder holds something else, or scenes imported with other settings.
    """

    def __init__(self, root: Path, settings: dict[str, Any]) -> None:
        self._root, self._settings = root, settings
        self._sources: dict[str, Any] = {}
        for left in root.glob(f"{SALVAGED}*"):  # by an import that was killed
            shutil.rmtree(left, ignore_errors=True)
        if (root / RECORDING_FILE).exists():
            self._read()
        elif any(path.name[0] != "." for path in root.iterdir()):
            raise ConfigError(f"{root}: is not empty and no recording; choose another folder")

    def check(self, name: str, source: dict[str, Any]) -> None:
        """Checks that a bag of which scenes are there is imported as it was before.

        Raises:
            ConfigError: its clouds or calibration are others.
        """
        there = self._sources.get(name)
        scenes = (path.parent.name for path in self._root.glob(f"*/{SCENE_FILE}"))
        if there is None or not any(scene.rpartition("_")[0] == name for scene in scenes):
            return
        other = [key for key in _OF_SOURCE if key in there and there[key] != source[key]]
        _refuse_any(
            f"{self._root}: '{name}'",
            [_difference(key, there, source) for key in other],
            f"remove {self._root}, or only the scenes of '{name}' in it, and import again",
        )

    def add(self, name: str, source: dict[str, Any]) -> None:
        """Adds what recording.yaml says of a bag.

        Raises:
            OSError: it cannot be written.
        """
        self._sources[name] = source
        write_recording(self._root, {"settings": self._settings, "sources": self._sources})

    def _read(self) -> None:
        try:
            there = read_recording(self._root)
        except DatasetError as error:
            raise ConfigError(str(error)) from error
        made = there.get("settings")
        if not isinstance(made, dict):
            raise ConfigError(f"{self._root}: is not of an import; choose another folder")
        if not any(self._root.glob(f"*/{SCENE_FILE}")):
            return  # nothing was made with those settings
        other = [key for key, value in self._settings.items() if made.get(key) != value]
        _refuse_any(
            str(self._root),
            [_difference(key, made, self._settings) for key in other],
            "use them again, or another folder",
        )
        self._sources = dict(there.get("sources") or {})


def _difference(key: str, made: dict[str, Any], now: dict[str, Any]) -> str:
    if key != "calibration":
        return f"{key} {made.get(key)}, not {now[key]}"
    old, new = _calibration_name(made), _calibration_name(now)
    return f"calibration {old}, " + ("which has changed since" if old == new else f"not {new}")


def _calibration_name(source: dict[str, Any]) -> str:
    """What a person knows the calibration by; older imports kept no more than its digest."""
    if source["calibration"] is None:
        return "none"
    return str(source.get("calibration_file", "another file"))


def _refuse_any(what: str, differences: list[str], remedy: str) -> None:
    if differences:
        raise ConfigError(
            f"{what} was imported with other settings: {'; '.join(differences)}: {remedy}"
        )


@contextmanager
def import_into(root: Path) -> Iterator[None]:
    """Makes a folder and keeps other imports out of it; removes it if nothing gets into it.

    Raises:
        ConfigError: another import writes to it.
        OSError: it cannot be made.
    """
    is_new = not root.exists()
    root.mkdir(parents=True, exist_ok=True)
    path = root / _LOCK
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_ours = os.path.samestat(os.fstat(lock.fileno()), path.stat())
        except (BlockingIOError, FileNotFoundError):  # held, or just removed by who held it
            is_ours = False
        if not is_ours:
            raise ConfigError(f"{root}: another import writes to it; try again when it has ended")
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            if is_new:
                with suppress(OSError):  # it is not empty
                    root.rmdir()
