"""What a benchmark found, as a table to read and as JSON."""

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from wsss_perception.benchmark.machine import describe_machine, library_versions
from wsss_perception.benchmark.measure import STAGES, Row
from wsss_perception.bundle import MODEL_FILE, Bundle

_WHO, _COLUMN = 36, 10  # characters
_PERCENTILES = ("p50", "p95", "p99", "max")
_MEMORY = {
    "loaded MB": "loaded_memory",
    "peak MB": "peak_memory",
    "GPU MB": "gpu_memory",
}


def describe_run(bundle: Bundle, threads: int) -> dict[str, Any]:
    """Tells what is measured, on what and when; before the measurement, for the machine's load."""
    content = (bundle.folder / MODEL_FILE).read_bytes()
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": describe_machine(),
        "libraries": library_versions(),
        "threads": threads,
        "bundle": {"folder": str(bundle.folder), "sha256": hashlib.sha256(content).hexdigest()},
        "network": f"{bundle.spec.network.name}, width {bundle.spec.network.width:g}",
        "voxel_size": bundle.spec.voxel_size,
    }


def write_json(path: Path, run: dict[str, Any], rows: Sequence[Row]) -> None:
    """Writes a run and its rows, whole or not at all.

    Raises:
        OSError: the file cannot be written.
    """
    text = json.dumps({**run, "rows": [row.to_dict() for row in rows]}, indent=2)
    with NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", delete=False) as stream:
        scratch = Path(stream.name)
        try:
            stream.write(text + "\n")
            stream.flush()
            scratch.replace(path)
        except OSError:
            scratch.unlink()
            raise


def format_report(run: dict[str, Any], rows: Sequence[Row]) -> str:
    """Makes the text for a terminal: a table for each kind of clouds."""
    machine = run["machine"]
    memory = "" if machine["memory"] is None else f", {machine['memory'] / 1e9:.0f} GB"
    lines = [
        f"{machine['cpu']}, {machine['cores']} cores{memory}, "
        f"{', '.join(machine['gpus']) or 'no GPU'}; load before: {machine['load']}",
        f"{run['bundle']['folder']} ({run['bundle']['sha256'][:12]}): {run['network']}, voxels of "
        f"{run['voxel_size']} m; {run['threads']} threads",
    ]
    inputs = list(dict.fromkeys(row.input for row in rows))
    for name in inputs:
        lines += ["", *_format_input([row for row in rows if row.input == name])]
    failed = [row for row in rows if row.error]
    if failed:
        lines += ["", "not measured:"]
    for contender, error in dict.fromkeys((row.contender, row.error) for row in failed):
        where = [r.input for r in failed if (r.contender, r.error) == (contender, error)]
        on = f" on {'; '.join(where)}" if len(where) < len(inputs) else ""
        lines.append(f"  {contender}{on}: {error}")
    return "\n".join(lines)


def _format_input(rows: list[Row]) -> list[str]:
    name = rows[0].input
    measured = [row for row in rows if row.milliseconds]
    if not measured:
        return [f"{name}: nothing was measured"]
    first = measured[0]
    views = f", {first.views} views" if first.views else ""
    stages = [s for s in STAGES if any(s in row.milliseconds for row in measured)]
    title = f"{name}: {first.points:,} points, {first.voxels:,} voxels a cloud{views}"
    weights = {name: key for name, key in _MEMORY.items() if any(getattr(r, key) for r in measured)}
    head = "".join(f"{column:>{_COLUMN}}" for column in [*stages, *weights])
    lines = [title, f"{'ms':<{_WHO}}    {head}"]
    for row in measured:
        who = f"{row.contender}, {row.precision} on {row.device}"
        sizes = [getattr(row, key) for key in weights.values()]
        known = [p for p in _PERCENTILES if any(p in row.milliseconds[s] for s in row.milliseconds)]
        for percentile in known:
            times = [row.milliseconds.get(stage, {}).get(percentile) for stage in stages]
            cells = [_cell(time, 2) for time in times]
            cells += [_cell(None if size is None else size / 1e6, 0) for size in sizes]
            lines.append(f"{who:<{_WHO}} {percentile}{''.join(cells)}".rstrip())
            who, sizes = "", []
    return lines


def _cell(value: float | None, digits: int) -> str:
    return " " * _COLUMN if value is None else f"{value:{_COLUMN}.{digits}f}"
