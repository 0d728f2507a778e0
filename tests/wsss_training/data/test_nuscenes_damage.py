"""Damaged tables either are refused or still give to each sweep what is its own."""

import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from wsss_perception.errors import WsssError
from wsss_training.data.nuscenes import NuScenes
from wsss_training.data.nuscenes_join import TABLES

FILES = [f"{name}.json" for name in (*TABLES, "lidarseg")]


@pytest.fixture
def damaged(nuscenes_drive):
    """Reads the drive with a table that is not as it was; the root is unchanged afterwards."""
    whole = nuscenes_drive / "v1.0-mini"
    shutil.copytree(whole, nuscenes_drive / "whole")

    def read(name, change):
        path = whole / name
        content = path.read_bytes()
        new = change(content)
        assume(new != content)
        path.write_bytes(new)
        try:
            return check_pairs(nuscenes_drive, path)
        finally:
            path.write_bytes(content)

    return read


def check_pairs(root, path):
    """Returns whether the set can be read; what is read must belong together."""
    try:
        samples = list(NuScenes(root, sweeps=3))
    except WsssError as error:
        message = str(error)
        assert str(root) in message
        assert ";" in message or ":" in message.removeprefix(str(path))
        return False
    for sample in samples:
        number = int(sample.cloud.channels["ring"][0])
        assert sample.scene[-4:].isprintable()
        own = sample.cloud.channels["ring"] == number
        assert own.sum() == 3 + number
        assert own[: 3 + number].all()
        if sample.labels is not None:
            assert (sample.labels != 255).sum() == 3 + number
        for image in sample.images:
            assert np.abs(image.load().image.astype(int) - 10 * number).max() < 5
        assert (np.abs(sample.T_world_lidar) < np.inf).all()
        older = set(sample.cloud.channels["ring"].astype(int)) - {number}
        assert all(k // 10 == number // 10 for k in older)
    return True


relaxed = settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@relaxed
@given(
    name=st.sampled_from(FILES), place=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255)
)
def test_byte_that_changed_mixes_nothing_up(damaged, name, place, byte):
    def change(content):
        at = int(place * len(content))
        return content[:at] + bytes([byte]) + content[at + 1 :]

    damaged(name, change)


@relaxed
@given(name=st.sampled_from(FILES), place=st.floats(0, 1, exclude_max=True))
@example(name="sample_data.json", place=0.0)
def test_table_that_was_cut_is_refused(damaged, name, place):
    assert not damaged(name, lambda content: content[: int(place * (len(content) - 1))])


@relaxed
@given(
    name=st.sampled_from(FILES), place=st.floats(0, 1, exclude_max=True), count=st.integers(1, 9)
)
def test_bytes_that_are_lost_mix_nothing_up(damaged, name, place, count):
    def change(content):
        at = int(place * len(content))
        return content[:at] + content[at + count :]

    damaged(name, change)


@relaxed
@given(name=st.sampled_from(FILES), noise=st.binary(max_size=40))
def test_noise_is_no_table(damaged, name, noise):
    assert not damaged(name, lambda content: noise)


def test_whole_tables_are_read(nuscenes_drive):
    assert check_pairs(nuscenes_drive, nuscenes_drive)
    assert len(NuScenes(nuscenes_drive)) == 6
