"""Recordings, one's own logs as plain files: what ``import-bag`` writes of bags."""

import re
from pathlib import Path

import numpy as np

from wsss_perception.errors import DatasetError
from wsss_training.data.sample import ImageSource, Sample, read_image_size
from wsss_training.recording.files import (
    SCENE_FILE,
    points_path,
    read_points,
    read_recording,
    read_scene,
)
from wsss_training.recording.scene import Scene, Sweep


class Recording:
    """Sweeps of a recording, unlabelled, with images and poses as its frames.json files say.

    See ``wsss_training.recording.files`` for the layout. A scene is a folder that has a
    frames.json; a sweep is named by its scene and its stamp.

    Args:
        root: the folder that holds recording.yaml.
        scenes: folders of scenes such as ``drive_000``; all that are there by default.
        cameras: folders of images to use; all that are there by default.

    Raises:
        DatasetError: the folder is no recording, a scene is missing or its frames.json damaged,
            or no scene has such a camera.
    """

    ontology = None

    def __init__(
        self,
        root: str | Path,
        scenes: list[str] | None = None,
        cameras: list[str] | None = None,
    ) -> None:
        self._root = Path(root)
        read_recording(self._root)
        there = sorted(
            (p.parent.name for p in self._root.glob(f"*/{SCENE_FILE}") if p.parent.name[0] != "."),
            key=_in_counting_order,
        )
        for name in there if scenes is None else scenes:
            if name not in there:
                raise DatasetError(f"{root}: no scene '{name}'; there are: {', '.join(there)}")
        if not there:
            raise DatasetError(f"{root}: has no scene, a folder with a {SCENE_FILE}; import a bag")
        names = there if scenes is None else scenes
        self._scenes = {name: read_scene(self._root / name) for name in names}
        self._cameras = _choose_cameras(self._scenes, cameras, self._root)
        self._index = [(name, k) for name in names for k in range(len(self._scenes[name].sweeps))]
        sweeps = [self._scenes[name].sweeps[k] for name, k in self._index]
        self.sample_ids = [f"{n}/{s.stamp}" for (n, _), s in zip(self._index, sweeps, strict=True)]
        self.has_images = np.array([bool(s.images.keys() & self._cameras) for s in sweeps], bool)

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, index: int) -> Sample:
        """Reads one sweep.

        Raises:
            DatasetError: its points or an image are missing, cut short or not what they should be.
        """
        name, number = self._index[index]
        scene, folder = self._scenes[name], self._root / name
        sweep = scene.sweeps[number]
        return Sample(
            self.sample_ids[index],
            name,
            read_points(folder, scene, sweep),
            self._images(folder, scene, sweep),
            sweep.T_world_lidar,
            files=(points_path(folder, sweep), folder / SCENE_FILE),
        )

    def _images(self, folder: Path, scene: Scene, sweep: Sweep) -> tuple[ImageSource, ...]:
        sources = []
        for name in sorted(sweep.images.keys() & self._cameras):
            image, camera = sweep.images[name], scene.cameras[name]
            path = folder / name / image.file
            size = read_image_size(path)
            if size != (camera.width, camera.height):
                raise DatasetError(
                    f"{path}: has {size[0]}x{size[1]} pixels, {folder / SCENE_FILE} says "
                    f"{camera.width}x{camera.height}; put the image back that was imported"
                )
            sources.append(ImageSource(name, path, camera, image.T_camera_lidar, image.stamp))
        return tuple(sources)


def _choose_cameras(scenes: dict[str, Scene], names: list[str] | None, root: Path) -> set[str]:
    there = {name for scene in scenes.values() for name in scene.cameras}
    for name in names or ():
        if name not in there:
            raise DatasetError(
                f"{root}: no camera '{name}'; there are: {', '.join(sorted(there)) or 'none'}"
            )
    return there if names is None else set(names)


def _in_counting_order(name: str) -> list[str | int]:
    """A key that sorts drive_1000 behind drive_999."""
    return [int(part) if k % 2 else part for k, part in enumerate(re.split(r"(\d+)", name))]
