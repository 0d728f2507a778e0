import pytest

from wsss_perception import cgroup


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """Writes the files of a system's control groups; paths are those below /sys/fs/cgroup."""

    def write(process: str, **files: str):
        (tmp_path / "process").write_text(process)
        for path, text in files.items():
            (tmp_path / "root" / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "root" / path).write_text(text)

    monkeypatch.setattr(cgroup, "_GROUPS", tmp_path / "process")
    monkeypatch.setattr(cgroup, "_ROOT", tmp_path / "root")
    return write


def test_the_nearest_limit_on_the_way_up_counts(groups):
    files = {
        "a/b/memory.max": "max\n",
        "a/b/memory.current": "300\n",
        "a/memory.max": "1000\n",
        "a/memory.current": "700\n",
        "a/memory.stat": "anon 500\ninactive_file 150\n",
        "memory.max": "5000\n",
        "memory.current": "800\n",
        "a/b/cpu.max": "max 100000\n",
        "a/cpu.max": "250000 100000\n",
    }
    groups("0::/a/b\n", **files)
    assert cgroup.memory_left() == 450
    assert cgroup.cores() == 2.5


def test_the_older_groups_are_read_too(groups):
    """In a container, whose path is the one that it has outside."""
    files = {
        "memory/memory.limit_in_bytes": "1000\n",
        "memory/memory.usage_in_bytes": "1200\n",
        "cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
        "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        "cpu,cpuacct/docker/x/cpu.cfs_quota_us": "50000\n",
        "cpu,cpuacct/docker/x/cpu.cfs_period_us": "100000\n",
    }
    groups("4:memory:/docker/x\n3:cpu,cpuacct:/docker/x\n1:name=systemd:/docker/x\n", **files)
    assert cgroup.memory_left() == 0
    assert cgroup.cores() == 0.5


def test_where_nothing_limits_nothing_is_told(groups, tmp_path):
    groups("0::/\n")
    assert (cgroup.memory_left(), cgroup.cores()) == (None, None)
    (tmp_path / "process").unlink()
    assert (cgroup.memory_left(), cgroup.cores()) == (None, None)
