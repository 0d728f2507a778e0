import sys
import types
from argparse import ArgumentParser, ArgumentTypeError, Namespace

import pytest
from torch._utils import ExceptionWrapper

import wsss_perception.__main__
import wsss_training.__main__
from wsss_perception.cli import Command, main, positive_integer, positive_number
from wsss_perception.errors import ConfigError, DatasetError

COMMANDS = (
    Command("greet", "says hello", "greet_command"),
    Command("node", "takes ROS arguments", "greet_command", passes_ros_arguments=True),
    Command("broken", "lacks a library", "broken_command"),
)


@pytest.fixture
def greet(monkeypatch) -> types.ModuleType:
    """A command module that keeps the arguments it was run with."""
    module = types.ModuleType("greet_command", "Greets.\n\nPolitely.")
    module.seen = []

    def add_arguments(parser: ArgumentParser) -> None:
        parser.add_argument("name", nargs="?", default="you")

    def run(arguments: Namespace) -> None:
        module.seen.append(arguments)
        if arguments.name == "nobody":
            raise ConfigError("nobody is not a name")
        if arguments.name == "worker":
            try:
                raise DatasetError("a.bin: too: short")
            except DatasetError:
                ExceptionWrapper(where="in DataLoader worker process 0").reraise()
        if arguments.name == "interrupt":
            raise KeyboardInterrupt

    module.add_arguments, module.run = add_arguments, run
    monkeypatch.setitem(sys.modules, "greet_command", module)
    return module


def test_main_runs_a_command_with_its_arguments(greet):
    assert main("package", COMMANDS, ["greet", "robot"]) == 0
    assert greet.seen == [Namespace(name="robot")]


def test_main_leaves_ros_arguments_to_the_command_that_takes_them(greet):
    words = ["node", "robot", "--ros-args", "-p", "a:=1", "--ros-args", "-r", "b:=c"]
    assert main("package", COMMANDS, words) == 0
    assert greet.seen == [Namespace(name="robot", ros_arguments=words[2:])]


def test_main_refuses_ros_arguments_elsewhere(greet):
    with pytest.raises(SystemExit) as stop:
        main("package", COMMANDS, ["greet", "--ros-args", "-p", "a:=1"])
    assert stop.value.code == 2
    assert greet.seen == []


def test_main_reports_a_users_error_as_one_line(greet, capsys):
    assert main("package", COMMANDS, ["greet", "nobody"]) == 2
    assert capsys.readouterr().err == "error: nobody is not a name\n"


def test_main_reports_a_workers_error_without_its_traceback(greet, capsys):
    assert main("package", COMMANDS, ["greet", "worker"]) == 2
    assert capsys.readouterr().err == "error: a.bin: too: short\n"


def test_main_ends_with_the_status_of_an_interrupt(greet):
    assert main("package", COMMANDS, ["greet", "interrupt"]) == 130


def test_main_names_a_missing_library(monkeypatch, tmp_path, capsys):
    (tmp_path / "broken_command.py").write_text("import no_such_library.part\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert main("package", COMMANDS, ["broken"]) == 2
    assert "'broken' needs the Python package 'no_such_library'" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--help"], ["-h"]])
def test_main_lists_the_commands(words, capsys):
    assert main("package", COMMANDS, words) == 0
    output = capsys.readouterr().out
    assert all(command.help in output for command in COMMANDS)


@pytest.mark.parametrize(
    ("words", "reason"), [([], "no command given"), (["gret"], "unknown command 'gret'")]
)
def test_main_refuses_what_is_no_command(words, reason, capsys):
    assert main("package", COMMANDS, words) == 2
    error = capsys.readouterr().err
    assert reason in error
    assert "greet" in error


def test_command_help_shows_the_modules_description(greet, capsys):
    with pytest.raises(SystemExit) as stop:
        main("package", COMMANDS, ["greet", "--help"])
    assert stop.value.code == 0
    assert "Greets.\n\nPolitely." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("package", "commands"),
    [
        ("wsss_perception", wsss_perception.__main__.COMMANDS),
        ("wsss_training", wsss_training.__main__.COMMANDS),
    ],
)
def test_every_command_of_the_packages_shows_its_help(package, commands, capsys):
    for command in commands:
        with pytest.raises(SystemExit) as stop:
            main(package, commands, [command.name, "--help"])
        assert stop.value.code == 0
        assert f"python -m {package} {command.name}" in capsys.readouterr().out


def test_positive_arguments_are_read():
    assert (positive_number("0.5"), positive_integer("3")) == (0.5, 3)


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "much"])
def test_arguments_that_are_not_positive_are_refused(text):
    with pytest.raises((ArgumentTypeError, ValueError)):
        positive_number(text)
    with pytest.raises((ArgumentTypeError, ValueError)):
        positive_integer(text)
