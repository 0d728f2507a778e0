"""What a container or a service manager leaves to this process, by Linux's control groups."""

from collections.abc import Iterator
from pathlib import Path

_GROUPS = Path("/proc/self/cgroup")
_ROOT = Path("/sys/fs/cgroup")


def memory_left() -> int | None:
    """Bytes up to the nearest limit, with what its cached files hold; None where there is none."""
    left = []
    for folder in _folders("memory"):
        for most, used, cached in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            limit, held = _numbers(folder / most), _numbers(folder / used)
            if limit and held:
                files = _statistics(folder / "memory.stat").get(cached, 0)
                left.append(max(limit[0] - held[0] + files, 0))
    return min(left, default=None)


def cores() -> float | None:
    """CPUs that this process may use at a time by its quotas; None where there is none."""
    found = []
    for folder in _folders("cpu"):
        quota = _numbers(folder / "cpu.max")  # "max 100000" is no number, so no limit
        if not quota:
            files = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
            quota = [number for name in files for number in _numbers(folder / name)]
        if len(quota) == 2 and quota[0] > 0 and quota[1] > 0:
            found.append(quota[0] / quota[1])
    return min(found, default=None)


def _folders(controller: str) -> Iterator[Path]:
    """Folders of the groups that hold this process, from its own up to the root's.

    A container may see its own group as the root, under the path that it has outside.
    """
    try:
        lines = _GROUPS.read_text().splitlines()
    except OSError:  # no Linux
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        root = _ROOT / controllers if controllers else _ROOT
        group = root / path.strip("/")
        yield group
        while group != root and group != group.parent:
            group = group.parent
            yield group


def _numbers(path: Path) -> list[int]:
    """The numbers of a file of one line; none where it is absent or says something else."""
    try:
        return [int(word) for word in path.read_text().split()]
    except (OSError, ValueError):
        return []


def _statistics(path: Path) -> dict[str, int]:
    try:
        words = [line.split() for line in path.read_text().splitlines()]
        return {name: int(value) for name, value in words}
    except (OSError, ValueError):
        return {}
