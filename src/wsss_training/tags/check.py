"""What is wrong with a file of tags, and what it can teach."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsss_perception.ontology import Ontology
from wsss_training.tags.scene_tags import UnknownName, nearest_name, unknown_names
from wsss_training.tags.tags_file import TagsFile

_SHOWN = 12  # scenes that the text names; JSON has all
_MAX_COMPARED = 100_000  # pairs of scene names, each of which takes some 20 us


@dataclass(frozen=True)
class ForeignScene:
    """A tagged scene that the dataset lacks.

    Attributes:
        scene: as it is written.
        nearest: the dataset's scene that it resembles; None if none does.
        nearest_is_tagged: whether that one has tags of its own.
    """

    scene: str
    nearest: str | None
    nearest_is_tagged: bool


@dataclass(frozen=True)
class TagsReport:
    """Findings on a file of tags.

    Attributes:
        classes: of the ontology.
        scenes: number of tagged scenes.
        unknown: names that are no classes.
        untagged: scenes of the dataset without tags; None without a dataset.
        foreign: tagged scenes that the dataset lacks; None without a dataset.
        shared: number of tagged scenes that the dataset has; None without a dataset.
        never: classes that no scene is tagged with.
        always: classes that every scene is tagged with: their tags tell nothing.
        together: int64 [C, C], number of scenes tagged with both classes; with one on the diagonal.
        alike: groups of classes that are tagged in the same scenes: tags cannot tell them apart.
        implied: for a class the others that occur in all its scenes, and in more. Neither this
            nor ``alike`` has classes of ``never`` and ``always``.
    """

    classes: tuple[str, ...]
    scenes: int
    unknown: list[UnknownName]
    untagged: list[str] | None
    foreign: list[ForeignScene] | None
    shared: int | None
    never: list[str]
    always: list[str]
    together: NDArray[np.int64]
    alike: list[list[str]]
    implied: dict[str, list[str]]

    def must_mend(self) -> list[str]:
        """Returns what makes the file useless as it is; empty if it can be used."""
        problems = []
        if self.unknown:
            problems.append(f"{len(self.unknown)} unknown names")
        if not self.scenes:
            problems.append("no scene is tagged")
        elif not self.together.any():
            problems.append("no scene has a class")
        elif self.shared == 0:
            problems.append("no tagged scene is in the dataset")
        return problems

    def to_dict(self) -> dict[str, Any]:
        """Returns the findings as JSON takes them; the table by class names."""
        return {
            "scenes": self.scenes,
            "must_mend": self.must_mend(),
            "unknown": [vars(entry) for entry in self.unknown],
            "untagged": self.untagged,
            "foreign": None if self.foreign is None else [vars(entry) for entry in self.foreign],
            "never": self.never,
            "always": self.always,
            "alike": self.alike,
            "implied": self.implied,
            "together": {
                name: dict(zip(self.classes, row.tolist(), strict=True))
                for name, row in zip(self.classes, self.together, strict=True)
            },
        }


def check_tags(
    file: TagsFile, ontology: Ontology, scenes: Sequence[str] | None = None
) -> TagsReport:
    """Examines a file of tags; unknown names are listed and then left aside.

    Args:
        file: the file.
        ontology: that it refers to.
        scenes: of the dataset that the tags are for; None to check the file alone.
    """
    untagged = foreign = shared = None
    if scenes is not None:
        untagged = [scene for scene in scenes if scene not in file.scenes]
        foreign = _foreign_scenes(file, scenes, untagged)
        shared = len(file.scenes) - len(foreign)
    tagged = np.zeros((len(file.scenes), len(ontology)), dtype=np.int64)
    for row, names in zip(tagged, file.scenes.values(), strict=True):
        row[[i for i, name in enumerate(ontology.classes) if name in names]] = 1
    together = tagged.T @ tagged
    counts = np.diagonal(together)
    return TagsReport(
        classes=ontology.classes,
        scenes=len(tagged),
        unknown=unknown_names(file, ontology),
        untagged=untagged,
        foreign=foreign,
        shared=shared,
        never=_names(ontology, counts == 0),
        always=_names(ontology, (counts == len(tagged)) & (counts > 0)),
        together=together,
        alike=_alike(ontology, together, len(tagged)),
        implied=_implied(ontology, together, len(tagged)),
    )


def format_report(report: TagsReport) -> str:
    """Formats the findings as text for a terminal."""
    lines = [f"{report.scenes} tagged scenes"]
    for entry in report.unknown:
        hint = f"; did you mean '{entry.nearest}'?" if entry.nearest else ""
        lines.append(f"unknown: scene '{entry.scene}': no class '{entry.name}'{hint}")
    if report.unknown and any(entry.nearest is None for entry in report.unknown):
        lines.append(f"known classes: {', '.join(report.classes)}")
    foreign = report.foreign or []
    for strange in foreign[:_SHOWN]:
        hint = f"; did you mean '{strange.nearest}'?" if strange.nearest else ""
        if strange.nearest_is_tagged:
            hint = f"; '{strange.nearest}' is tagged already"
        lines.append(f"not in the dataset: scene '{strange.scene}'{hint}")
    if len(foreign) > _SHOWN:
        lines.append(f"not in the dataset: {len(foreign) - _SHOWN} more scenes")
    if report.untagged:
        more = ", ..." if len(report.untagged) > _SHOWN else ""
        some = ", ".join(report.untagged[:_SHOWN])
        lines.append(f"untagged scenes of the dataset ({len(report.untagged)}): {some}{more}")
    lists = {
        "classes never tagged": report.never,
        "classes tagged in every scene, which tells nothing": report.always,
    }
    lines += [f"{what} ({len(of)}): {', '.join(of)}" for what, of in lists.items() if of]
    lines += [
        f"tagged in the same scenes, so that tags cannot tell them apart: {', '.join(group)}"
        for group in report.alike
    ]
    lines += [
        f"never tagged without others: {name} (always with {', '.join(others)})"
        for name, others in report.implied.items()
    ]
    return "\n".join([*lines, "", format_table(report)])


def format_table(report: TagsReport) -> str:
    """Formats in how many scenes classes occur together; each one's own number is in brackets."""
    index = np.flatnonzero(np.diagonal(report.together))
    if not len(index):
        return "no class is tagged"
    names = [f"{number + 1:3d} {report.classes[number]}" for number in index]
    width = max(map(len, names)) + 1
    cell = max(4, len(str(report.together.max())) + 3)
    lines = ["scenes tagged with both classes:", ""]
    lines.append(" " * width + "".join(f"{number + 1:>{cell - 1}} " for number in index))
    for name, row in zip(names, report.together[index][:, index], strict=True):
        own = names.index(name)
        words = [f"{count} " if count else ". " for count in row]
        words[own] = f"[{row[own]}]"
        lines.append(f"{name:<{width}}" + "".join(f"{word:>{cell}}" for word in words))
    return "\n".join(lines)


def _names(ontology: Ontology, mask: NDArray[np.bool_]) -> list[str]:
    return [ontology.classes[index] for index in np.flatnonzero(mask)]


def _foreign_scenes(
    file: TagsFile, scenes: Sequence[str], untagged: Sequence[str]
) -> list[ForeignScene]:
    """Lists the tagged scenes that the dataset lacks, with those that may be meant."""
    there = frozenset(scenes)
    strange = [scene for scene in file.scenes if scene not in there]
    # spreadsheets make 0 of 00; of several such scenes an untagged one is meant
    by_number = {scene.lstrip("0"): scene for scene in (*scenes, *untagged)}
    is_quick = len(strange) * len(untagged) <= _MAX_COMPARED
    foreign = []
    for name in strange:
        nearest = by_number.get(name.lstrip("0"))
        if nearest is None and is_quick:
            nearest = nearest_name(name, untagged)
        foreign.append(ForeignScene(name, nearest, nearest in file.scenes))
    return foreign


def _alike(ontology: Ontology, together: NDArray[np.int64], scenes: int) -> list[list[str]]:
    always_with = _always_with(together)
    tells = np.diagonal(together) < scenes
    same = always_with & always_with.T & tells
    groups = []
    for index, row in enumerate(same):
        if row.sum() > 1 and row.argmax() == index:  # once a group, at its first class
            groups.append(_names(ontology, row))
    return groups


def _implied(ontology: Ontology, together: NDArray[np.int64], scenes: int) -> dict[str, list[str]]:
    always_with = _always_with(together)
    tells = np.diagonal(together) < scenes
    implied = always_with & ~always_with.T & tells
    return {
        name: _names(ontology, row)
        for name, row in zip(ontology.classes, implied, strict=True)
        if row.any()
    }


def _always_with(together: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether a class [row] is tagged, and never without another one [column]."""
    counts = np.diagonal(together)[:, None]
    return (together == counts) & (counts > 0)
