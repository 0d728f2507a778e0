"""Command lines of both packages: ``python -m <package> <command>`` and ``ros2 run``."""

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

from wsss_perception.errors import WsssError


@dataclass(frozen=True)
class Command:
    """One command: a module with ``add_arguments(parser)`` and ``run(arguments) -> None``.

    Attributes:
        name: as typed.
        help: one line for the list of commands.
        module: imported only when the command runs, so that what it needs may be absent.
        passes_ros_arguments: leave ``--ros-args ...`` to rclpy.
    """

    name: str
    help: str
    module: str
    passes_ros_arguments: bool = False


def main(package: str, commands: Sequence[Command], argv: Sequence[str] | None = None) -> int:
    """Runs a package's command line; returns the exit status (2 for an error of the user's).

    Args:
        package: name shown in the usage.
        commands: the package's commands.
        argv: words of the command line, without the program; those of the process by default.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    by_name = {command.name: command for command in commands}
    if not words or words[0] in ("-h", "--help") or words[0] not in by_name:
        return _list_commands(package, commands, words)
    command = by_name[words[0]]
    try:
        module = import_module(command.module)
    except ModuleNotFoundError as error:
        return _fail_for_missing_package(command, error)
    parser = argparse.ArgumentParser(
        f"python -m {package} {command.name}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(parser)
    mine, ros = words[1:], []
    if command.passes_ros_arguments and "--ros-args" in mine:
        start = mine.index("--ros-args")
        mine, ros = mine[:start], mine[start:]
    arguments = parser.parse_args(mine)
    if command.passes_ros_arguments:
        arguments.ros_arguments = ros
    try:
        module.run(arguments)
    except WsssError as error:
        return _fail(_without_traceback(str(error)))
    except ModuleNotFoundError as error:  # what a command imports only when it runs
        return _fail_for_missing_package(command, error)
    except OSError as error:
        return _fail(f"{error.filename or command.name}: {error.strerror or error}")
    except KeyboardInterrupt:
        return 130
    return 0


def positive_number(text: str) -> float:
    """Reads an argument; a ``type`` for argparse, which reports what is refused."""
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"'{text}' is not a positive number")
    return value


def positive_integer(text: str) -> int:
    """Reads an argument; a ``type`` for argparse, which reports what is refused."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a positive integer")
    return value


def _list_commands(package: str, commands: Sequence[Command], words: list[str]) -> int:
    lines = "\n".join(f"  {command.name:<16}{command.help}" for command in commands)
    usage = f"usage: python -m {package} <command> [--help] ...\n\ncommands:\n{lines}"
    if words and words[0] in ("-h", "--help"):
        print(usage)
        return 0
    print(usage, file=sys.stderr)
    return _fail(f"unknown command '{words[0]}'" if words else "no command given")


def _fail_for_missing_package(command: Command, error: ModuleNotFoundError) -> int:
    missing = (error.name or "").split(".")[0]
    if missing in ("wsss_perception", "wsss_training"):
        raise error
    return _fail(f"'{command.name}' needs the Python package '{missing}'; README: Installation")


def _without_traceback(message: str) -> str:
    """The message that an error had in another process, which torch puts behind its traceback."""
    if not message.startswith("Caught "):
        return message
    return message.rstrip().rpartition("\n")[2].partition(": ")[2]


def _fail(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return 2
