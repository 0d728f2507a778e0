"""A bag through the live node: player, node and recorder as processes that talk over DDS."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from wsss_perception.bag.reader import open_bag
from wsss_perception.bag.segment import POINT_CLOUD, choose_points, semantic_topic
from wsss_perception.errors import BagError, RosError
from wsss_perception.ros.status import REPORT_PERIOD

START_TIMEOUT = 120.0
"""Seconds a process may take until it listens."""

DRAIN_TIMEOUT = 60.0
"""Seconds the node may take for the clouds that are under way when the player has ended."""

_STOP_TIMEOUT = 120.0  # seconds a process may take to end
_POLL_PERIOD = 0.05  # seconds
_LAST_LINES = 6  # lines of each process's output that tell why one failed
_WARNING = re.compile(r"^\[(?:WARN|ERROR|FATAL)\] \[[\d.]+\] \[[\w.]+\]: (.+)$", re.MULTILINE)
_BUSY, _IDLE = "clouds/s in", "no cloud on"  # of the lines the node logs every few seconds


@dataclass(frozen=True)
class LiveCounts:
    """What became of the clouds of a bag that was played.

    Attributes:
        played: clouds of the bag.
        recorded: semantic clouds that the node published and the recorder wrote.
        node_summary: what the node says it received, published, dropped, failed and lost.
        warnings: what the node warned of, each once.
    """

    played: int
    recorded: int
    node_summary: str
    warnings: tuple[str, ...] = ()


def segment_live(
    bag: str | Path,
    bundle: str | Path,
    output: str | Path,
    rate: float = 1.0,
    points_topic: str | None = None,
) -> LiveCounts:
    """Plays a bag to the node ``segment`` and records its semantic clouds, over real DDS.

    The processes are in a ROS domain of this host that is not the user's. SIGTERM and SIGHUP end
    them and leave nothing behind: they raise SystemExit in the main thread. A node that is slower
    than the clouds come drops some: compare the counts, and choose a lower rate.

    Args:
        bag: the bag with the clouds.
        bundle: folder of the model bundle.
        output: folder of the new bag, with the semantic clouds alone, on the topic where
            ``segment_bag`` puts them; it appears when all went well.
        rate: seconds of the bag to play in a second.
        points_topic: topic of the clouds; by default the only one there is.

    Raises:
        BagError: there is no such bag or topic, it has no clouds, or ``output`` exists.
        RosError: a process failed or hung; with the last lines that it printed.
    """
    output = Path(output)
    if output.exists() or output.is_symlink():
        raise BagError(f"{output}: exists; choose another name or remove it")
    with open_bag(bag) as opened:
        points = choose_points(opened, points_topic).topic
        clouds = [c for c in opened.of_type(POINT_CLOUD) if c.topic == points]
        played = sum(connection.msgcount for connection in clouds)
    if not played:
        raise BagError(f"{bag}: has no clouds on {points}")
    topic = semantic_topic(points)
    output.parent.mkdir(parents=True, exist_ok=True)
    with (
        _exit_on_signals(),
        tempfile.TemporaryDirectory(prefix=f".{output.name}-", dir=output.parent) as folder,
        ExitStack() as running,
    ):
        recording = Path(folder) / output.name
        started: list[_Process] = []

        def start(name: str, *words: str | Path) -> _Process:
            process = running.enter_context(_started(name, words, Path(folder)))
            for other in started:
                other.peers.append(process)
                process.peers.append(other)
            started.append(process)
            return process

        remap = ("-p", f"model:={Path(bundle).resolve()}", "-r", f"points:={points}")
        node = start("segment", "--ros-args", *remap, "-r", f"semantic_points:={topic}")
        recorder = start("record-bag", recording, topic, "--count", str(played))
        node.wait_until(lambda: "publishing on" in node.output(), START_TIMEOUT)
        recorder.wait_until(lambda: f"recording {topic}" in recorder.output(), START_TIMEOUT)
        player = start("play-bag", bag, "--rate", str(rate))
        while not player.has_ended():
            node.check_alive()
            time.sleep(_POLL_PERIOD)
        player.check_exit()
        _drain(node, recorder)
        node.stop()
        recorder.join()  # nobody publishes any more
        with open_bag(recording) as result:
            recorded = sum(connection.msgcount for connection in result.connections)
        said = node.output()
        summary = said.rpartition("stopped: ")[2].strip()
        counts = LiveCounts(played, recorded, summary, find_warnings(said))
        os.rename(recording, output)
    return counts


def find_warnings(output: str) -> tuple[str, ...]:
    """Finds the warnings and errors in what a node has printed, each once."""
    return tuple(dict.fromkeys(_WARNING.findall(output)))


@contextmanager
def _exit_on_signals() -> Iterator[None]:
    """Turns SIGTERM and SIGHUP into SystemExit, so that ``with`` blocks inside are left in order.

    A signal that is ignored stays so (nohup), as do those that follow the first.
    """
    in_main = threading.current_thread() is threading.main_thread()  # else none can be set
    handlers = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGHUP) if in_main}
    before = {n: h for n, h in handlers.items() if h not in (signal.SIG_IGN, None)}

    def leave(number: int, _frame: object) -> None:
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)

    try:
        for number in before:
            signal.signal(number, leave)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Process:
    """A command of this package in a process of its own; its output goes to a file.

    Attributes:
        peers: processes it works with, quoted too when it fails.
    """

    def __init__(self, name: str, process: subprocess.Popen, log: Path) -> None:
        self._name = name
        self._process = process
        self._log = log
        self.peers: list[_Process] = []

    def output(self) -> str:
        """Returns all that it has printed."""
        return self._log.read_text(errors="replace")

    def has_ended(self) -> bool:
        """Whether the process has ended, well or not."""
        return self._process.poll() is not None

    def wait_until(self, done: Callable[[], bool], timeout: float) -> None:
        """Waits for a condition that the process brings about."""
        deadline = time.monotonic() + timeout
        while not done():
            self.check_alive()
            if time.monotonic() > deadline:
                raise self._error(f"is not ready after {timeout:.0f} s")
            time.sleep(_POLL_PERIOD)

    def check_alive(self) -> None:
        """Raises RosError if the process has ended."""
        if self.has_ended():
            raise self._error(f"ended early with status {self._process.returncode}")

    def stop(self) -> None:
        """Ends the process with SIGINT if it still runs; its exit status must be 0."""
        if not self.has_ended():
            self._process.send_signal(signal.SIGINT)
        self.join()

    def join(self) -> None:
        """Waits until the process ends by itself; its exit status must be 0."""
        try:
            self._process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired as error:
            raise self._error(f"does not end within {_STOP_TIMEOUT:.0f} s") from error
        self.check_exit()

    def check_exit(self) -> None:
        """Raises RosError if the process has ended with an error."""
        if self._process.returncode:
            raise self._error(f"failed with status {self._process.returncode}")

    def last_lines(self) -> str:
        """Quotes the end of what it has printed."""
        lines = self.output().splitlines()[-_LAST_LINES:]
        return "\n    ".join([f"  {self._name}:", *lines])

    def _error(self, problem: str) -> RosError:
        quoted = [process.last_lines() for process in (self, *self.peers)]
        return RosError("\n".join([f"'{self._name}' {problem}; the last lines of:", *quoted]))


@contextmanager
def _started(name: str, words: tuple[str | Path, ...], folder: Path) -> Iterator[_Process]:
    """Starts a command; kills it at the end if it still runs."""
    log = folder / f"{name}.txt"
    with log.open("w") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "wsss_perception", name, *map(str, words)],
            env=_environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for this process, which ends the others itself
        )
    try:
        yield _Process(name, process, log)
    finally:
        process.kill()
        process.wait()


def _environment(folder: Path) -> Mapping[str, str]:
    """Returns an environment for processes of this host, in a domain that is not the user's."""
    dropped = ("ROS_LOCALHOST_ONLY", "ROS_STATIC_PEERS")  # they widen or override the range
    environment = {k: v for k, v in os.environ.items() if k not in dropped}
    own = environment.get("ROS_DOMAIN_ID", "0").strip()
    domains = [str(n) for n in range(1, 102) if str(n) != own]  # up to 101: safe on all systems
    return environment | {
        "ROS_DOMAIN_ID": domains[os.getpid() % len(domains)],
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "ROS_LOG_DIR": str(folder / "log"),
    }


def _drain(node: _Process, recorder: _Process) -> None:
    """Waits, once the player has ended, until the recorder has all or the node is idle.

    The node says once that it is idle, maybe before the player ended. That counts if it has not
    said since, for two of its reports, that a cloud came after all.

    Args:
        node: the node.
        recorder: ends by itself when it has all.
    """
    ended = time.monotonic()
    printed = len(node.output())
    while not recorder.has_ended() and time.monotonic() < ended + DRAIN_TIMEOUT:
        node.check_alive()
        log = node.output()
        idle = log.rfind(_IDLE)
        is_certain = idle >= printed or time.monotonic() > ended + 2 * REPORT_PERIOD
        if idle > log.rfind(_BUSY) and is_certain:
            return
        time.sleep(_POLL_PERIOD)
