"""Files of scene tags as they are written: their syntax, not yet what their classes mean."""

import csv
import io
import json
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml

from wsss_perception.errors import OntologyError, TagsError
from wsss_perception.ontology import Ontology, load_ontology
from wsss_training.files import write_whole

SCHEMA = 1

_YAML_ENDINGS = (".yaml", ".yml")
_ENDINGS = (*_YAML_ENDINGS, ".csv")
_TEXT_TAG = "tag:yaml.org,2002:str"
_NULL_TAG = "tag:yaml.org,2002:null"


@dataclass(frozen=True)
class TagsFile:
    """What a file of tags says.

    Attributes:
        ontology: name or path of the ontology, as in the file; a path is relative to the file.
        scenes: names of classes, known or not, by scene.
    """

    ontology: str
    scenes: dict[str, tuple[str, ...]]


def read_tags_file(path: str | Path) -> TagsFile:
    """Reads a file of tags, YAML or by its ending CSV, without looking up its classes.

    Raises:
        TagsError: the file cannot be read, does not fit the schema, or has a scene twice.
    """
    path = Path(path)
    _check_ending(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise TagsError(f"{path}: tags cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise TagsError(f"{path}: is not UTF-8 text ({error}); save it as UTF-8") from error
    return _parse_yaml(text, path) if path.suffix in _YAML_ENDINGS else _parse_csv(text, path)


def write_tags_file(path: str | Path, file: TagsFile) -> None:
    """Writes a file of tags, whole or not at all.

    Raises:
        TagsError: the file cannot be written, or a name cannot stand in it.
    """
    path = Path(path)
    _check_ending(path)
    for name in (
        file.ontology,
        *file.scenes,
        *(c for names in file.scenes.values() for c in names),
    ):
        _check_name(name, str(path))
    text = _format_yaml(file) if path.suffix in _YAML_ENDINGS else _format_csv(file)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text.encode())
    except OSError as error:
        raise TagsError(f"{path}: tags cannot be written: {error.strerror or error}") from error


def check_new_file(path: str | Path) -> None:
    """Checks that a file of tags can be written without losing another one.

    Raises:
        TagsError: it exists, or its ending is of another kind of file.
    """
    _check_ending(Path(path))
    if Path(path).exists():
        raise TagsError(f"{path}: exists already; remove it, or choose another name")


def load_ontology_of(path: str | Path, reference: str) -> Ontology:
    """Loads the ontology that a file of tags refers to.

    Args:
        path: of the file of tags.
        reference: as in the file.

    Raises:
        TagsError: there is no such ontology, or it is damaged.
    """
    is_path = Path(reference).suffix in _YAML_ENDINGS
    try:
        return load_ontology(Path(path).parent / reference if is_path else reference)
    except OntologyError as error:
        raise TagsError(f"{path}: {error}") from error


def refer_to_ontology(path: str | Path, name_or_path: str | Path) -> str:
    """Returns how a file of tags refers to an ontology; inverse of ``load_ontology_of``.

    Args:
        path: of the file of tags.
        name_or_path: a shipped ontology, or the path of a file as seen from here.
    """
    if Path(name_or_path).suffix not in _YAML_ENDINGS:
        return str(name_or_path)
    return Path(os.path.relpath(name_or_path, Path(path).parent)).as_posix()


def _check_ending(path: Path) -> None:
    if path.suffix not in _ENDINGS:
        raise TagsError(f"{path}: a file of tags ends in {', '.join(_ENDINGS)}")


def _check_name(name: str, where: str) -> str:
    if not name or name != name.strip() or not name.isprintable():
        raise TagsError(
            f"{where}: {name!r} cannot be a name; it needs printable characters, and no space "
            "before or after"
        )
    return name


def _parse_yaml(text: str, path: Path) -> TagsFile:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    # the last three are what its scanner lets through on damaged escapes and deep nesting
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        raise TagsError(f"{path}: not readable YAML: {' '.join(str(error).split())}") from error
    parts = _entries(root, path, "'schema', 'ontology' and 'scenes'")
    strange = [name for name in parts if name not in ("schema", "ontology", "scenes")]
    missing = [name for name in ("schema", "ontology", "scenes") if name not in parts]
    if strange or missing:
        problem = f"has no '{missing[0]}'" if missing else f"'{strange[0]}' is not known"
        raise TagsError(f"{path}: {problem}; it needs 'schema: {SCHEMA}', 'ontology' and 'scenes'")
    if parts["schema"].value != str(SCHEMA):
        raise TagsError(f"{_place(parts['schema'], path)}: only 'schema: {SCHEMA}' is known here")
    scenes = _entries(parts["scenes"], path, "a line 'scene: [class, class]' per scene")
    return TagsFile(
        _text(parts["ontology"], path),
        {scene: _names(node, path, scene) for scene, node in scenes.items()},
    )


def _entries(node: yaml.Node | None, path: Path, needed: str) -> dict[str, yaml.Node]:
    """Returns a mapping's values by their keys, which are text, each once."""
    if not isinstance(node, yaml.MappingNode):
        raise TagsError(f"{_place(node, path)}: {needed} must stand here")
    entries: dict[str, yaml.Node] = {}
    for key, value in node.value:
        name = _text(key, path)
        if name in entries:
            raise TagsError(f"{_place(key, path)}: '{name}' stands here a second time; keep one")
        entries[name] = value
    return entries


def _names(node: yaml.Node, path: Path, scene: str) -> tuple[str, ...]:
    if not isinstance(node, yaml.SequenceNode):
        raise TagsError(
            f"{_place(node, path)}: scene '{scene}' needs a list such as [car, road], or [] where "
            "none of the classes occurs; leave the scene out if nobody has looked at it"
        )
    return tuple(_text(entry, path) for entry in node.value)


def _text(node: yaml.Node, path: Path) -> str:
    if not isinstance(node, yaml.ScalarNode) or node.tag == _NULL_TAG:
        raise TagsError(f"{_place(node, path)}: a name must stand here")
    if node.tag != _TEXT_TAG:  # such as 00, which YAML reads as the number 0
        raise TagsError(
            f'{_place(node, path)}: {node.value} is no text in YAML; quote it: "{node.value}"'
        )
    return _check_name(node.value, _place(node, path))


def _place(node: yaml.Node | None, path: Path) -> str:
    return str(path) if node is None else f"{path}: line {node.start_mark.line + 1}"


def _format_yaml(file: TagsFile) -> str:
    lines = [f"schema: {SCHEMA}", f"ontology: {_scalar(file.ontology)}"]
    lines.append("scenes:" if file.scenes else "scenes: {}")
    for scene, names in file.scenes.items():
        quoted = json.dumps(scene, ensure_ascii=False)  # for printable text YAML's quotes, too
        lines.append(f"  {quoted}: [{', '.join(map(_scalar, names))}]")
    return "\n".join(lines) + "\n"


@lru_cache(maxsize=1024)
def _scalar(name: str) -> str:
    """Writes a name as it may stand in a list, quoted where it needs it."""
    text = yaml.safe_dump([name], default_flow_style=True, allow_unicode=True, width=2**20)
    return text.removeprefix("[").removesuffix("]\n")


def _parse_csv(text: str, path: Path) -> TagsFile:
    reader = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True, strict=True)
    ontology: str | None = None
    scenes: dict[str, tuple[str, ...]] = {}
    try:
        for row in reader:
            where = f"{path}: line {reader.line_num}"
            names = [name for name in map(str.strip, row) if name]
            if not names:
                continue
            for name in names:
                _check_name(name, where)
            if ontology is None:
                if names[0] != "ontology" or len(names) != 2:
                    raise TagsError(f"{where}: the first line must be 'ontology, <its name>'")
                ontology = names[1]
                continue
            if not row[0].strip():
                raise TagsError(f"{where}: the scene is missing; a line is 'scene, class, class'")
            if names[0] in scenes:
                raise TagsError(f"{where}: '{names[0]}' stands here a second time; keep one")
            scenes[names[0]] = tuple(names[1:])
    except csv.Error as error:
        raise TagsError(f"{path}: line {reader.line_num}: not readable CSV: {error}") from error
    if ontology is None:
        raise TagsError(f"{path}: is empty; the first line must be 'ontology, <its name>'")
    return TagsFile(ontology, scenes)


def _format_csv(file: TagsFile) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["ontology", file.ontology])
    writer.writerows([scene, *names] for scene, names in file.scenes.items())
    return buffer.getvalue()
