import numpy as np

from wsss_perception import memory


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
    memory.forget_most()
    found = memory.resident(), memory.most_resident(), memory.available(), memory.installed()
    assert found == (None,) * 4
