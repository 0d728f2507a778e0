import sys

from wsss_perception import progress
from wsss_perception.progress import Progress


def test_progress_adds_lines_now_and_then_where_there_is_no_terminal(capsys, monkeypatch):
    clock = iter([0.0, 3.0, 11.0, 12.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with Progress("clouds", 3) as steps:
        for _ in range(3):
            steps.step()
    assert capsys.readouterr().err == "2/3 clouds, 0.2/s\n"


def test_progress_ends_its_line_even_after_an_error(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(progress, "_INTERVAL", 0.0)
    try:
        with Progress("clouds", 3) as steps:
            steps.step()
            raise ValueError
    except ValueError:
        pass
    shown = capsys.readouterr().err
    assert shown.startswith("\r1/3 clouds, ")
    assert shown.endswith("\n")
