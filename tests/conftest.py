import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Folder of the real sensor data; tests that use it are marked ``real_data``."""
    beside_repo = Path(__file__).parents[2] / "shared" / "data"
    root = Path(os.environ.get("WSSS_DATA", beside_repo))
    if not root.is_dir():
        pytest.skip(f"no real sensor data at {root}; set WSSS_DATA to its folder")
    return root
