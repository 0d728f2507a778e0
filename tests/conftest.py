import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# One thread of arithmetic in every process of a test: sums then come out the same. Set here, since
# the libraries read it once, when other conftest files import them.
os.environ["OMP_NUM_THREADS"] = "1"

# An example may take as long as it takes: a busy machine is no fault of the code.
settings.register_profile("tests", deadline=None)
settings.load_profile("tests")

_RUNTIME = "tests/wsss_perception/"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Shares tests among processes (pytest -n 2) by what they have in common.

    Those of the runtime stay in one: nodes must not hear each other, and their times are measured.
    The others go file by file, with the fixtures that a file's tests share.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByRoom(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return _RUNTIME if file.startswith(_RUNTIME) else file

    return ByRoom(config, log)


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Folder of the real sensor data; tests that use it are marked ``real_data``."""
    beside_repo = Path(__file__).parents[2] / "shared" / "data"
    root = Path(os.environ.get("WSSS_DATA", beside_repo))
    if not root.is_dir():
        pytest.skip(f"no real sensor data at {root}; set WSSS_DATA to its folder")
    return root


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keeps what is derived from the tests' datasets out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield
