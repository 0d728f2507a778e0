import pytest

from wsss_perception.cli import main
from wsss_training.__main__ import COMMANDS


def check(root, *words) -> int:
    base = ["check-dataset", "--dataset", "semantic_kitti", "--root", str(root)]
    return main("wsss_training", COMMANDS, [*base, *map(str, words)])


def test_check_dataset_reports_and_draws(mini_log, tmp_path, capsys):
    assert check(mini_log.root, "--pictures", tmp_path / "p", "--samples", 3) == 0
    output = capsys.readouterr().out
    assert "1 scenes, 6 samples; 3 read" in output
    assert "image_2: 3 images of 160x80" in output
    assert len(list((tmp_path / "p").glob("*.png"))) == 2


def test_check_dataset_fails_naming_the_file_that_cannot_be_read(mini_log, capsys):
    path = mini_log.root / "sequences" / "00" / "labels" / "000005.label"
    content = path.read_bytes()
    try:
        path.write_bytes(content[:-4])
        assert check(mini_log.root) == 2
    finally:
        path.write_bytes(content)
    captured = capsys.readouterr()
    assert str(path) in captured.out
    assert "1 of 6 samples cannot be read" in captured.err


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("sequences=07", "no such sequence; there are: 00"),
        ("sequence=00", "has no option 'sequence'; it takes: "),
        ("sequences", "not of the form key=value"),
    ],
)
def test_check_dataset_names_a_wrong_option(mini_log, capsys, option, message):
    assert check(mini_log.root, "--option", option) == 2
    assert message in capsys.readouterr().err
