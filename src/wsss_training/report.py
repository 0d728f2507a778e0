"""Evaluation results as a table, a JSON file and pictures."""

import json
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np

from wsss_perception.errors import DatasetError
from wsss_perception.ontology import Ontology
from wsss_training.files import write_whole
from wsss_training.metrics import ConfusionMatrix, Scores

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ENOUGH_POINTS = 100
"""Classes with fewer labelled points are left out of the second mean: their IoU is chance."""


def to_dict(ontology: Ontology, scores: Scores) -> dict[str, Any]:
    """Collects the scores under their names.

    Returns:
        ``rule``, ``miou``, ``fw_iou``, ``accuracy``, ``unknown``, ``iou`` and ``points`` per
        class, and ``miou_present``, the mean over ``classes_present``, those with at least
        ENOUGH_POINTS labelled points. None stands for the IoU of a class that the rule leaves out.
    """
    enough = scores.points >= ENOUGH_POINTS
    names = np.array(ontology.classes)
    iou = [_number(value) for value in scores.iou.tolist()]
    return {
        "rule": scores.rule,
        "miou": _number(scores.miou),
        "miou_present": scores.mean_over(enough),
        "classes_present": names[enough].tolist(),
        "fw_iou": scores.fw_iou,
        "accuracy": scores.accuracy,
        "unknown": scores.unknown,
        "iou": dict(zip(ontology.classes, iou, strict=True)),
        "points": dict(zip(ontology.classes, scores.points.tolist(), strict=True)),
    }


def format_table(ontology: Ontology, scores: Scores) -> str:
    """Formats the scores in percent, a line per class; "-" for one that the rule leaves out."""
    width = max(*map(len, ontology.classes), 13) + 2
    lines = [scores.rule, f"{'class':<{width}}{'IoU %':>8}{'points':>12}"]
    rows = zip(ontology.classes, scores.iou, scores.points, strict=True)
    lines += [f"{name:<{width}}{_percent(iou):>8}{points:12,d}" for name, iou, points in rows]
    enough = scores.points >= ENOUGH_POINTS
    means = {
        _mean_name(scores): scores.miou,
        f"mean over {int(enough.sum())} with >= {ENOUGH_POINTS} points": scores.mean_over(enough),
        "mean by frequency": scores.fw_iou,
        "accuracy": scores.accuracy,
        "no prediction": scores.unknown,
    }
    lines.append("-" * (width + 20))
    lines += [f"{name:<{width + 15}}{_percent(value):>8}" for name, value in means.items()]
    return "\n".join(lines)


def _mean_name(scores: Scores) -> str:
    scored = int((~np.isnan(scores.iou)).sum())
    return f"mean over {'all ' if scored == len(scores.iou) else ''}{scored}"


def _percent(value: float) -> str:
    return "-" if np.isnan(value) else f"{100 * value:.1f}"


def _number(value: float) -> float | None:
    """Returns what JSON has for a number that may be NaN."""
    return None if np.isnan(value) else value


def write_json(path: Path, result: dict[str, Any]) -> None:
    """Writes a result as JSON, whole or not at all.

    Raises:
        DatasetError: it cannot be written.
    """
    _write(path, (json.dumps(result, indent=2) + "\n").encode())


def check_writable(path: Path) -> None:
    """Makes the folder of a file to be written, and checks that there can be one.

    Raises:
        DatasetError: there cannot.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise DatasetError(f"{path}: cannot be written: {error.strerror}") from error
    if path.is_dir():
        raise DatasetError(f"{path}: is a folder; name a file")


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be written: {error.strerror}") from error


def _save(path: Path, figure: "Figure") -> None:
    """Writes a figure as PNG."""
    content = BytesIO()
    figure.savefig(content, format="png", dpi=110, bbox_inches="tight")
    _write(path, content.getvalue())


def draw_confusion(path: Path, ontology: Ontology, matrix: ConfusionMatrix) -> None:
    """Draws which classes are taken for which, each true class's row in percent."""
    from matplotlib.figure import Figure

    present = np.flatnonzero(matrix.counts.sum(axis=1))
    rows = matrix.counts[present]
    share = 100 * rows / rows.sum(axis=1, keepdims=True)
    columns = [*ontology.classes, "unknown"]
    figure = Figure(figsize=(0.5 * len(columns) + 2.5, 0.42 * len(present) + 2.5))
    axes = figure.add_subplot()
    axes.imshow(share, cmap=matplotlib.colormaps["Blues"], vmin=0, vmax=100, aspect="auto")
    axes.set_xticks(range(len(columns)), columns, rotation=60, ha="right")
    axes.set_yticks(range(len(present)), [ontology.classes[i] for i in present])
    for (row, column), value in np.ndenumerate(share):
        if value >= 1:
            color = "white" if value > 55 else "black"
            axes.text(column, row, f"{value:.0f}", ha="center", va="center", color=color, size=8)
    axes.set_xlabel("predicted")
    axes.set_ylabel("labelled")
    axes.set_title("Share of each class's points, %")
    _save(path, figure)


def draw_iou(path: Path, ontology: Ontology, scores: Scores) -> None:
    """Draws each class's IoU as a bar in the class's colour; classes without points in grey."""
    from matplotlib.figure import Figure

    percent = 100 * np.nan_to_num(scores.iou)
    colors = [
        np.array(color) / 255 if points else (0.85, 0.85, 0.85)
        for color, points in zip(ontology.colors, scores.points, strict=True)
    ]
    figure = Figure(figsize=(8, 0.3 * len(ontology) + 1.2))
    axes = figure.add_subplot()
    positions = np.arange(len(ontology))
    axes.barh(positions, percent, color=colors, edgecolor="0.3", linewidth=0.6)
    for position, value, points in zip(positions, percent, scores.points, strict=True):
        text = f"{value:.1f}" if points else "no points"
        axes.text(value + 1, float(position), text, va="center", size=8)
    axes.set_yticks(positions, ontology.classes)
    axes.invert_yaxis()
    axes.set_xlim(0, 105)
    axes.set_xlabel(f"IoU, %   ({_mean_name(scores)}: {_percent(scores.miou)})")
    axes.spines[["top", "right"]].set_visible(False)
    _save(path, figure)
