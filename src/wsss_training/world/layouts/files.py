"""What the writers of the synthetic world's layouts share."""

import io
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsss_perception.errors import DatasetError
from wsss_training.world.recording import Recording, Shot, Sweep

OnShot = Callable[[Shot, Path, str, int], None]
"""Told of every image: the shot, the image's path below the layout's root, the recording's name,
the sweep's number. Called once for each image, before the recording appears under its name."""


def numbered_sweeps(recording: Recording) -> Iterator[tuple[int, Sweep]]:
    """Yields a recording's sweeps with their numbers.

    Raises:
        DatasetError: their stamps do not grow, one's arrays or images do not fit together, or
            there are more or fewer than the recording announces.
    """
    number, stamp = -1, None
    for number, sweep in enumerate(recording.sweeps):
        where = f"recording '{recording.name}', sweep {number}"
        if stamp is not None and sweep.cloud.stamp <= stamp:
            raise DatasetError(f"{where}: stamp {sweep.cloud.stamp} ns is not after {stamp} ns")
        if not len(sweep.cloud) == len(sweep.labels) == len(sweep.instances):
            raise DatasetError(
                f"{where}: {len(sweep.cloud)} points, {len(sweep.labels)} labels and "
                f"{len(sweep.instances)} instances; each point needs one of each"
            )
        if len({shot.name for shot in sweep.shots}) != len(sweep.shots):
            raise DatasetError(f"{where}: two cameras have one name; give each its own")
        for shot in sweep.shots:
            size = (shot.camera.height, shot.camera.width, 3)
            if shot.pixels.shape != size or any(shot.camera.distortion):
                raise DatasetError(
                    f"{where}, camera '{shot.name}': needs an undistorted image of shape {size}, "
                    f"got {shot.pixels.shape} with distortion {shot.camera.distortion}"
                )
        stamp = sweep.cloud.stamp
        yield number, sweep
    if number + 1 != recording.count:
        raise DatasetError(
            f"recording '{recording.name}': {number + 1} sweeps, but {recording.count} were "
            "announced; nothing of it is kept"
        )


def encode_image(pixels: NDArray[np.uint8], kind: str) -> bytes:
    """Encodes an image uint8 [H, W, 3] as ``PNG``, or as ``JPEG`` with little loss."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **({"quality": 95} if kind == "JPEG" else {}))
    return stream.getvalue()


def write_file(path: Path, content: bytes | str) -> None:
    """Writes a file, and its folder where there is none.

    Raises:
        DatasetError: it cannot be written.
    """
    with reporting(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def fresh_folder(path: Path) -> None:
    """Makes an empty folder for unfinished work; what an interrupted run left there goes.

    Raises:
        DatasetError: it cannot be made.
    """
    with reporting(path):
        if path.exists():
            shutil.rmtree(path)
        path.mkdir(parents=True)


def move(source: Path, target: Path) -> None:
    """Renames a finished folder to its final name, on one disk, all at once.

    Raises:
        DatasetError: the target holds something, or cannot be written.
    """
    with reporting(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        os.rename(source, target)


@contextmanager
def removed_at_exit(path: Path) -> Iterator[None]:
    """Removes a folder of unfinished work when the block ends, however it ends."""
    try:
        yield
    finally:
        with suppress(OSError):
            shutil.rmtree(path)


@contextmanager
def reporting(path: Path) -> Iterator[None]:
    """Turns what the file system refuses into a DatasetError that names the path."""
    try:
        yield
    except OSError as error:
        raise DatasetError(f"{path}: cannot be written: {error.strerror or error}") from error
