"""Scene tags and their file.

A YAML file::

    schema: 1
    ontology: semantic_kitti     # a shipped ontology, or the path of a file, relative to this one
    scenes:
      "00": [car, road, building]
      "01": []                   # looked at: none of the classes; a scene left out is untagged

or a CSV file with one scene a line, ``scene, class, class...``, after a line
``ontology, semantic_kitti``.
"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsss_perception.errors import TagsError
from wsss_perception.ontology import Ontology
from wsss_training.tags.tags_file import (
    TagsFile,
    load_ontology_of,
    read_tags_file,
    write_tags_file,
)


@dataclass(frozen=True)
class SceneTags:
    """Which classes occur in each scene.

    Attributes:
        ontology: of the classes.
        classes: names of the classes by scene; a scene that is not in it is untagged.
    """

    ontology: Ontology
    classes: dict[str, frozenset[str]]

    def vector(self, scene: str) -> NDArray[np.bool_] | None:
        """Returns which classes occur in a scene, bool [C]; None for an untagged one."""
        if scene not in self.classes:
            return None
        return np.array([name in self.classes[scene] for name in self.ontology.classes])


@dataclass(frozen=True)
class UnknownName:
    """A name in a scene's tags that is no class.

    Attributes:
        scene: where it stands.
        name: as it is written.
        nearest: the class that it resembles; None if none does.
    """

    scene: str
    name: str
    nearest: str | None


def read_tags(path: str | Path) -> SceneTags:
    """Reads a file of tags, YAML or by its ending CSV.

    Raises:
        TagsError: the file cannot be read, does not fit the schema, or has an unknown class or a
            scene twice; the message names scene, class and the nearest valid name.
    """
    file = read_tags_file(path)
    ontology = load_ontology_of(path, file.ontology)
    unknown = unknown_names(file, ontology)
    if unknown:
        first = unknown[0]
        hint = f"did you mean '{first.nearest}'?"
        if first.nearest is None:
            hint = f"known: {', '.join(ontology.classes)}"
        more = f" ({len(unknown) - 1} more unknown names: see 'check-tags')" * (len(unknown) > 1)
        raise TagsError(
            f"{path}: scene '{first.scene}': ontology '{ontology.name}' has no class "
            f"'{first.name}'; {hint}{more}"
        )
    return SceneTags(ontology, {scene: frozenset(names) for scene, names in file.scenes.items()})


def write_tags(path: str | Path, tags: SceneTags, ontology: str) -> None:
    """Writes a file of tags, whole or not at all; scenes and classes in the order they have.

    Args:
        path: ending in .yaml, .yml or .csv.
        tags: the tags.
        ontology: its name or path, as the file shall say it.

    Raises:
        TagsError: the file cannot be written, or a class is not of the ontology.
    """
    for scene, names in tags.classes.items():
        strange = sorted(names.difference(tags.ontology.classes))
        if strange:
            raise TagsError(
                f"{path}: scene '{scene}': ontology '{tags.ontology.name}' has no class "
                f"'{strange[0]}'"
            )
    scenes = {
        scene: tuple(name for name in tags.ontology.classes if name in names)
        for scene, names in tags.classes.items()
    }
    write_tags_file(path, TagsFile(ontology, scenes))


def unknown_names(file: TagsFile, ontology: Ontology) -> list[UnknownName]:
    """Lists all names of a file that are not classes of an ontology."""
    known = frozenset(ontology.classes)
    return [
        UnknownName(scene, name, nearest_name(name, ontology.classes))
        for scene, names in file.scenes.items()
        for name in names
        if name not in known
    ]


def nearest_name(name: str, names: Iterable[str]) -> str | None:
    """Finds the name that another one resembles; None if none does."""
    by_key = {fold_name(known): known for known in names}
    near = difflib.get_close_matches(fold_name(name), by_key, n=1)
    return by_key[near[0]] if near else None


def fold_name(name: str) -> str:
    """Folds what people mix up: upper and lower case; blanks, underscores and hyphens."""
    return name.casefold().replace(" ", "-").replace("_", "-")
