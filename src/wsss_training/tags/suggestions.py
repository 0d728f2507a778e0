"""Suggested scene tags on disk: an ordinary file of tags, and beside it how sure they are.

Beside ``suggested.yaml`` lies ``suggested.confidence.csv``: a line ``scene,<class>,<class>...``
and then one a scene, with a confidence 0..1 for each class, suggested or not.
"""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wsss_perception.errors import TagsError
from wsss_training.files import write_whole
from wsss_training.tags.scene_tags import SceneTags, read_tags, write_tags

Confidences = Mapping[str, Mapping[str, float]]
"""Of each class, by scene."""

_DOUBTFUL = 0.25
"""Least confidence of a class that is shown although it is not suggested."""


@dataclass(frozen=True)
class Suggestions:
    """Tags that somebody should look at.

    Attributes:
        tags: what is suggested.
        confidence: how sure it is; of classes that are not suggested too.
    """

    tags: SceneTags
    confidence: Confidences

    def line(self, scene: str) -> str:
        """Says what is suggested for a scene, and what is doubtful, the surest first."""
        suggested = self.tags.classes[scene]
        sure = self.confidence.get(scene, {})
        names = sorted(self.tags.ontology.classes, key=lambda name: -sure.get(name, 0))
        told = [f"{name} {sure[name]:.2f}" if name in sure else name for name in names]
        taken = [text for name, text in zip(names, told, strict=True) if name in suggested]
        doubtful = [
            text
            for name, text in zip(names, told, strict=True)
            if name not in suggested and sure.get(name, 0) >= _DOUBTFUL
        ]
        rest = f"; doubtful: {', '.join(doubtful)}" if doubtful else ""
        return f"suggested: {', '.join(taken) or 'none of the classes'}{rest}"


def confidence_path(path: Path) -> Path:
    """The file of confidences beside a file of suggested tags."""
    return path.with_suffix(".confidence.csv")


def write_suggestions(path: Path, suggestions: Suggestions, ontology: str) -> None:
    """Writes suggested tags and their confidences.

    Args:
        path: of the tags: .yaml, .yml or .csv.
        suggestions: what is suggested.
        ontology: as for ``write_tags``.

    Raises:
        TagsError: a file cannot be written.
    """
    classes = suggestions.tags.ontology.classes
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["scene", *classes])
    for scene, sure in suggestions.confidence.items():
        writer.writerow([scene, *(f"{sure[name]:.3f}" for name in classes)])
    write_tags(path, suggestions.tags, ontology)
    try:
        write_whole(confidence_path(path), buffer.getvalue().encode())
    except OSError as error:
        raise TagsError(f"{confidence_path(path)}: cannot be written: {error.strerror}") from error


def read_suggestions(path: Path) -> Suggestions:
    """Reads suggested tags; any file of tags will do, with or without confidences.

    Raises:
        TagsError: a file cannot be read or is damaged.
    """
    tags, beside = read_tags(path), confidence_path(path)
    if not beside.exists():
        return Suggestions(tags, {})
    try:
        head, *rows = csv.reader(io.StringIO(beside.read_text(encoding="utf-8"), newline=""))
        if tuple(head[1:]) != tags.ontology.classes:
            raise ValueError(f"its classes are not those of '{tags.ontology.name}'")
        confidence = {row[0]: dict(zip(head[1:], map(float, row[1:]), strict=True)) for row in rows}
    except (OSError, ValueError, IndexError, csv.Error) as error:
        raise TagsError(
            f"{beside}: confidences cannot be read ({error}); remove the file to go on without"
        ) from error
    return Suggestions(tags, confidence)
