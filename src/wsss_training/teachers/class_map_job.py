"""Writes a teacher's class maps of many images, as ``teachers.precomputed`` reads them."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from wsss_perception.errors import DatasetError
from wsss_perception.ontology import Ontology
from wsss_training.files import write_whole
from wsss_training.processes import place, wait_for_all
from wsss_training.teachers.class_maps import class_maps
from wsss_training.teachers.images import ImageFile
from wsss_training.teachers.precomputed import ONTOLOGY_FILE, SUFFIXES, write_teacher_maps

INFO_FILE = "teacher.yaml"
MAPPING_FILE = "mapping.yaml"
"""Those classes to themselves, for the ``teacher.mapping`` of a model of the same classes."""

Answers = Callable[[Sequence[ImageFile]], Iterator[NDArray[np.float32]]]
"""Tells the probabilities [C, h, w] of each image, in their order."""


def write_class_maps(
    answers: Answers,
    teacher: dict[str, Any],
    ontology: Ontology,
    images: Sequence[ImageFile],
    root: Path,
) -> None:
    """Writes maps of images, each process its share of them, and returns when all are there.

    Images whose maps are there are left out, so that what was killed goes on.

    Args:
        answers: of the teacher.
        teacher: what tells it from others.
        ontology: its classes.
        images: the images.
        root: the folder of the maps; made if absent.

    Raises:
        DatasetError: the folder has maps of another teacher, or cannot be written to.
        WsssError: the teacher fails, or an image cannot be read.
    """
    here = place()
    if here.is_first:
        _claim(root, {"schema": 1, "teacher": teacher}, ontology)
    wait_for_all()
    mine = [image for image in here.share(images) if not _is_there(root, image)]
    for image, answer in here.tracked(zip(mine, answers(mine), strict=True), "images", len(mine)):
        if not np.isfinite(answer).all():
            raise DatasetError(
                f"{image.path}: the teacher gives values for it that are not finite; a model in "
                "half precision may not reach so far"
            )
        write_teacher_maps(class_maps(answer, image.size), root, image.relative)
    wait_for_all()
    here.say(f"maps of {len(images):,d} images: {root}; its classes: {root / ONTOLOGY_FILE}")


def _claim(root: Path, info: dict[str, Any], ontology: Ontology) -> None:
    """Makes the folder, or checks that it is of the same teacher."""
    path = root / INFO_FILE
    text = yaml.safe_dump({**info, "classes": list(ontology.classes)}, sort_keys=False)
    try:
        if path.exists() and path.read_text(encoding="utf-8") != text:
            raise DatasetError(
                f"{root}: has maps of another teacher or of other settings; remove it to make it "
                "anew, or choose another folder"
            )
        root.mkdir(parents=True, exist_ok=True)
        classes = yaml.safe_dump(ontology.to_dict(), sort_keys=False)
        write_whole(root / ONTOLOGY_FILE, classes.encode())
        same = {name: name for name in ontology.classes}
        mapping = {"source": ontology.name, "target": ontology.name, "map": same}
        write_whole(root / MAPPING_FILE, yaml.safe_dump(mapping, sort_keys=False).encode())
        write_whole(path, text.encode())
    except OSError as error:
        raise DatasetError(f"{root}: maps cannot be written: {error.strerror}") from error


def _is_there(root: Path, image: ImageFile) -> bool:
    path = root / image.relative
    return all(path.with_suffix(suffix).exists() for suffix in SUFFIXES)
