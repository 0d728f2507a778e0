"""The real ``ros2 run`` and ``ros2 launch`` on the package as colcon installs it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.ros_install
for module in ("ros2cli", "ros2run", "launch_ros"):
    pytest.importorskip(module, reason=f"no ROS 2 installation: cannot import {module}")

ROOT = Path(__file__).parents[3]
TIMEOUT = 60.0


@pytest.fixture(scope="module")
def install(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ros-install")
    words = [
        *(sys.executable, "-m", "colcon", "--log-base", str(folder / "log"), "build"),
        *("--base-paths", str(ROOT), "--build-base", str(folder / "build")),
        *("--install-base", str(folder / "install")),
    ]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "install"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    variables = {
        **os.environ,
        "PATH": path,
        "PYTHONUNBUFFERED": "1",
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "ROS_DOMAIN_ID": str(1 + os.getpid() % 90),
        "ROS_LOG_DIR": str(tmp_path),
    }
    variables.pop("PYTHONPATH", None)
    return variables


def sourced(install: Path, *words: str) -> list[str]:
    """The command line of a shell that sources the workspace first."""
    return ["bash", "-c", f'source "{install}/setup.bash" && exec "$@"', "bash", *words]


def run(install: Path, environment: dict[str, str], *words: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        sourced(install, *words), env=environment, capture_output=True, text=True, timeout=TIMEOUT
    )


@pytest.mark.parametrize(
    ("package", "command"),
    [
        ("wsss_perception", "segment"),
        ("wsss_perception", "segment-bag"),
        ("wsss_perception", "play-bag"),
        ("wsss_training", "train"),
        ("wsss_training", "export"),
        ("wsss_training", "make-world"),
    ],
)
def test_ros2_run_finds_the_commands(install, environment, package, command):
    done = run(install, environment, "ros2", "run", package, command, "--help")
    assert done.returncode == 0, done.stderr
    assert f"python -m {package} {command}" in done.stdout


def test_ros2_launch_shows_its_arguments(install, environment):
    words = ("ros2", "launch", "wsss_perception", "segment.launch.py", "--show-args")
    done = run(install, environment, *words)
    assert done.returncode == 0, done.stderr
    for argument in ("model", "points", "semantic_points", "params_file", "rviz", "log_level"):
        assert f"'{argument}':" in done.stdout


def test_ros2_launch_passes_the_refusal_of_a_model_on(install, environment):
    words = ("ros2", "launch", "wsss_perception", "segment.launch.py", "model:=/nowhere")
    done = run(install, environment, *words)
    output = done.stdout + done.stderr
    assert "/nowhere: not a model bundle" in output
    assert "exit code 2" in output


def test_ros2_launch_gives_the_parameter_file_to_the_node_in_its_namespace(
    install, environment, tmp_path
):
    parameters = tmp_path / "parameters.yaml"
    parameters.write_text("/**/segment: {ros__parameters: {min_confidence: 2.0}}\n")
    words = ("ros2", "launch", "wsss_perception", "segment.launch.py", "model:=/nowhere")
    done = run(install, environment, *words, "namespace:=robot", f"params_file:={parameters}")
    assert "parameter 'min_confidence'" in done.stdout + done.stderr


@pytest.mark.parametrize("model", ["given", "default"])
def test_ros2_launch_starts_and_stops_the_node(install, environment, bundle, tmp_path, model):
    words = sourced(
        install,
        *("ros2", "launch", "wsss_perception", "segment.launch.py"),
        *([f"model:={bundle.folder}"] if model == "given" else []),
        *("points:=/velodyne/points", "semantic_points:=labelled", "namespace:=robot"),
        *("device:=cpu", "use_sim_time:=true"),
    )
    log = tmp_path / "launch.txt"
    with log.open("w") as output:
        launch = subprocess.Popen(words, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + TIMEOUT
        while "listening on" not in log.read_text():
            assert time.monotonic() < deadline, log.read_text()
            assert launch.poll() is None, log.read_text()
            time.sleep(0.2)
        launch.send_signal(signal.SIGINT)
        assert launch.wait(TIMEOUT) == 0
    finally:
        launch.kill()
    text = log.read_text()
    assert "listening on /velodyne/points, publishing on /robot/labelled" in text
    assert ("default model" in text) == (model == "default")
    assert "stopped: 0 received" in text
    assert "process has finished cleanly" in text
    assert "Traceback" not in text
