"""A 2D teacher's output on disk, laid out like the images it was made from.

For an image ``<images_root>/a/b/000001.png`` the teacher's folder holds, under the same path:

- ``a/b/000001.label.png``: uint8 class of every pixel, by its place in the teacher's ontology, the
  image's size; 255, and ids that the ontology ignores, for none;
- ``a/b/000001.conf.png``: uint8 confidence, 255 = 1, half the image's size;
- ``a/b/000001.prob.npz``: ``prob`` uint8 [classes, H/8, W/8], 255 = 1.

Where the folder has an ``ontology.yaml``, as ``teacher-maps`` writes, those are the classes.
"""

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsss_perception.errors import DatasetError
from wsss_perception.frame import UNKNOWN
from wsss_perception.ontology import Ontology, load_ontology
from wsss_training.files import write_whole
from wsss_training.teachers.image_paths import path_below

LABELS, CONFIDENCE, PROBABILITIES = SUFFIXES = (".label.png", ".conf.png", ".prob.npz")
"""What an image's suffix is replaced by in the names of its maps."""
ONTOLOGY_FILE = "ontology.yaml"
"""The teacher's classes, for a training config's ``teacher.ontology``."""


@dataclass(frozen=True)
class TeacherMaps:
    """What the teacher says of one image.

    Attributes:
        labels: uint8 [H, W], label in the teacher's ontology, UNKNOWN where it has none.
        confidence: float32 [H', W'], probability of the label, at any resolution.
    """

    labels: NDArray[np.uint8]
    confidence: NDArray[np.float32]


class CompleteMaps(Protocol):
    """All that a teacher's folder holds of one image, ready to be written."""

    @property
    def labels(self) -> NDArray[np.uint8]:
        """Class of every pixel [H, W]."""

    @property
    def confidence(self) -> NDArray[np.float32]:
        """Probability of the label [H / 2, W / 2]."""

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """Probability of every class [classes, H / 8, W / 8]."""


class PrecomputedTeacher:
    """Reads a teacher's label and confidence maps.

    Args:
        root: the teacher's folder.
        images_root: the folder that the images' paths are relative to.
        ontology: the teacher's classes.

    Raises:
        DatasetError: a folder does not exist, or says that its maps are of other classes.
    """

    def __init__(self, root: str | Path, images_root: str | Path, ontology: Ontology) -> None:
        self._root, self._images_root = Path(root), Path(images_root)
        self.ontology = ontology
        for folder in (self._root, self._images_root):
            if not folder.is_dir():
                raise DatasetError(f"{folder}: no such folder of teacher maps or images")
        self._is_known = np.zeros(256, dtype=bool)
        self._is_known[: len(ontology)] = True
        none = [UNKNOWN, *(raw for raw in ontology.ignored_raw_ids if 0 <= raw < UNKNOWN)]
        self._is_known[none] = True
        self._check_classes()

    def __call__(self, image: Path) -> TeacherMaps:
        """Reads the maps of one image.

        Raises:
            DatasetError: the maps are missing, cannot be read or have values that are no class,
                or the image lies elsewhere.
        """
        label_file, confidence_file = self.files(image)
        # of a palette image the index is the class
        labels = _read_bytes(label_file, modes=("L", "P"))
        if not self._is_known[labels].all():
            raise DatasetError(
                f"{label_file}: value {labels[~self._is_known[labels]][0]} is no class of "
                f"'{self.ontology.name}' (0 to {len(self.ontology) - 1}), nor ignored there; a map "
                "holds places in the list of classes, such as Cityscapes' trainIds, not labelIds"
            )
        labels[labels >= len(self.ontology)] = UNKNOWN
        confidence = _read_bytes(confidence_file, modes=("L",))
        return TeacherMaps(labels, confidence.astype(np.float32) / 255.0)

    @property
    def folders(self) -> tuple[str, str]:
        """Absolute paths of the teacher's folder and of the images' root."""
        return os.path.abspath(self._root), os.path.abspath(self._images_root)

    def files(self, image: Path) -> tuple[Path, Path]:
        """The files of an image's labels and confidence.

        Raises:
            DatasetError: one is missing, or the image lies elsewhere.
        """
        return self._path(image, LABELS), self._path(image, CONFIDENCE)

    def probability_file(self, image: Path) -> Path:
        """The file of an image's class probabilities.

        Raises:
            DatasetError: as for ``files``.
        """
        return self._path(image, PROBABILITIES)

    def probabilities(self, image: Path) -> NDArray[np.float32]:
        """Reads class probabilities float32 [classes, H/8, W/8] of one image.

        Raises:
            DatasetError: as for a call.
        """
        path = self.probability_file(image)
        try:
            with np.load(path, allow_pickle=False) as archive:
                probabilities = archive["prob"]
        except (OSError, KeyError, ValueError, BadZipFile) as error:
            raise DatasetError(f"{path}: no readable array 'prob': {error}") from error
        return probabilities[: len(self.ontology)].astype(np.float32) / 255.0

    def _check_classes(self) -> None:
        """Raises DatasetError if the folder tells of other classes than the ontology's."""
        path = self._root / ONTOLOGY_FILE
        if path.exists() and load_ontology(path).classes != self.ontology.classes:
            raise DatasetError(
                f"{path}: the maps' classes are not those of '{self.ontology.name}', which the "
                f"config names; say teacher.ontology={path}, and a mapping of these classes"
            )

    def _path(self, image: Path, suffix: str) -> Path:
        relative = path_below(image, self._images_root)
        path = self._root / relative.with_suffix(suffix)
        if path.exists():
            return path
        if suffix == PROBABILITIES and (self._root / relative.with_suffix(LABELS)).exists():
            raise DatasetError(
                f"{path}: the teacher has labels of {image}, but not the probabilities of all "
                "classes that are asked for here; 'teacher-maps' writes both"
            )
        raise DatasetError(f"{path}: the teacher has no map for {image}; run it on that image")


def write_teacher_maps(maps: CompleteMaps, root: str | Path, relative_image_path: Path) -> None:
    """Writes a teacher's maps of one image where PrecomputedTeacher looks for them.

    Args:
        maps: the maps; probabilities and confidence are rounded to 1 / 255.
        root: the teacher's folder.
        relative_image_path: the image's path below the folder of the images.

    Raises:
        DatasetError: the path leads out of the teacher's folder, or a file cannot be written.
    """
    if relative_image_path.is_absolute() or ".." in relative_image_path.parts:
        raise DatasetError(f"{relative_image_path}: not a path below the folder of the images")
    path = Path(root) / relative_image_path
    archive = io.BytesIO()
    np.savez_compressed(archive, prob=_to_bytes(maps.probabilities))
    files = {
        LABELS: _encode_png(maps.labels),
        CONFIDENCE: _encode_png(_to_bytes(maps.confidence)),
        PROBABILITIES: archive.getvalue(),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for suffix, content in files.items():
            write_whole(path.with_suffix(suffix), content)
    except OSError as error:
        raise DatasetError(f"{path}: its teacher maps cannot be written: {error}") from error


def _to_bytes(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.round(255 * np.clip(values, 0, 1)).astype(np.uint8)


def _encode_png(values: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, "PNG")
    return stream.getvalue()


def _read_bytes(path: Path, modes: tuple[str, ...]) -> NDArray[np.uint8]:
    try:
        with Image.open(path) as image:
            if image.mode not in modes:
                raise DatasetError(
                    f"{path}: is of Pillow's mode '{image.mode}'; needs 8 bits a pixel and one "
                    f"channel ({' or '.join(modes)})"
                )
            return np.array(image)
    except (OSError, SyntaxError, ValueError) as error:  # Pillow raises all three
        raise DatasetError(f"{path}: cannot be read: {error}") from error
