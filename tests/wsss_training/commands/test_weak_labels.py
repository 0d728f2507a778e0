"""weak-labels through the command line, and training on what it writes."""

import numpy as np
import pytest
import yaml

from wsss_perception.cli import main
from wsss_perception.frame import UNKNOWN
from wsss_training.__main__ import COMMANDS
from wsss_training.data import open_dataset


def draw(mini_log, output, *more):
    words = ["weak-labels", output, "--dataset", "semantic_kitti", "--root", mini_log.root, *more]
    return main("wsss_training", COMMANDS, [str(word) for word in words])


def labelled(mini_log, folder, **options):
    dataset = open_dataset("semantic_kitti", mini_log.root, weak_labels=folder, **options)
    return np.concatenate([dataset[index].labels for index in range(len(dataset))])


@pytest.mark.parametrize(
    ("words", "parameters", "counts"),
    [
        (["--points-per-class", 5], {"points_per_class": 5}, (5, 5)),
        (["--share", 0.01], {"share": 0.01}, (180, None)),
        (["--scribbles", 2], {"scribbles": 2}, (None, None)),
        (
            ["--points-per-class", 5, "--option", "scene_sweeps=3"],
            {"points_per_class": 5},
            (10, 10),
        ),
    ],
)
def test_each_kind_is_written_and_read_again(mini_log, tmp_path, capsys, words, parameters, counts):
    assert draw(mini_log, tmp_path / "weak", *words, "--seed", 4) == 0
    info = yaml.safe_load((tmp_path / "weak" / "weak_labels.yaml").read_text())
    assert (info["dataset"], info["parameters"], info["seed"]) == ("semantic_kitti", parameters, 4)
    assert {info["kind"]: parameters[info["kind"]]} == parameters
    labels = labelled(mini_log, tmp_path / "weak", **info["options"])
    truth = labelled_fully(mini_log)
    assert (labels != UNKNOWN).sum() == info["labelled_points"]
    np.testing.assert_array_equal(labels[labels != UNKNOWN], truth[labels != UNKNOWN])
    road, building = (info["labelled_points_of"][name] for name in ("road", "building"))
    if words[0] == "--share":
        assert road + building == counts[0]
    elif words[0] == "--scribbles":
        assert 2 <= road < 200
        assert 2 <= building < 200
    else:
        assert (road, building) == counts
    assert f"{info['labelled_points']:,d} of 18,000 points of 6 sweeps" in capsys.readouterr().out


def labelled_fully(mini_log):
    dataset = open_dataset("semantic_kitti", mini_log.root)
    return np.concatenate([dataset[index].labels for index in range(len(dataset))])


def test_the_same_words_write_the_same_files(mini_log, tmp_path):
    for name in ("one", "two"):
        assert draw(mini_log, tmp_path / name, "--scribbles", 1) == 0
    paths = sorted(path for path in (tmp_path / "one").rglob("*") if path.is_file())
    assert len(paths) == 8
    for path in paths:
        twin = tmp_path / "two" / path.relative_to(tmp_path / "one")
        assert twin.read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    "words", [["--points-per-class", 5], ["--share", 0.01], ["--scribbles", 2]]
)
def test_another_seed_draws_other_points(mini_log, tmp_path, words):
    drawn = []
    for seed in (0, 1):
        assert draw(mini_log, tmp_path / str(seed), *words, "--seed", seed) == 0
        drawn.append(labelled(mini_log, tmp_path / str(seed)) != UNKNOWN)
    assert (drawn[0] & drawn[1]).sum() < 0.5 * min(drawn[0].sum(), drawn[1].sum())


def test_sweeps_without_a_drawn_point_are_told(mini_log, tmp_path, capsys):
    assert draw(mini_log, tmp_path / "weak", "--points-per-class", 1) == 0
    info = yaml.safe_load((tmp_path / "weak" / "weak_labels.yaml").read_text())
    listed = (tmp_path / "weak" / "unlabelled.txt").read_text().splitlines()
    assert len(listed) == 6 - info["labelled_samples"] >= 4
    assert f"{len(listed)} sweeps have no labelled point" in capsys.readouterr().out


def test_a_share_of_which_nothing_is_drawn_is_refused(mini_log, tmp_path, capsys):
    assert draw(mini_log, tmp_path / "weak", "--share", 1e-9) == 2
    assert "none of the 18,000 points of 6 samples was drawn" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [["--share", "a"], ["--share", 0.1, "--seed", "a"]])
def test_words_in_place_of_numbers_are_explained(mini_log, tmp_path, capsys, words):
    with pytest.raises(SystemExit):
        draw(mini_log, tmp_path / "weak", *words)
    error = capsys.readouterr().err
    assert "'a' is not a" in error
    assert "_" not in error.splitlines()[-1].replace("wsss_training", "")


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--share", 0],
        ["--share", 1.5],
        ["--share", "nan"],
        ["--scribbles", 0],
        ["--points-per-class", 5, "--share", 0.5],
        ["--scribbles", 1, "--seed", -1],
    ],
)
def test_words_that_make_no_sense_are_refused(mini_log, tmp_path, capsys, words):
    with pytest.raises(SystemExit):
        draw(mini_log, tmp_path / "weak", *words)
    assert "usage" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_set_without_labels_is_refused(mini_log, tmp_path, capsys):
    words = ["--points-per-class", 1, "--option", "sequences=99"]
    assert draw(mini_log, tmp_path / "weak", *words) == 2
    (tmp_path / "training" / "velodyne").mkdir(parents=True)
    (tmp_path / "training" / "velodyne" / "000000.bin").touch()
    words = ["weak-labels", tmp_path / "weak", "--dataset", "kitti_object", "--root", tmp_path]
    words = [str(word) for word in [*words, "--share", 0.5]]
    assert main("wsss_training", COMMANDS, words) == 2
    assert "'kitti_object' has no labels to draw from" in capsys.readouterr().err
    assert not (tmp_path / "weak").exists()


@pytest.mark.real_data
def test_real_labels_are_drawn_as_asked(data_root, tmp_path):
    root = data_root / "semantic_kitti"
    words = ["weak-labels", tmp_path / "weak", "--dataset", "semantic_kitti", "--root", root]
    words += ["--option", "sequences=00", "--points-per-class", 5]
    assert main("wsss_training", COMMANDS, [str(word) for word in words]) == 0
    options = {"sequences": ["00"], "cameras": []}
    weak = open_dataset("semantic_kitti", root, weak_labels=tmp_path / "weak", **options)
    full = open_dataset("semantic_kitti", root, **options)
    counts = np.zeros((2, 256), int)
    for index in range(len(full)):
        truth, labels = full[index].labels, weak[index].labels
        counts += [np.bincount(kind, minlength=256) for kind in (truth, labels)]
        np.testing.assert_array_equal(labels[labels != UNKNOWN], truth[labels != UNKNOWN])
    np.testing.assert_array_equal(counts[1, :UNKNOWN], np.minimum(counts[0, :UNKNOWN], 5))


def test_clicked_points_are_written_and_read_again(mini_log, tmp_path, capsys):
    sample = open_dataset("semantic_kitti", mini_log.root, labels=False)[2]
    rows = [
        f"{sample.sample_id},{','.join(map(str, sample.cloud.xyz[point]))},{name}\n"
        for point, name in ((7, "car"), (5, "road"))
    ]
    (tmp_path / "clicks.csv").write_text("sample,x,y,z,class\n" + "".join(rows))
    assert draw(mini_log, tmp_path / "weak", "--clicked", tmp_path / "clicks.csv") == 0
    dataset = open_dataset("semantic_kitti", mini_log.root, weak_labels=tmp_path / "weak")
    labels = dataset[2].labels
    assert {point: dataset.ontology.classes[labels[point]] for point in (5, 7)} == {
        5: "road",
        7: "car",
    }
    assert (labels != UNKNOWN).sum() == 2
    assert (dataset[0].labels == UNKNOWN).all()
    assert "5 sweeps have no labelled point" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--clicked", "CSV", "--ontology", "scannet"], "has classes of its own"),
        (["--share", 0.1, "--ontology", "semantic_kitti"], "--ontology is of --clicked"),
        (["--clicked", "CSV", "--seed", 1], "clicked points are not drawn"),
    ],
)
def test_words_that_do_not_fit_are_refused(mini_log, tmp_path, capsys, words, message):
    (tmp_path / "clicks.csv").write_text("sample,x,y,z,class\n")
    words = [tmp_path / "clicks.csv" if word == "CSV" else word for word in words]
    assert draw(mini_log, tmp_path / "weak", *words) == 2
    assert message in capsys.readouterr().err
