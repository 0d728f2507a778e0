"""Table and picture of benchmarks/wsegpc_ablation.py."""

from pathlib import Path

import numpy as np

LABELS = {"pseudo_labels": "pseudo-labels", "centered": "the same, centered"}


def make_tables(rows: list[str], scores: list[dict], settings: dict, family: str) -> str:
    """Mean and half the range over the seeds of each row, and the IoU of each class."""
    columns = {**LABELS, family: f"segmenter, {family} rooms"}
    lines = [f"Rooms: sha256 {settings['rooms_sha256']}, {settings['scenes']} to learn from", ""]
    lines += ["| | seeds | " + " | ".join(columns.values()) + " | of full supervision | minutes |"]
    lines += ["|---|" + "---|" * (3 + len(columns))]
    full = _values(_of(scores, "fully supervised"), family)
    for row in rows:
        mine = _of(scores, row)
        if not mine:
            continue
        cells = [_spread(_values(mine, column)) for column in columns]
        reached, minutes = _values(mine, family), [s["minutes"] for s in mine if "minutes" in s]
        ratio = f"{100 * np.mean(reached) / np.mean(full):.0f} %" if reached and full else ""
        spent = f"{np.mean(minutes):.1f}" if minutes else ""
        lines.append(f"| {row} | {len(mine)} | " + " | ".join([*cells, ratio, spent]) + " |")
    for column, title in columns.items():
        lines += ["", f"### IoU, {title}", "", *_class_table(rows, scores, column)]
    return "\n".join(lines) + "\n"


def _class_table(rows: list[str], scores: list[dict], column: str) -> list[str]:
    found = {row: [s[column] for s in _of(scores, row) if s.get(column)] for row in rows}
    found = {row: results for row, results in found.items() if results}
    if not found:
        return []
    classes = list(next(iter(found.values()))[0]["iou"])
    lines = ["| | " + " | ".join(classes) + " |", "|---|" + "---|" * len(classes)]
    for row, results in found.items():
        means = [np.mean([result["iou"][c] or 0.0 for result in results]) for c in classes]
        lines.append(f"| {row} | " + " | ".join(f"{100 * mean:.0f}" for mean in means) + " |")
    return lines


def draw_rows(path: Path, rows: list[str], scores: list[dict], family: str) -> None:
    """Draws the rows' means as bars, each seed as a dot."""
    from matplotlib.figure import Figure

    shown = [row for row in rows if _of(scores, row)]
    columns = {**LABELS, family: "segmenter, other rooms"}
    figure = Figure(figsize=(9, 0.55 * len(shown) + 1.2), layout="constrained")
    axes = figure.subplots()
    height = 0.8 / len(columns)
    for number, (column, title) in enumerate(columns.items()):
        places = np.arange(len(shown)) + (number - 1) * height
        values = [_values(_of(scores, row), column) for row in shown]
        means = [np.mean(each) if each else 0.0 for each in values]
        axes.barh(places, means, 0.9 * height, label=title, color=f"C{number}", alpha=0.75)
        for place, each in zip(places, values, strict=True):
            axes.plot(each, [place] * len(each), "k.", markersize=3)
    axes.set_yticks(np.arange(len(shown)), shown)
    axes.invert_yaxis()
    axes.set_xlabel("mIoU, 20 classes")
    axes.legend(loc="lower right")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


def _of(scores: list[dict], row: str) -> list[dict]:
    return [score for score in scores if score["row"] == row]


def _values(scores: list[dict], column: str) -> list[float]:
    """Returns the mIoU in per cent of the seeds that have one."""
    return [100 * score[column]["miou"] for score in scores if score.get(column)]


def _spread(values: list[float]) -> str:
    if not values:
        return ""
    half = f" ± {(max(values) - min(values)) / 2:.1f}" if len(values) > 1 else ""
    return f"{np.mean(values):.1f}{half}"
