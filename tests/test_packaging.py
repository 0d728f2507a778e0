"""The install tree that colcon makes, with no ROS installation."""

import os
import re
import shutil
import stat
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

import pytest

import wsss_perception.__main__
import wsss_training.__main__

ROOT = Path(__file__).parents[1]
COMMANDS = {
    "wsss_perception": [command.name for command in wsss_perception.__main__.COMMANDS],
    "wsss_training": [command.name for command in wsss_training.__main__.COMMANDS],
}
MANIFESTS = {
    "wsss_perception": ROOT / "package.xml",
    "wsss_training": ROOT / "resource" / "share" / "wsss_training" / "package.xml",
}


@dataclass(frozen=True)
class Workspace:
    """A built colcon workspace: the folder of its setup.bash, and the package's prefix in it."""

    install: Path

    @property
    def prefix(self) -> Path:
        return self.install / "wsss_perception"

    def run(self, *words: str) -> subprocess.CompletedProcess:
        """Runs a command with this install tree alone on PYTHONPATH."""
        script = f'source "{self.install}/setup.bash" && exec "$@"'
        paths = [str(Path(sys.executable).parent), os.environ["PATH"]]
        environment = {**os.environ, "PATH": os.pathsep.join(paths)}
        environment.pop("PYTHONPATH", None)
        return subprocess.run(
            ["bash", "-c", script, "bash", *words],
            cwd=self.install,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )


@pytest.fixture(scope="module", params=["copy", "symlink"])
def workspace(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp(f"colcon-{request.param}")
    options = ["--symlink-install"] if request.param == "symlink" else []
    words = [
        *(sys.executable, "-m", "colcon", "--log-base", str(folder / "log"), "build"),
        *("--base-paths", str(ROOT), "--build-base", str(folder / "build")),
        *("--install-base", str(folder / "install"), *options),
    ]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 package finished" in done.stdout
    return Workspace(folder / "install")


def test_colcon_finds_this_package_alone():
    words = [sys.executable, "-m", "colcon", "--log-base", os.devnull, "list", "--names-only"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["wsss_perception"], done.stderr


@pytest.mark.parametrize("package", COMMANDS)
def test_install_tree_has_marker_and_manifest(workspace, package):
    share = workspace.prefix / "share"
    assert (share / "ament_index" / "resource_index" / "packages" / package).is_file()
    assert (share / package / "package.xml").read_text() == MANIFESTS[package].read_text()


def test_install_tree_has_launch_and_config(workspace):
    share = workspace.prefix / "share" / "wsss_perception"
    for folder in ("launch", "config"):
        expected = {
            path.relative_to(ROOT)
            for path in (ROOT / folder).rglob("*")
            if path.is_file() and path.suffix != ".pyc"
        }
        assert expected
        assert {path for path in expected if not (share / path).is_file()} == set()


def test_install_tree_has_training_recipes_for_both_names(workspace):
    recipes = sorted(path.name for path in (ROOT / "config" / "train").glob("*.yaml"))
    for package in COMMANDS:
        folder = workspace.prefix / "share" / package / "config" / "train"
        assert sorted(path.name for path in folder.glob("*.yaml")) == recipes


@pytest.mark.parametrize("package", COMMANDS)
def test_install_tree_has_an_executable_for_each_command(workspace, package):
    launchers = sorted((workspace.prefix / "lib" / package).iterdir())
    assert [path.name for path in launchers] == sorted(COMMANDS[package])
    for path in launchers:
        assert path.stat().st_mode & stat.S_IXUSR
        assert path.read_text().startswith("#!/usr/bin/env python3\n")


@pytest.mark.parametrize(
    ("package", "command"), [(p, name) for p, names in COMMANDS.items() for name in names]
)
def test_installed_executables_show_their_help(workspace, package, command):
    done = workspace.run(str(workspace.prefix / "lib" / package / command), "--help")
    assert done.returncode == 0, done.stderr
    assert f"python -m {package} {command}" in done.stdout


def test_installed_package_has_its_ontologies(workspace):
    code = (
        "import wsss_perception; from wsss_perception.ontology import load_ontology;"
        "print(wsss_perception.__file__); print(len(load_ontology('semantic_kitti')))"
    )
    done = workspace.run("python", "-c", code)
    path, classes = done.stdout.split()
    assert Path(path).is_relative_to(workspace.install.parent)
    assert classes == "19"


def test_installed_package_has_its_default_model(workspace):
    source = ROOT / "src" / "wsss_perception" / "models" / "default"
    code = (
        "from wsss_perception.bundle import default_bundle, read_bundle;"
        "print(read_bundle(default_bundle()).folder)"
    )
    done = workspace.run("python", "-c", code)
    assert done.returncode == 0, done.stderr
    folder = Path(done.stdout.strip())
    assert folder.is_relative_to(workspace.install.parent)
    installed = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert installed == {path.name: path.read_bytes() for path in source.iterdir()}


@pytest.mark.parametrize("package", MANIFESTS)
def test_manifests_agree_with_setup(package):
    root = ElementTree.parse(MANIFESTS[package]).getroot()
    assert root.get("format") == "3"
    assert root.findtext("name") == package
    assert root.findtext("license") == "Apache-2.0"
    assert root.findtext("export/build_type") == "ament_python"
    declared = re.search(r'version="([^"]+)"', (ROOT / "setup.py").read_text())
    assert root.findtext("version") == declared.group(1)


def test_launchers_are_executable_for_git():
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    done = subprocess.run(
        ["git", "ls-files", "--stage", "resource/lib"], cwd=ROOT, capture_output=True, text=True
    )
    modes = {line.split()[3]: line.split()[0] for line in done.stdout.splitlines()}
    assert len(modes) == sum(map(len, COMMANDS.values()))
    assert set(modes.values()) == {"100755"}
