import sys

from wsss_perception import progress
from wsss_perception.progress import Progress


def test_progress_is_silent_where_there_is_no_terminal(capsys):
    with Progress("clouds", 2) as steps:
        steps.step()
        steps.step()
    assert capsys.readouterr().err == ""


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
