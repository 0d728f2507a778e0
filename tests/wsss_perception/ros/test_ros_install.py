"""The real ``ros2 run`` and ``ros2 launch`` on the package as colcon installs it."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from rosbags.typesys import Stores, get_typestore

from wsss_perception.bag import BagWriter

pytestmark = pytest.mark.ros_install
for module in ("ros2cli", "ros2run", "launch_ros"):
    pytest.importorskip(module, reason=f"no ROS 2 installation: cannot import {module}")

ROOT = Path(__file__).parents[3]
STORE = get_typestore(Stores.ROS2_JAZZY)
TIMEOUT = 180.0  # a busy machine takes most of a minute to import torch
CLOUDS, START = 5, 1_700_000_000_000_000_000


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


def launch(
    install: Path,
    environment: dict[str, str],
    file: str,
    *arguments: str,
    until: str | None = None,
) -> str:
    """Launches a file and ends it, as Ctrl-C does, once a text is seen; without one it must end."""
    words = [str(Path(sys.executable).with_name("ros2")), "launch", "wsss_perception", file]
    log = Path(environment["ROS_LOG_DIR"]) / "launch.txt"
    with log.open("w") as output:
        process = subprocess.Popen(
            sourced(install, *words, *arguments),
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + TIMEOUT
        while until is not None and until not in log.read_text():
            assert time.monotonic() < deadline, log.read_text()
            assert process.poll() is None, log.read_text()
            time.sleep(0.2)
        if until is not None:
            process.send_signal(signal.SIGINT)
        process.wait(TIMEOUT)
    finally:
        process.kill()
    text = log.read_text()
    assert "Traceback" not in text
    assert "exception in launch" not in text
    return text


def fake_package(prefix: Path, package: str, executable: str) -> Path:
    """Installs a package whose executable writes its words to a file, which is returned."""
    marker = prefix / "share" / "ament_index" / "resource_index" / "packages" / package
    program = prefix / "lib" / package / executable
    for path in (marker, program):
        path.parent.mkdir(parents=True)
    marker.touch()
    record_words(program)
    return program.with_suffix(".words")


def record_words(program: Path) -> None:
    """Writes a program that only writes its words to ``<program>.words``."""
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@" > "$0.part" && mv "$0.part" "$0.words"\n')
    program.chmod(0o755)


@pytest.fixture
def bag(tmp_path: Path, make_message: Any) -> Path:
    with BagWriter(tmp_path / "bag", "mcap", STORE) as writer:
        points = writer.add_topic("/velodyne/points", "sensor_msgs/msg/PointCloud2")
        for number in range(CLOUDS):
            stamp = START + number * 300_000_000
            writer.write(points, stamp, make_message(STORE.types, stamp))
    return tmp_path / "bag"


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


@pytest.mark.parametrize("folder", ["launch", "config"])
def test_the_files_beside_the_code_are_installed(install, folder):
    share = install / "wsss_perception" / "share" / "wsss_perception"
    kept = {path.relative_to(ROOT) for path in (ROOT / folder).rglob("*.[yrp][avy]*")}
    assert len(kept) >= 2
    for path in kept:
        assert (share / path).read_bytes() == (ROOT / path).read_bytes()


@pytest.mark.parametrize("file", ["segment.launch.py", "replay.launch.py"])
def test_ros2_launch_describes_the_documented_arguments(install, environment, file):
    done = run(install, environment, "ros2", "launch", "wsss_perception", file, "--show-args")
    assert done.returncode == 0, done.stderr
    shown = re.findall(r"^    '(\w+)':\n        (\w.*)$", done.stdout, re.MULTILINE)
    text = (ROOT / "docs" / "node.md").read_text().split("\n## Launch arguments\n")[1]
    rows = re.findall(r"^\| (`.*?) \|", text.split("\n## ")[0], re.MULTILINE)
    documented = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert sorted(name for name, _ in shown) == sorted(documented)


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
def test_ros2_launch_starts_and_stops_the_node(install, environment, bundle, model):
    text = launch(
        install,
        environment,
        "segment.launch.py",
        *([f"model:={bundle.folder}"] if model == "given" else []),
        *("points:=/velodyne/points", "semantic_points:=labelled", "namespace:=robot"),
        *("device:=cpu", "use_sim_time:=true"),
        until="listening on",
    )
    assert "listening on /velodyne/points, publishing on /robot/labelled" in text
    assert ("default model" in text) == (model == "default")
    assert "stopped: 0 received" in text
    assert "process has finished cleanly" in text


def test_ros2_launch_builds_the_engine_alone_and_ends(install, environment, bundle, bag):
    words = [
        f"model:={bundle.folder}",
        "engine:=onnxruntime",
        "precision:=fp16",
        "build_only:=true",
    ]
    text = launch(install, environment, "segment.launch.py", *words, f"bag:={bag}", "rviz:=true")
    assert "engine onnxruntime, fp16 on cpu starts from the bundle" in text
    assert "process has finished cleanly" in text
    assert "[bag" not in text


def test_ros2_launch_gives_the_cameras_to_the_node(install, environment, bundle, tmp_path):
    images = "image_topics:=/front/image_rect, /rear/image_rect/compressed"
    calibration = tmp_path / "absent.yaml"
    words = ("ros2", "launch", "wsss_perception", "segment.launch.py", images)
    done = run(
        install,
        environment,
        *words,
        *(f"model:={bundle.folder}", "device:=cpu", f"calibration_file:={calibration}"),
    )
    assert f"{calibration}: calibration cannot be read" in done.stdout + done.stderr


@pytest.mark.parametrize("engine", ["spconv", "onnxruntime"])  # the second is up within a second
def test_replay_plays_every_cloud_to_the_node_and_stays(install, environment, bundle, bag, engine):
    text = launch(
        install,
        environment,
        "replay.launch.py",
        *(f"bag:={bag}", f"model:={bundle.folder}", "device:=cpu", f"engine:={engine}"),
        *("points:=/velodyne/points", "rviz:=false", "rate:=0.5"),
        until="the bag was played",
    )
    assert text.index("listening on") < text.index(f"{CLOUDS} messages, late by")
    assert f"stopped: {CLOUDS} received, {CLOUDS} published" in text


def test_replay_ends_when_the_bag_cannot_be_played(install, environment, bundle, tmp_path):
    text = launch(
        install,
        environment,
        "replay.launch.py",
        *(f"bag:={tmp_path / 'absent'}", f"model:={bundle.folder}", "device:=cpu", "rviz:=false"),
    )
    assert f"{tmp_path / 'absent'}: no such bag" in text
    assert "the bag was played" not in text
    assert "stopped: 0 received" in text


def test_replay_ends_when_the_node_refuses_the_model(install, environment, bag):
    text = launch(
        install, environment, "replay.launch.py", f"bag:={bag}", "model:=/nowhere", "rviz:=false"
    )
    assert "/nowhere: not a model bundle" in text
    assert "messages, late by" not in text


def test_replay_needs_a_bag(install, environment):
    done = run(install, environment, "ros2", "launch", "wsss_perception", "replay.launch.py")
    assert "missing required argument 'bag'" in done.stdout + done.stderr


def test_replay_prefers_ros2_bag_play_and_gives_the_time(
    install, environment, bundle, bag, tmp_path
):
    (tmp_path / "ros2bag").mkdir()
    (tmp_path / "ros2bag" / "__init__.py").touch()
    record_words(tmp_path / "ros2")
    environment["PYTHONPATH"] = str(tmp_path)
    environment["PATH"] = f"{tmp_path}{os.pathsep}{environment['PATH']}"
    launch(
        install,
        environment,
        "replay.launch.py",
        *(f"bag:={bag}", f"model:={bundle.folder}", "device:=cpu", "rviz:=false", "loop:=true"),
        until="the bag was played",
    )
    words = (tmp_path / "ros2.words").read_text().splitlines()
    assert words[:2] == ["bag", "play"]
    assert str(bag) in words
    assert words[-4:] == ["--rate", "1.0", "--loop", "--clock"]


def test_ros2_launch_shows_the_topics_of_the_node_in_rviz(install, environment, tmp_path):
    prefix = tmp_path / "underlay"
    words = fake_package(prefix, "rviz2", "rviz2")
    environment["AMENT_PREFIX_PATH"] = str(prefix)
    launch(
        install,
        environment,
        "segment.launch.py",
        *("model:=/nowhere", "namespace:=robot", "points:=/velodyne/points"),
        *("rviz:=true", "fixed_frame:=velodyne", "overlay:=overlay/image_02"),
    )
    given = words.read_text().splitlines()
    assert Path(given[given.index("-d") + 1]).read_bytes()
    assert given[given.index("-f") + 1] == "velodyne"
    assert "__ns:=/robot" in given
    assert "points:=/velodyne/points" in given
    assert "overlay/camera:=overlay/image_02" in given
