"""ScanNet v2 as exported: ``scans/<scene>`` with mesh, labels and the video's posed frames."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsss_perception.errors import DatasetError
from wsss_perception.frame import PointCloud
from wsss_perception.geometry import Matrix
from wsss_perception.ontology import load_ontology
from wsss_perception.progress import tracked
from wsss_training.data.array_cache import ArrayCache, user_cache
from wsss_training.data.fused_cloud import VERSION, fuse_images
from wsss_training.data.ply import read_ply
from wsss_training.data.sample import ImageSource, Sample
from wsss_training.data.scannet_files import (
    CAMERA,
    VideoFrame,
    find_frames,
    find_scenes,
    read_calibration,
    read_poses,
)
from wsss_training.data.scannet_labels import LABEL_MAP, read_nyu40
from wsss_training.data.view_choice import draw_views

WORLD_FRAME = "world"

MAX_FUSED = 500
"""Most frames that a cloud is fused of, spread over the video; a frame takes about 0.1 s."""

_COLORS = ("red", "green", "blue")
_NORMALS = ("normal_x", "normal_y", "normal_z")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Scene:
    folder: Path
    mesh: Path | None


class ScanNet:
    """Whole rooms: a sample is a scene, its cloud the vertices of ``<scene>_vh_clean_2.ply``.

    The cloud is in the scene's world frame (metres; z is up in the published scenes), and
    ``T_world_lidar`` is the identity. Its channels are ``red``, ``green`` and ``blue`` (0..255),
    and ``normal_x``, ``normal_y`` and ``normal_z`` (length 1; 0 at vertices without faces).
    A scene without a mesh gets a cloud fused from its depth images, once, kept in the user's
    cache; labels belong to a mesh, and a fused cloud has none.

    The images are frames of the scene's video, all of one camera named ``color``, with depth.
    Frames of unknown pose are left out.

    Args:
        root: the folder that holds ``scans`` or ``scans_test``, and for labels of segments
            ``scannetv2-labels.combined.tsv``.
        scenes: names such as ``scene0000_00``; all that are there by default.
        scene_list: a file with the name of a scene a line, instead of ``scenes``.
        every: takes frames whose numbers are at least so far apart; of a video that was thinned
            when it was exported that is every frame.
        views: takes so many of those with a known pose, the middle ones of as many equal parts
            of the video; all by default.
        cameras: ``["color"]``, the default, or ``[]`` for no images.
        label_map: ScanNet's table of categories, where it is not in ``root``.
        labels: read the labels where there are some; otherwise their files are not opened.

    Raises:
        DatasetError: there are no scenes, not the ones named, or an option makes no sense.
    """

    def __init__(
        self,
        root: str | Path,
        scenes: list[str] | None = None,
        scene_list: str | None = None,
        every: int = 20,
        views: int | None = None,
        cameras: list[str] | None = None,
        label_map: str | None = None,
        labels: bool = True,
    ) -> None:
        self.ontology = load_ontology("scannet")
        if every < 1 or (views is not None and views < 1):
            raise DatasetError(f"'every' and 'views' must be 1 or more, not {every} and {views}")
        if cameras not in (None, [], [CAMERA]):
            raise DatasetError(f"{root}: no camera {cameras}; the one there is: {CAMERA}")
        self._every, self._views, self._has_images = every, views, cameras != []
        self._label_map = Path(root) / LABEL_MAP if label_map is None else Path(label_map)
        self._read_labels = labels
        self._cache = ArrayCache(user_cache() / "scannet", VERSION)
        self._warned: set[str] = set()
        folders = _choose_scenes(Path(root), scenes, scene_list)
        self._scenes = [_Scene(folder, _find_mesh(folder)) for folder in folders]
        self.sample_ids = [
            f"{scene.folder.name}/{scene.mesh.stem if scene.mesh else 'fused'}"
            for scene in self._scenes
        ]

    def __len__(self) -> int:
        return len(self._scenes)

    def __getitem__(self, index: int) -> Sample:
        """Reads one scene.

        Raises:
            DatasetError: one of its files is missing, damaged or of another scene, there is
                nothing to make a cloud of, or no frame has a known pose.
        """
        scene = self._scenes[index]
        if scene.mesh is None:
            cloud, files = self._fused_cloud(scene.folder)
            labels = None
        else:
            cloud = _mesh_cloud(scene.mesh)
            labels, label_files = self._labels(scene.folder, len(cloud))
            files = (scene.mesh, *label_files)
        images, pose_files = self._images(scene.folder) if self._has_images else ((), ())
        return Sample(
            self.sample_ids[index],
            scene.folder.name,
            cloud,
            images,
            np.eye(4),
            labels,
            files=(*files, *pose_files),
        )

    def _labels(
        self, folder: Path, vertices: int
    ) -> tuple[NDArray[np.uint8] | None, tuple[Path, ...]]:
        found = read_nyu40(folder, vertices, self._label_map) if self._read_labels else None
        if found is None:
            return None, ()
        raw, files = found
        return self.ontology.labels_from_raw(raw, str(files[0])), files

    def _images(self, folder: Path) -> tuple[tuple[ImageSource, ...], tuple[Path, ...]]:
        """The images, and the files that tell where their cameras were."""
        frames = _thin(find_frames(folder), self._every)
        if not frames:
            return (), ()
        calibration, posed = read_calibration(folder), self._read_known_poses(folder, frames)
        chosen = [posed[number] for number in draw_views(len(posed), self._views)]
        files = (*calibration.files, *(frame.pose for frame, _ in chosen))
        return tuple(calibration.images(chosen)), files

    def _fused_cloud(self, folder: Path) -> tuple[PointCloud, tuple[Path, ...]]:
        frames = find_frames(folder)
        frames = [frames[number] for number in draw_views(len(frames), MAX_FUSED)]
        if not frames:
            raise DatasetError(
                f"{folder}: has neither {folder.name}_vh_clean_2.ply nor images with depth and "
                "pose; copy the mesh, or export the frames"
            )
        calibration = read_calibration(folder)
        files = [path for frame in frames for path in (frame.depth, frame.pose)]
        colors = [frame.color for frame in frames]

        def fuse() -> dict[str, NDArray]:
            posed = self._read_known_poses(folder, frames)
            return fuse_images(tracked(calibration.images(posed), "frames fused", len(posed)))

        inputs = [*calibration.files, *files, *colors]
        arrays = self._cache.get(f"{folder.name}/fused", inputs, fuse)
        if not len(arrays["xyz"]):
            raise DatasetError(f"{folder / 'depth'}: the images show no surface to make a cloud of")
        return _cloud(arrays["xyz"], arrays["rgb"], arrays["normals"]), tuple(inputs)

    def _read_known_poses(
        self, folder: Path, frames: list[VideoFrame]
    ) -> list[tuple[VideoFrame, Matrix]]:
        posed = read_poses(frames)
        unknown = len(frames) - len(posed)
        if not posed:
            raise DatasetError(f"{folder / 'pose'}: none of {unknown} frames has a finite pose")
        if unknown and folder.name not in self._warned:
            self._warned.add(folder.name)
            _log.warning("%s: %d of %d frames have no pose", folder, unknown, len(frames))
        return posed


def _thin(frames: list[VideoFrame], every: int) -> list[VideoFrame]:
    """Takes frames, in ascending order, whose numbers are at least ``every`` apart."""
    kept: list[VideoFrame] = []
    for frame in frames:
        if not kept or frame.number - kept[-1].number >= every:
            kept.append(frame)
    return kept


def _choose_scenes(root: Path, names: list[str] | None, scene_list: str | None) -> list[Path]:
    there = find_scenes(root)
    where = str(root)
    if scene_list is not None:
        if names is not None:
            raise DatasetError(f"{root}: either 'scenes' or 'scene_list' can be given, not both")
        names, where = _read_scene_list(Path(scene_list)), scene_list
    for name in names or ():
        if name not in there:
            some = ", ".join([*there][:5]) + (", ..." if len(there) > 5 else "")
            raise DatasetError(f"{where}: no scene '{name}' in {root}; there are: {some}")
    return [there[name] for name in (there if names is None else names)]


def _read_scene_list(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").split()
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: list of scenes cannot be read: {error}") from error


def _find_mesh(folder: Path) -> Path | None:
    path = folder / f"{folder.name}_vh_clean_2.ply"
    return path if path.exists() else None


def _mesh_cloud(path: Path) -> PointCloud:
    mesh = read_ply(path, ("x", "y", "z", *_COLORS))
    xyz = mesh.xyz()
    if not len(xyz) or not np.isfinite(xyz).all():
        raise DatasetError(f"{path}: needs vertices with finite coordinates; copy it again")
    rgb = np.stack([mesh.vertices[name] for name in _COLORS], axis=1).astype(np.float32)
    return _cloud(xyz, rgb, mesh.normals())


def _cloud(
    xyz: NDArray[np.float32], rgb: NDArray[np.float32], normals: NDArray[np.float32]
) -> PointCloud:
    columns = np.ascontiguousarray(np.concatenate([rgb, normals], axis=1).T)
    channels = dict(zip((*_COLORS, *_NORMALS), columns, strict=True))
    return PointCloud(xyz, channels, frame_id=WORLD_FRAME)
