"""Habits of the imitated 2D teacher: their file, and the arrays it becomes."""

import difflib
import math
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from wsss_perception.errors import ConfigError
from wsss_perception.ontology import load_ontology

BACKGROUND = 19
"""Index of "none of Cityscapes' classes", in the settings and in the teacher's probabilities."""

CLASSES = BACKGROUND + 1

_SCALARS: dict[str, tuple[float, float]] = {
    "whole_region": (0, 1),
    "persistence": (0, 1),
    "patch_size": (4, 256),
    "softness": (0.01, 10),
    "rival_limit": (0.5, 1),
    "blur": (0, 1),
    "spread": (0, 1),
    "sharpness": (0.1, 10),
    "border_noise": (0, 10),
}


@dataclass(frozen=True)
class TeacherSettings:
    """What the imitated teacher does wrong; ``teacher.yaml`` explains each.

    Attributes:
        confusions: float64 [20, 20], share of a true class (row; background last) that is seen
            as another one; rows sum to at most 1, the diagonal is 0.
        gain: float64 [20], how much a pixel of a class as it is seen counts against others.
        vanishing_area: float64 [20], pixels; a region of that area is lost with probability 1/e.
        absent: labels that are never said.
        whole_region: 0..1, share of the confusions' variance that is one draw for a whole region,
            the rest differs from patch to patch.
        persistence: 0..1, correlation of what befalls a region in different frames.
        patch_size: pixels, size of the patches.
        softness: how gradually a region's class gives way to its rival.
        rival_limit: 0.5..1, the most of a pixel's evidence that speaks for its rival.
        blur: 0..1, how much of a cell's evidence is its neighbourhood's.
        spread: 0..1, how much evidence from a few cells away counts.
        sharpness: exponent of the evidence: how sure the teacher is.
        border_noise: how much noise is in the evidence's logarithm; it bends borders.
    """

    confusions: NDArray[np.float64]
    gain: NDArray[np.float64]
    vanishing_area: NDArray[np.float64]
    absent: tuple[int, ...]
    whole_region: float
    persistence: float
    patch_size: float
    softness: float
    rival_limit: float
    blur: float
    spread: float
    sharpness: float
    border_noise: float

    def thresholds(self) -> NDArray[np.float64]:
        """Value [20] that a standard normal exceeds as often as a class is confused."""
        normal = NormalDist()
        shares = np.clip(self.confusions.sum(axis=1), 0, 1)
        inside = (shares > 1e-9) & (shares < 1 - 1e-9)
        found = [normal.inv_cdf(1 - share) for share in np.where(inside, shares, 0.5)]
        return np.where(inside, found, np.where(shares > 0.5, -100.0, 100.0))


def load_teacher_settings(path: str | Path | None = None) -> TeacherSettings:
    """Loads the imitated teacher's habits; the shipped ones by default.

    Raises:
        ConfigError: the file cannot be read or does not fit the schema; the message says where.
    """
    source = resources.files("wsss_training") / "world/teacher.yaml" if path is None else Path(path)
    try:
        data = yaml.safe_load(source.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{source}: not readable YAML: {error}") from error
    return settings_from_dict(data, str(source))


def settings_from_dict(data: Any, where: str) -> TeacherSettings:
    """Reads settings from the schema of their file; ``where`` names it in errors.

    Raises:
        ConfigError: a key is missing or unknown, or a value is out of its range.
    """
    tables = ("confusions", "gain", "vanishing_area", "absent")
    _check_keys(data, {*tables, *_SCALARS}, where)
    names = load_ontology("cityscapes").classes + ("background",)
    scalars = {
        key: _number(data[key], low, high, f"{where}: {key}")
        for key, (low, high) in _SCALARS.items()
    }
    return TeacherSettings(
        confusions=_read_confusions(data["confusions"], names, f"{where}: confusions"),
        gain=_read_row(data["gain"], names, (0.01, 100), f"{where}: gain", 1.0),
        vanishing_area=_read_row(
            data["vanishing_area"], names, (0, 1e6), f"{where}: vanishing_area"
        ),
        absent=_read_absent(data["absent"], names, f"{where}: absent"),
        **scalars,
    )


def _read_confusions(data: Any, names: tuple[str, ...], where: str) -> NDArray[np.float64]:
    matrix = np.zeros((len(names), len(names)))
    for name, row in _mapping(data, where).items():
        label = _label(name, names, where)
        matrix[label] = _read_row(row, names, (0, 1), f"{where}: {name}")
        if matrix[label, label] or matrix[label, BACKGROUND]:
            raise ConfigError(f"{where}: {name}: must be seen as another of the 19 classes")
        if matrix[label].sum() > 1 + 1e-9:
            raise ConfigError(f"{where}: {name}: shares sum to {matrix[label].sum():.3f}, over 1")
    return matrix


def _read_row(
    data: Any, names: tuple[str, ...], bounds: tuple[float, float], where: str, fill: float = 0.0
) -> NDArray[np.float64]:
    row = np.full(len(names), fill)
    for name, value in _mapping(data, where).items():
        row[_label(name, names, where)] = _number(value, *bounds, f"{where}: {name}")
    return row


def _read_absent(data: Any, names: tuple[str, ...], where: str) -> tuple[int, ...]:
    if not isinstance(data, list):
        raise ConfigError(f"{where}: needs a list of classes, [] for none; got {data!r}")
    labels = tuple(sorted({_label(name, names, where) for name in data}))
    if len([label for label in labels if label < BACKGROUND]) == BACKGROUND:
        raise ConfigError(f"{where}: no class is left that the teacher could say")
    return labels


def _label(name: Any, names: tuple[str, ...], where: str) -> int:
    if name not in names:
        near = difflib.get_close_matches(str(name), names, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(names)}"
        raise ConfigError(f"{where}: no class '{name}' in Cityscapes; {hint}")
    return names.index(name)


def _number(value: Any, low: float, high: float, where: str) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not low <= value <= high:
        raise ConfigError(f"{where}: needs a number from {low:g} to {high:g}, got {value!r}")
    return float(value)


def _mapping(data: Any, where: str) -> dict[Any, Any]:
    if not isinstance(data, dict):
        raise ConfigError(f"{where}: needs a mapping from class names, got {data!r}")
    return data


def _check_keys(data: Any, known: set[str], where: str) -> None:
    keys = set(_mapping(data, where))
    for problem, names in (("missing", known - keys), ("unknown", keys - known)):
        if names:
            raise ConfigError(f"{where}: {problem} keys: {', '.join(sorted(map(str, names)))}")
