import os
import platform
import subprocess
import sys

import numpy as np
import pytest

from wsss_perception import cgroup, memory


def test_memory_of_the_process_follows_what_it_holds():
    before = memory.resident()
    block = np.ones(50_000_000, dtype=np.uint8)
    held = memory.resident() - before
    assert 45e6 < held < 70e6
    del block
    assert memory.resident() - before < 20e6


def test_the_most_is_kept_until_it_is_to_be_forgotten():
    before = memory.resident()
    np.ones(80_000_000, dtype=np.uint8)
    assert memory.most_resident() > before + 75e6
    memory.forget_most()
    assert memory.most_resident() < before + 40e6


def test_the_machine_has_no_more_to_give_than_it_has():
    assert 0 < memory.available() <= memory.installed()


def test_a_system_that_tells_nothing_is_no_error(tmp_path, monkeypatch):
    for name in ("_PROCESS", "_MACHINE", "_FORGET"):
        monkeypatch.setattr(memory, name, tmp_path / "absent" / "file")
    monkeypatch.setattr(cgroup, "_GROUPS", tmp_path / "absent" / "file")
    memory.forget_most()
    found = memory.resident(), memory.most_resident(), memory.available(), memory.installed()
    assert found == (None,) * 4


@pytest.mark.parametrize(("limit", "expected"), [(1000, 1000), (2**62, 4096), (None, 4096)])
def test_a_containers_limit_counts_where_it_is_nearer(tmp_path, monkeypatch, limit, expected):
    (tmp_path / "meminfo").write_text("MemTotal: 8 kB\nMemAvailable: 4 kB\n")
    monkeypatch.setattr(memory, "_MACHINE", tmp_path / "meminfo")
    monkeypatch.setattr(cgroup, "memory_left", lambda: limit)
    assert memory.available() == expected


def count_page_faults(first_line: str) -> int:
    program = f"""
import resource
import os
import platform
import subprocess
import sys

import numpy as np
import pytest
from wsss_perception import memory
{first_line}
def fault(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    before = fault()
    clouds = [np.ones(5_000_000, dtype=np.uint8) for _ in range(3)]
    del clouds
print(fault() - before)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    words = [sys.executable, "-c", program]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_freed_clouds_cost_the_next_ones_no_page_faults():
    assert count_page_faults("") > 500
    assert count_page_faults("memory.keep_freed()") < 100
