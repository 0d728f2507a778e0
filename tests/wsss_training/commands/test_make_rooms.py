from pathlib import Path

import numpy as np
import pytest
import yaml

from wsss_perception.frame import UNKNOWN
from wsss_training.__main__ import COMMANDS
from wsss_training.data import open_dataset
from wsss_training.rooms.settings import load_room_settings, rooms_hash

SMALL = ["--size", "64", "48", "--frames", "6"]
SCENE = "scene0014_00"
PINNED = [51832.0, 1.815783, 0.01501, 4.787892, 138.440216, 129.252116, 1.858146]


def run(*words: object) -> int:
    from wsss_perception.cli import main

    return main("wsss_training", COMMANDS, list(map(str, words)))


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("rooms") / "rooms"
    assert run("make-rooms", root, "--scenes", 1, "--first", 14, *SMALL) == 0
    return root


def test_ordinary_reader_reads_rooms(rooms: Path) -> None:
    dataset = open_dataset("scannet", rooms)
    assert list(dataset.sample_ids) == [f"{SCENE}/{SCENE}_vh_clean_2"]
    sample = dataset[0]
    assert sample.labels is not None
    assert len(sample.images) == 6
    assert len(sample.cloud) > 10_000
    assert len(np.unique(sample.labels[sample.labels != UNKNOWN])) >= 5
    assert (sample.labels != UNKNOWN).mean() > 0.6
    normals = np.stack([sample.cloud.channels[f"normal_{axis}"] for axis in "xyz"], axis=1)
    assert np.allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-3)
    edges = np.sort(np.linalg.norm(np.diff(sample.cloud.xyz, axis=0), axis=1))
    assert edges[len(edges) // 2] < 5


def test_cloud_is_what_the_frames_saw_in_their_colours(rooms: Path) -> None:
    """Poses, intrinsics, depth, colours and vertices agree."""
    sample = open_dataset("scannet", rooms)[0]
    seen = np.zeros(len(sample.cloud), int)
    differences = []
    colors = np.stack([sample.cloud.channels[name] for name in ("red", "green", "blue")], axis=1)
    for image in sample.images:
        index, uv = image.visible_points(sample.cloud.xyz)
        seen[index] += 1
        column, row = np.floor(uv + 0.5).astype(int).T
        pixels = image.load().image[row, column].astype(float)
        differences.append(np.abs(pixels - colors[index]).mean(axis=1))
    assert (seen > 0).mean() > 0.85
    assert np.median(np.concatenate(differences)) < 25


def test_floor_is_low_flat_and_faces_up(rooms: Path) -> None:
    dataset = open_dataset("scannet", rooms)
    sample = dataset[0]
    assert sample.labels is not None
    assert dataset.ontology is not None
    floor = sample.labels == dataset.ontology.index("floor")
    height = sample.cloud.xyz[floor, 2]
    assert np.ptp(np.percentile(height, [5, 95])) < 0.1
    assert np.median(height) < np.percentile(sample.cloud.xyz[:, 2], 20)
    assert np.median(sample.cloud.channels["normal_z"][floor]) > 0.8


def test_folder_notes_settings(rooms: Path) -> None:
    note = yaml.safe_load((rooms / "rooms.yaml").read_text())
    assert note["settings_sha256"] == rooms_hash()
    assert note["family"] == "development"


def test_tags_are_derived(rooms: Path, tmp_path: Path) -> None:
    tags = tmp_path / "tags.yaml"
    assert run("derive-tags", tags, "--dataset", "scannet", "--root", rooms) == 0
    found = yaml.safe_load(tags.read_text())["scenes"][SCENE]
    assert {"wall", "floor", "table"} <= set(found)


def test_interrupted_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from wsss_training.rooms import generate

    whole = generate.write_scene
    words = ["make-rooms", tmp_path / "out", "--scenes", 2, *SMALL]

    def stop(folder: Path, name: str, *rest: object) -> None:
        whole(folder, name, *rest)  # type: ignore[arg-type]
        if name == "scene0001_00":
            raise KeyboardInterrupt

    monkeypatch.setattr(generate, "write_scene", stop)
    assert run(*words) == 130
    assert sorted(p.name for p in (tmp_path / "out" / "scans").iterdir()) == ["scene0000_00"]
    assert not list((tmp_path / "out").glob(".*.part"))
    monkeypatch.setattr(generate, "write_scene", whole)
    written = (tmp_path / "out" / "scans" / "scene0000_00" / "pose" / "0.txt").stat().st_mtime_ns
    assert run(*words) == 0
    assert len(list((tmp_path / "out" / "scans").iterdir())) == 2
    again = (tmp_path / "out" / "scans" / "scene0000_00" / "pose" / "0.txt").stat().st_mtime_ns
    assert again == written
    assert "2 scenes" in capsys.readouterr().out


def test_scenes_do_not_depend_on_who_writes_them(rooms: Path, tmp_path: Path) -> None:
    other = tmp_path / "out"
    assert run("make-rooms", other, "--first", 13, "--scenes", 2, "--jobs", 2, *SMALL) == 0
    for path in (rooms / "scans" / SCENE).rglob("*.*"):
        twin = other / "scans" / SCENE / path.relative_to(rooms / "scans" / SCENE)
        assert twin.read_bytes() == path.read_bytes(), path.name


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--family", "test"], "no family 'test'"),
        (["--first", "-1"], "must not be negative"),
        (["--first", "99999", "--scenes", "2"], "scenes 0 to 99999"),
        (["--size", "16", "12"], "at least 32"),
    ],
)
def test_wrong_arguments_are_named(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("make-rooms", tmp_path / "out", *words) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_folder_of_other_rooms_is_refused(rooms: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("make-rooms", rooms, "--scenes", 1, "--frames", 6) == 2
    assert "set of rooms of other settings" in capsys.readouterr().err


def test_recordings_are_those_that_methods_were_compared_on(rooms: Path) -> None:
    """Any change of what is recorded needs a new version of the rooms."""
    sample = open_dataset("scannet", rooms)[0]
    assert sample.labels is not None
    views = [image.load() for image in sample.images]
    found = [
        len(sample.cloud),
        sample.labels[sample.labels != UNKNOWN].mean(),
        (sample.labels == UNKNOWN).mean(),
        np.linalg.norm(sample.cloud.xyz, axis=1).mean(),
        sample.cloud.channels["red"].mean(),
        np.mean([view.image.mean() for view in views]),
        np.mean([view.depth.mean() for view in views if view.depth is not None]),
    ]
    assert load_room_settings().version == 1
    assert found == pytest.approx(PINNED, rel=3e-3)
