"""Which sweeps of a log to keep, and where to cut it into scenes; pure functions."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def keep_apart(stamps: NDArray[np.int64], interval: int) -> NDArray[np.int64]:
    """Chooses sweeps at least an interval apart: the first, and each first one after that.

    Args:
        stamps: [N], increasing, nanoseconds.
        interval: nanoseconds; all are kept for 0.

    Returns:
        Indices of the kept sweeps, ascending.
    """
    return np.array([part.start for part in cut(stamps, max(interval, 1))], dtype=np.int64)


def cut(positions: NDArray, limit: float) -> list[slice]:
    """Cuts a log into stretches, each shorter than a limit from its first to its last sweep.

    Args:
        positions: [N], of the sweeps, never decreasing: times, or distances travelled.
        limit: positive, in the same unit.

    Returns:
        The stretches in order, which together hold every sweep once.
    """
    parts, start = [], 0
    while start < len(positions):
        end = int(np.searchsorted(positions, positions[start] + limit, side="left"))
        parts.append(slice(start, max(end, start + 1)))
        start = parts[-1].stop
    return parts


def travelled(places: Sequence[NDArray[np.float64] | None]) -> NDArray[np.float64] | None:
    """Returns the distance travelled up to each sweep, in metres.

    Args:
        places: of each sweep [3]; one without a place counts as not moved from the last.

    Returns:
        float64 [N], never decreasing; None where no place is known.
    """
    known = [number for number, place in enumerate(places) if place is not None]
    if not known:
        return None
    latest = np.maximum.accumulate(np.isin(np.arange(len(places)), known) * np.arange(len(places)))
    path = np.stack([places[max(number, known[0])] for number in latest])  # type: ignore[arg-type]
    steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
    return np.concatenate([[0.0], np.cumsum(steps)])
