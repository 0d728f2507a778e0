import pytest
from made_bags import write_bag


@pytest.fixture(scope="module")
def drive(tmp_path_factory):
    """The bag that most tests read; none changes it."""
    return write_bag(tmp_path_factory.mktemp("shared") / "drive")
