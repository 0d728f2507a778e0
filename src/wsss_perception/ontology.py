"""Classes of a dataset: their names, colours and raw ids; and mappings between ontologies.

Both are YAML files. The package ships ``semantic_kitti``, ``semantic_kitti_moving``,
``nuscenes``, ``scannet``, ``s3dis`` and ``cityscapes``; a path to a file of one's own works
wherever a name does.
"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import ArrayLike, NDArray

from wsss_perception.errors import OntologyError
from wsss_perception.frame import UNKNOWN

UNKNOWN_COLOR = (90, 90, 90)


@dataclass(frozen=True)
class Ontology:
    """The classes of a task.

    Attributes:
        name: the ontology's name.
        classes: class names; a label is an index into them.
        colors: RGB 0..255 of each class.
        raw_ids: for each class the dataset's own ids; the first is the one written to files.
        ignored_raw_ids: ids that carry no class (unlabelled, outlier...).
        ground: names of the classes that one can stand on: road, sidewalk, terrain, floor...

    Raises:
        OntologyError: duplicate names or ids, bad colours, more than 254 classes, or ground that
            is no class.
    """

    name: str
    classes: tuple[str, ...]
    colors: tuple[tuple[int, int, int], ...]
    raw_ids: tuple[tuple[int, ...], ...]
    ignored_raw_ids: tuple[int, ...] = (0,)
    ground: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        where = f"ontology '{self.name}'"
        if not 0 < len(self.classes) < UNKNOWN:
            raise OntologyError(f"{where}: needs 1 to {UNKNOWN - 1} classes")
        if len(set(self.classes)) != len(self.classes):
            raise OntologyError(f"{where}: class names are not unique: {self.classes}")
        if not len(self.colors) == len(self.raw_ids) == len(self.classes):
            raise OntologyError(f"{where}: every class needs a color and raw ids")
        for name, color in zip(self.classes, self.colors, strict=True):
            if len(color) != 3 or not all(0 <= value <= 255 for value in color):
                raise OntologyError(f"{where}: color of '{name}' is not RGB 0..255: {color}")
        ids = [*(i for ids in self.raw_ids for i in ids), *self.ignored_raw_ids]
        if len(set(ids)) != len(ids) or any(not 0 <= i < 65536 for i in ids):
            raise OntologyError(f"{where}: raw ids must be unique and in 0..65535")
        for name in self.ground:
            self.index(name)

    def __len__(self) -> int:
        return len(self.classes)

    def index(self, name: str) -> int:
        """Returns the label of a class name.

        Raises:
            OntologyError: no such class; the message names the nearest one.
        """
        if name not in self.classes:
            near = difflib.get_close_matches(name, self.classes, n=1)
            hint = f"; did you mean '{near[0]}'?" if near else f"; known: {list(self.classes)}"
            raise OntologyError(f"ontology '{self.name}' has no class '{name}'{hint}")
        return self.classes.index(name)

    def palette(self) -> NDArray[np.uint8]:
        """Returns RGB colours [256, 3] indexed by label; labels without a class are grey."""
        palette = np.full((256, 3), UNKNOWN_COLOR, dtype=np.uint8)
        palette[: len(self)] = self.colors
        return palette

    def labels_from_raw(self, raw: ArrayLike, where: str = "labels") -> NDArray[np.uint8]:
        """Maps a dataset's raw ids (any shape) to labels, ignored ids to UNKNOWN.

        Raises:
            OntologyError: an id that the ontology does not list; ``where`` names the source.
        """
        table = np.full(65536, -1, dtype=np.int16)
        table[list(self.ignored_raw_ids)] = UNKNOWN
        for label, ids in enumerate(self.raw_ids):
            table[list(ids)] = label
        values = np.asarray(raw).astype(np.int64)
        in_table = (values >= 0) & (values < len(table))
        labels = np.where(in_table, table[np.where(in_table, values, 0)], -1)
        if (labels < 0).any():
            strange = np.unique(values[labels < 0])[:8].tolist()
            raise OntologyError(f"{where}: ids {strange} are not in ontology '{self.name}'")
        return labels.astype(np.uint8)

    def raw_from_labels(self, labels: NDArray[np.uint8]) -> NDArray[np.uint16]:
        """Maps labels (any shape) to the dataset's raw ids; UNKNOWN to the first ignored id."""
        table = np.full(256, (*self.ignored_raw_ids, 0)[0], dtype=np.uint16)
        table[: len(self)] = [ids[0] for ids in self.raw_ids]
        return table[labels]

    def to_dict(self) -> dict[str, Any]:
        """Returns the ontology in the schema of its YAML file."""
        rows = zip(self.classes, self.colors, self.raw_ids, strict=True)
        return {
            "name": self.name,
            "classes": [{"name": n, "color": list(c), "raw": list(r)} for n, c, r in rows],
            "ignored": list(self.ignored_raw_ids),
            "ground": list(self.ground),
        }


def ontology_from_dict(data: Any, where: str) -> Ontology:
    """Reads an ontology from the schema of its YAML file; ``where`` names it in errors.

    Raises:
        OntologyError: the data do not fit the schema.
    """
    try:
        classes = data["classes"]
        return Ontology(
            name=str(data["name"]),
            classes=tuple(str(entry["name"]) for entry in classes),
            colors=tuple(_integers(entry["color"]) for entry in classes),  # type: ignore[misc]
            raw_ids=tuple(_integers(entry["raw"]) for entry in classes),
            ignored_raw_ids=_integers(data["ignored"]),
            ground=tuple(str(entry) for entry in data.get("ground", ())),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise OntologyError(
            f"{where}: not an ontology ({type(error).__name__}: {error}); needs 'name', "
            "'ignored' and 'classes', each class with 'name', 'color' and 'raw'"
        ) from error


def load_ontology(name_or_path: str | Path) -> Ontology:
    """Loads a shipped ontology by name, or one from a YAML file.

    Raises:
        OntologyError: no such ontology, or a file that does not fit the schema.
    """
    data, where = _load_yaml(name_or_path, "ontologies")
    return ontology_from_dict(data, where)


@lru_cache
def ground_classes(ontology: Ontology) -> tuple[str, ...]:
    """Returns the names of the classes that are ground; none where nobody says.

    A bundle written before ontologies named their ground has that of the shipped ontology of the
    same name and classes.
    """
    folder = resources.files("wsss_perception") / "ontologies"
    if ontology.ground or f"{ontology.name}.yaml" not in [entry.name for entry in folder.iterdir()]:
        return ontology.ground
    shipped = load_ontology(ontology.name)
    return shipped.ground if shipped.classes == ontology.classes else ()


def load_mapping(name_or_path: str | Path, source: Ontology, target: Ontology) -> NDArray[np.uint8]:
    """Loads how classes of one ontology map to those of another.

    The file names ``source``, ``target`` and a ``map`` that lists every source class with the
    target class it means, or null where the target has none.

    Returns:
        Lookup table uint8 [256] from source to target labels; UNKNOWN where unmapped.

    Raises:
        OntologyError: the file is for other ontologies, or a class is missing or unknown.
    """
    data, where = _load_yaml(name_or_path, "mappings")
    if not isinstance(data, dict) or not isinstance(data.get("map"), dict):
        raise OntologyError(f"{where}: not a mapping; needs 'source', 'target' and 'map'")
    if (data.get("source"), data.get("target")) != (source.name, target.name):
        raise OntologyError(
            f"{where}: maps {data.get('source')} to {data.get('target')}, "
            f"not {source.name} to {target.name}"
        )
    missing = [name for name in source.classes if name not in data["map"]]
    strange = [name for name in data["map"] if name not in source.classes]
    if missing:
        others = f"; no classes of it: {strange}" if strange else ""
        raise OntologyError(f"{where}: classes of '{source.name}' left out: {missing}{others}")
    table = np.full(256, UNKNOWN, dtype=np.uint8)
    for name, meaning in data["map"].items():
        try:
            label = source.index(str(name))
            if meaning is not None:
                table[label] = target.index(str(meaning))
        except OntologyError as error:
            raise OntologyError(f"{where}: {error}") from error
    return table


def _integers(values: Iterable[Any]) -> tuple[int, ...]:
    return tuple(int(value) for value in values)


def _load_yaml(name_or_path: str | Path, folder: str) -> tuple[Any, str]:
    shipped = resources.files("wsss_perception") / folder
    is_path = Path(name_or_path).suffix in (".yaml", ".yml")
    source = Path(name_or_path) if is_path else shipped / f"{name_or_path}.yaml"
    try:
        return yaml.safe_load(source.read_text(encoding="utf-8")), str(source)
    except FileNotFoundError:
        if is_path:
            raise OntologyError(f"{name_or_path}: no such file") from None
        names = sorted(entry.name[:-5] for entry in shipped.iterdir())
        raise OntologyError(
            f"no file '{name_or_path}' in {folder}; shipped: {', '.join(names)}; "
            "a file of your own is given by its path, ending in .yaml"
        ) from None
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise OntologyError(f"{source}: not readable YAML: {error}") from error
