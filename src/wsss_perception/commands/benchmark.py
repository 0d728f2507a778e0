"""Times a model on this machine, stage by stage, in every engine; needs no ROS.

The clouds are those of a rosbag2 (with the views of its cameras, as segment-bag finds them), or
without one the sweeps of a 32-beam and a 64-beam sensor in a made-up street, or with --points
sweeps of growing size, denser and farther the larger they are, for which the model's point_range
is lifted. Each engine runs in a process of its own. Two peers run the same network in other ways:
'bare-spconv' is the spconv network with nothing around it, 'torch-gather' the graph of the other
engines run by torch; only their tables and network are timed.
"""

import argparse
from pathlib import Path

from wsss_perception.benchmark.contenders import CONTENDERS, choose
from wsss_perception.benchmark.inputs import Source, check_bag
from wsss_perception.benchmark.machine import usable_cores
from wsss_perception.benchmark.measure import Job
from wsss_perception.benchmark.report import describe_run, format_report, write_json
from wsss_perception.benchmark.suite import run_all
from wsss_perception.benchmark.sweeps import SENSORS
from wsss_perception.bundle import choose_bundle
from wsss_perception.cli import positive_integer
from wsss_perception.engines.options import PRECISIONS, parse_device
from wsss_perception.errors import ConfigError, EngineError

_LEAST_CLOUDS = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "bag", type=Path, nargs="?", metavar="BAG", help="the bag: a folder, .mcap or .db3"
    )
    parser.add_argument(
        "--bundle", type=Path, help="folder of the model bundle (default: the package's model)"
    )
    parser.add_argument(
        "--engine",
        nargs="+",
        default=["auto"],
        metavar="NAME",
        help=f"who is measured, of {', '.join(CONTENDERS)} (default: auto, all of them)",
    )
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:<n> (default: auto)")
    parser.add_argument(
        "--precision",
        default="auto",
        choices=PRECISIONS,
        help="of the network (default: auto, fp16 on a GPU and fp32 on a CPU)",
    )
    parser.add_argument(
        "--clouds",
        type=positive_integer,
        default=100,
        help="how many are timed; of each size of --points a tenth, at least 3 (default: 100)",
    )
    parser.add_argument(
        "--threads",
        type=positive_integer,
        default=usable_cores(),
        help="of the CPU, in every library (default: all cores)",
    )
    parser.add_argument("--points-topic", help="topic of the clouds, where the bag has several")
    parser.add_argument(
        "--calibration", type=Path, help="calibration file of the bag's cameras, instead of TF"
    )
    parser.add_argument(
        "--points",
        type=positive_integer,
        nargs="+",
        metavar="N",
        help="measure generated clouds of these sizes",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to a file")


def run(arguments: argparse.Namespace) -> None:
    """Measures and prints the table.

    Raises:
        WsssError: of the bundle or the bag, a name that is not known, or nothing was measured.
        OSError: the JSON file cannot be written.
    """
    names = choose(arguments.engine)
    parse_device(arguments.device)
    bundle = choose_bundle(arguments.bundle, print)
    sources = _sources(arguments)
    if arguments.json is not None:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
    clouds = arguments.clouds
    if arguments.points:
        clouds = max(clouds // 10, _LEAST_CLOUDS)
    how = (arguments.device, arguments.precision, arguments.threads, clouds)
    jobs = [Job(name, str(bundle.folder), source, *how) for source in sources for name in names]
    description = describe_run(bundle, arguments.threads)
    rows = run_all(jobs)
    print(format_report(description, rows))
    if arguments.json is not None:
        write_json(arguments.json, description, rows)
    if not any(row.milliseconds for row in rows):
        raise EngineError("nothing could be measured; the reasons are listed above")


def _sources(arguments: argparse.Namespace) -> list[Source]:
    if arguments.bag is None:
        if arguments.points_topic or arguments.calibration:
            raise ConfigError("--points-topic and --calibration are those of a bag: name the bag")
        if arguments.points:
            return [Source(points=count) for count in arguments.points]
        return [Source(beams=beams) for beams in SENSORS]
    if arguments.points:
        raise ConfigError("--points generates clouds: leave the bag out, or --points")
    calibration = None if arguments.calibration is None else str(arguments.calibration)
    source = Source(str(arguments.bag), arguments.points_topic, calibration)
    check_bag(source)
    return [source]
