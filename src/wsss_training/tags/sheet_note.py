"""Where a scene's picture is, and the note in it that says which classes and labels it shows."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from PIL import Image

from wsss_perception.ontology import Ontology

_KEY = "contact_sheet"  # of the JPEG's comment, which is JSON


@dataclass(frozen=True)
class SheetNote:
    """What a scene's picture shows beside the scene.

    Attributes:
        ontology: name of the one whose classes are listed; None where none are.
        classes: names of the listed classes, in the order of their numbers.
        labels: whether labels were drawn where there are some.
    """

    ontology: str | None
    classes: tuple[str, ...]
    labels: bool

    def encode(self) -> bytes:
        """Returns the note as a JPEG's comment; inverse of ``read_note``."""
        return json.dumps({_KEY: asdict(self)}).encode()


def note_of(ontology: Ontology | None, labels: bool) -> SheetNote:
    """Makes the note of a picture that lists an ontology's classes, if one is given."""
    if ontology is None:
        return SheetNote(None, (), labels)
    return SheetNote(ontology.name, ontology.classes, labels)


def read_note(path: Path) -> SheetNote | None:
    """Reads a picture's note; None where there is none, or no picture."""
    try:
        with Image.open(path) as picture:
            entry = json.loads(picture.info["comment"])[_KEY]
        return SheetNote(entry["ontology"], tuple(entry["classes"]), entry["labels"])
    except (OSError, ValueError, KeyError, TypeError, Image.DecompressionBombError):
        return None


def sheet_path(folder: str | Path, scene: str) -> Path:
    """Returns where a scene's picture is."""
    return Path(folder) / f"{scene}.jpg"


def has_other_classes(path: Path, ontology: Ontology) -> bool:
    """Tells whether a picture numbers other classes than an ontology's."""
    note = read_note(path)
    return note is not None and bool(note.classes) and note.classes != ontology.classes


def describe_sheet(path: Path, ontology: Ontology) -> str:
    """Names a picture, and what to beware of where classes of an ontology are tagged from it."""
    note = read_note(path)
    if not path.exists():
        return f"{path} (not drawn yet: contact-sheet)"
    if note is None:
        return f"{path} (not drawn by contact-sheet: its numbers may be of other classes)"
    if has_other_classes(path, ontology):
        return f"{path} (numbers other classes, of ontology '{note.ontology}')"
    warnings = []
    if not note.classes:
        warnings.append("lists no classes")
    if note.labels:
        warnings.append("may show labels")
    return f"{path} ({', '.join(warnings)})" if warnings else str(path)
