"""Recordings: a user's own logs as plain files, and how bags become such files."""

from wsss_training.recording.bag_plan import ImportSettings
from wsss_training.recording.files import RECORDING_FILE, SCENE_FILE, read_recording, read_scene
from wsss_training.recording.importer import ImportCounts, import_bags
from wsss_training.recording.scene import Scene, SceneImage, Sweep

__all__ = [
    "RECORDING_FILE",
    "SCENE_FILE",
    "ImportCounts",
    "ImportSettings",
    "Scene",
    "SceneImage",
    "Sweep",
    "import_bags",
    "read_recording",
    "read_scene",
]
