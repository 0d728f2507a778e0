"""Writes recordings in nuScenes' layout, with nuScenes-lidarseg's labels."""

import json
from collections import defaultdict
from pathlib import Path
from types import TracebackType

import numpy as np

from wsss_perception.errors import DatasetError
from wsss_perception.geometry import invert, transform_points
from wsss_perception.ontology import load_mapping, load_ontology
from wsss_training.data.nuscenes_files import INTENSITY_SCALE, T_FORWARD_RIGHT
from wsss_training.world.layouts.files import (
    OnShot,
    encode_image,
    fresh_folder,
    move,
    numbered_sweeps,
    removed_at_exit,
    write_file,
)
from wsss_training.world.layouts.nuscenes_rows import (
    CATEGORIES,
    EMPTY_TABLES,
    Tables,
    add_reading,
    camera_reading,
    complete_scene,
    lidar_reading,
    make_token,
    microseconds,
)
from wsss_training.world.recording import Recording, Sweep


class NuScenesWriter:
    """Writes one scene a recording, every sweep a keyframe, to be read by ``data.nuscenes``.

    A camera's name becomes its channel (nuScenes' are ``CAM_FRONT`` and so on). Stamps are rounded
    to microseconds, images are JPEG, and labels take the categories that
    ``semantic_kitti_to_nuscenes`` gives, ``noise`` where it gives none. The map's mask is one
    empty pixel: tools want the file.

    All is written in a hidden folder of ``root`` and renamed when the ``with`` block ends without
    an error, the tables last: what has no tables is not read, and what fails before leaves nothing.
    An interrupted generation starts anew.

    Args:
        root: the folder that gets ``samples``, ``lidarseg``, ``maps`` and the tables; none of
            them may be there.
        on_shot: told of every image that is written.
        version: name of the tables' folder, ``v1.0-...``.

    Raises:
        DatasetError: the version's name does not begin with ``v1.0-``.
    """

    def __init__(
        self, root: str | Path, on_shot: OnShot | None = None, version: str = "v1.0-world"
    ) -> None:
        if not version.startswith("v1.0-"):
            raise DatasetError(f"nuScenes version '{version}': must be named v1.0-<something>")
        self._root, self._on_shot, self._version = Path(root), on_shot, version
        self._scratch = self._root / f".{version}.part"
        source, target = load_ontology("semantic_kitti"), load_ontology("nuscenes")
        mapping = load_mapping("semantic_kitti_to_nuscenes", source, target)
        self._raw = target.raw_from_labels(mapping).astype(np.uint8)
        self._tables: Tables = {}

    def __enter__(self) -> "NuScenesWriter":
        for name in self._parts():
            if (self._root / name).exists():
                raise DatasetError(
                    f"{self._root / name}: exists; a nuScenes tree is written as a whole: "
                    "remove it or choose another folder"
                )
        fresh_folder(self._scratch)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Publishes what was written, if the block ended well.

        Raises:
            DatasetError: no recording was added, or a file cannot be written.
        """
        with removed_at_exit(self._scratch):
            if kind is None:
                self._write_tables()
                for name in self._parts():
                    move(self._scratch / name, self._root / name)

    def add(self, recording: Recording) -> bool:
        """Writes a recording.

        Returns:
            True, as it was written.

        Raises:
            DatasetError: a recording of its name was added before, its sweeps contradict each
                other, or a file cannot be written.
        """
        scene = make_token("scene", recording.name)
        if scene in self._tables.get("scene", {}):
            raise DatasetError(f"recording '{recording.name}': a scene of that name is there")
        tables: Tables = defaultdict(dict)
        for number, sweep in numbered_sweeps(recording):
            self._write_sweep(tables, recording.name, number, sweep)
        if not tables["sample"]:
            raise DatasetError(f"recording '{recording.name}': has no sweeps")
        complete_scene(tables, recording.name)
        for name, rows in tables.items():  # only now: a recording that fails leaves no rows
            self._tables.setdefault(name, {}).update(rows)
        return True

    def _write_sweep(self, tables: Tables, scene: str, number: int, sweep: Sweep) -> None:
        sample = make_token("sample", scene, number)
        tables["sample"][sample] = {
            "token": sample,
            "timestamp": microseconds(sweep.cloud.stamp),
            "scene_token": make_token("scene", scene),
        }
        row = add_reading(tables, scene, sample, lidar_reading(sweep))
        write_file(self._scratch / row["filename"], _points(sweep))
        token = row["token"]
        path = f"lidarseg/{self._version}/{token}_lidarseg.bin"
        tables["lidarseg"][token] = {"token": token, "sample_data_token": token, "filename": path}
        write_file(self._scratch / path, self._raw[sweep.labels].tobytes())
        for shot in sweep.shots:
            row = add_reading(tables, scene, sample, camera_reading(shot))
            write_file(self._scratch / row["filename"], encode_image(shot.pixels, "JPEG"))
            if self._on_shot is not None:
                self._on_shot(shot, Path(row["filename"]), scene, number)

    def _write_tables(self) -> None:
        if not self._tables:
            raise DatasetError(f"{self._root}: no recording was added; nothing is written")
        mask = make_token("map")
        path = f"maps/{mask}.png"
        write_file(self._scratch / path, encode_image(np.zeros((1, 1), np.uint8), "PNG"))
        whole = {
            "map": [
                {
                    "token": mask,
                    "log_tokens": list(self._tables["log"]),
                    "category": "semantic_prior",
                    "filename": path,
                }
            ],
            "category": [
                {"token": make_token("category", name), "name": name, "description": "", "index": i}
                for i, name in enumerate(CATEGORIES)
            ],
            **{name: [] for name in EMPTY_TABLES},
            **{name: list(rows.values()) for name, rows in self._tables.items()},
        }
        for name, rows in whole.items():
            write_file(self._scratch / self._version / f"{name}.json", json.dumps(rows, indent=0))

    def _parts(self) -> tuple[str, ...]:
        return ("samples", "lidarseg", "maps", self._version)


def _points(sweep: Sweep) -> bytes:
    """Content of a ``.pcd.bin`` file: float32 x, y, z, intensity (0..255), ring per point."""
    xyz = transform_points(invert(T_FORWARD_RIGHT), sweep.cloud.xyz)
    channels = sweep.cloud.channels
    values = [xyz, channels["intensity"] * INTENSITY_SCALE, channels["ring"]]
    return np.column_stack(values).astype("<f4").tobytes()
