"""What to ask a vision-language model for: phrases of classes, and their embeddings.

A YAML file says it, every key optional::

    classes: {car: [car, van], person: [person, pedestrian]}   # synonyms; the nearest one counts
    templates: ["a photo of a {}."]                            # averaged
    background: [sky, ego vehicle]                             # what is no class, but is seen

Classes that it does not list, and all without a file, go by their own names.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from wsss_perception.errors import ConfigError
from wsss_perception.ontology import Ontology
from wsss_perception.text_tower import TEMPLATES
from wsss_perception.texts import BACKGROUND, TextEmbeddings
from wsss_training.tags.scene_tags import nearest_name

_KEYS = ("classes", "templates", "background")


@dataclass(frozen=True)
class Prompts:
    """What to ask for.

    Attributes:
        classes: phrases of each class, by its name.
        background: phrases of what is no class.
        templates: sentences with ``{}`` where the phrase goes; their embeddings are averaged.
    """

    classes: dict[str, tuple[str, ...]]
    background: tuple[str, ...] = ()
    templates: tuple[str, ...] = field(default=TEMPLATES)


def readable(name: str) -> str:
    """Writes a class name as words: ``traffic-sign`` as ``traffic sign``."""
    return " ".join(name.replace("_", " ").replace("-", " ").split())


def prompts_of(ontology: Ontology) -> Prompts:
    """Asks for the classes of an ontology by their names."""
    return Prompts({name: (readable(name),) for name in ontology.classes})


def load_prompts(path: str | Path, ontology: Ontology | None) -> Prompts:
    """Reads prompts from a YAML file.

    Args:
        path: the file.
        ontology: the classes; None takes those of the file.

    Raises:
        ConfigError: the file cannot be read, does not fit, or names what is no class.
    """
    try:
        data = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: prompts cannot be read: {error}") from error
    if not isinstance(data, dict) or not isinstance(data.get("classes", {}), dict):
        raise ConfigError(f"{path}: needs 'classes: {{car: [car, van], ...}}'")
    strange = [str(key) for key in data if key not in _KEYS]
    if strange:
        raise ConfigError(f"{path}: '{strange[0]}' is not known; known are {', '.join(_KEYS)}")
    asked = {
        str(name): _phrases(phrases, f"{path}: class '{name}'")
        for name, phrases in data.get("classes", {}).items()
    }
    templates = _phrases(data.get("templates", list(TEMPLATES)), f"{path}: 'templates'")
    for template in templates:
        if template.count("{}") != 1:
            raise ConfigError(f"{path}: template '{template}' needs '{{}}' once, for the phrase")
    background = data.get("background")
    if not asked and not background and ontology is None:
        raise ConfigError(f"{path}: asks for nothing; it needs 'classes', or give an ontology")
    return Prompts(
        asked if ontology is None else _of_ontology(asked, ontology, str(path)),
        () if background is None else _phrases(background, f"{path}: 'background'"),
        templates,
    )


def embed_prompts(
    prompts: Prompts, encode: Callable[[Sequence[str]], NDArray[np.float32]], teacher: str
) -> TextEmbeddings:
    """Embeds phrases, each as the mean of its templates' embeddings, scaled to length 1.

    Args:
        prompts: what to ask for.
        encode: from sentences to rows of length 1 [n, D].
        teacher: description of the model that ``encode`` is of.

    Returns:
        A row for each phrase under its class's name, then those of the background, whose names are
        ``background:<phrase>``.
    """
    asked = [(name, phrase) for name, phrases in prompts.classes.items() for phrase in phrases]
    asked += [(f"{BACKGROUND}{phrase}", phrase) for phrase in prompts.background]
    sentences = [
        template.replace("{}", phrase) for _, phrase in asked for template in prompts.templates
    ]
    rows = encode(sentences).reshape(len(asked), len(prompts.templates), -1).mean(axis=1)
    vectors = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    names = tuple(name for name, _ in asked)
    return TextEmbeddings(names, vectors.astype(np.float32), teacher)


def _of_ontology(
    asked: dict[str, tuple[str, ...]], ontology: Ontology, where: str
) -> dict[str, tuple[str, ...]]:
    """All classes of an ontology, those that nothing is said of by their names."""
    for name in asked:
        if name not in ontology.classes:
            near = nearest_name(name, ontology.classes)
            hint = f"did you mean '{near}'?" if near else f"known: {', '.join(ontology.classes)}"
            raise ConfigError(f"{where}: '{ontology.name}' has no class '{name}'; {hint}")
    return {name: asked.get(name, (readable(name),)) for name in ontology.classes}


def _phrases(value: Any, where: str) -> tuple[str, ...]:
    """Reads a list of texts, or a single one."""
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(entry, str) and entry.strip() for entry in values):
        raise ConfigError(f"{where}: needs a list of texts such as [car, van], not {value!r}")
    return tuple(values)
